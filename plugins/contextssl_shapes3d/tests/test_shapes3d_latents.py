"""The latents: ranges, order and the sense of the rotation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from contextssl_shapes3d.latents import HIGHEST, LOWEST, draw_latents, rotation_matrices


def test_angles_are_extrinsic_about_x_then_y_then_z() -> None:
    angles = draw_latents(np.random.default_rng(0), 50)[:, :3]
    assert np.allclose(rotation_matrices(angles), Rotation.from_euler("xyz", angles).as_matrix())


def test_latents_fill_the_ranges_of_3diebench() -> None:
    latents = draw_latents(np.random.default_rng(0), 20_000)
    quarter = np.pi / 2
    assert np.allclose(latents.min(0), [-quarter, -quarter, -quarter, 0, 0, 0, 0], atol=1e-2)
    assert np.allclose(latents.max(0), [quarter, quarter, quarter, 1, np.pi / 4, 2 * np.pi, 1], atol=1e-2)
    assert ((latents >= LOWEST) & (latents <= HIGHEST)).all()
    assert np.abs(np.corrcoef(latents.T) - np.eye(7)).max() == pytest.approx(0, abs=0.03)


def test_more_views_go_on_where_fewer_ended() -> None:
    few, many = (draw_latents(np.random.default_rng(3), views) for views in (4, 9))
    assert np.array_equal(few, many[:4])
