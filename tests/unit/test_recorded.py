"""Recorded action types against scipy's rotations."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from contextssl_cli.plugin.recorded import RecordedDifference, RecordedRotation
from tests.tiny import image_schema

ANGLES = np.random.default_rng(0).uniform(-np.pi / 2, np.pi / 2, (2, 64, 3))


def _upper(quaternions: np.ndarray) -> np.ndarray:
    return np.where(quaternions[:, 3:] < 0, -quaternions, quaternions)


def test_quaternions_are_those_of_extrinsic_xyz() -> None:
    expected = _upper(Rotation.from_euler("xyz", ANGLES[0]).as_quat())
    np.testing.assert_allclose(RecordedRotation().absolute(torch.from_numpy(ANGLES[0])), expected, atol=1e-12)


def test_the_action_is_the_inverse_of_the_first_times_the_second() -> None:
    first, second = (Rotation.from_euler("xyz", angles) for angles in ANGLES)
    found = RecordedRotation().relative(*(torch.from_numpy(angles) for angles in ANGLES))
    np.testing.assert_allclose(found, _upper((first.inv() * second).as_quat()), atol=1e-12)


def test_no_rotation_is_the_identity() -> None:
    angles = torch.from_numpy(ANGLES[0]).float()
    found = RecordedRotation().relative(angles, angles)
    torch.testing.assert_close(found, torch.tensor([0.0, 0, 0, 1]).expand(64, 4), atol=1e-6, rtol=0)


def test_differences_are_of_the_second_from_the_first() -> None:
    color = RecordedDifference("color", 2, "two hues")
    first, second = torch.tensor([[0.1, 0.9]]), torch.tensor([[0.4, 0.2]])
    torch.testing.assert_close(color.relative(first, second), torch.tensor([[0.3, -0.7]]))
    assert color.width(image_schema()) == 2
