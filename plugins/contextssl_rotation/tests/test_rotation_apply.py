"""The built-in rotation, against NumPy's quarter turns and against itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from contextssl_cli.plugin.registry import registry
from tests import tiny
from tests.draws import seeded

ROTATION = registry().actions["rotation"]
few = settings(max_examples=20)


def turned(images: Tensor, quarter_turns: float) -> Tensor:
    height, width = images.shape[2:]
    latents = torch.full((len(images), 1), quarter_turns)
    return ROTATION.apply(images, latents, tiny.image_schema(height, width))


def blob(height: int, width: int, down: float, right: float, size: float = 2.0) -> Tensor:
    """One smooth spot, ``down`` and ``right`` of the centre in pixels."""
    y = torch.arange(height)[:, None] - (height - 1) / 2 - down
    x = torch.arange(width)[None] - (width - 1) / 2 - right
    return torch.exp(-(y**2 + x**2) / (2 * size**2)).expand(1, 3, -1, -1).contiguous()


def centre(image: Tensor) -> tuple[float, float]:
    """How far down and right of the middle an image's light lies."""
    light = image[0, 0]
    height, width = light.shape
    down = (light.sum(1) * (torch.arange(height) - (height - 1) / 2)).sum() / light.sum()
    right = (light.sum(0) * (torch.arange(width) - (width - 1) / 2)).sum() / light.sum()
    return float(down), float(right)


def test_no_angle_changes_nothing() -> None:
    images = torch.rand(3, 3, 7, 10, generator=seeded(0))
    torch.testing.assert_close(turned(images, 0.0), images)


@pytest.mark.parametrize("turns", [-1, 1])
def test_a_quarter_turn_is_numpy_s_which_is_counter_clockwise(turns: int) -> None:
    images = torch.rand(2, 3, 8, 8, generator=seeded(0))
    by_numpy = torch.from_numpy(np.rot90(images.numpy(), turns, axes=(2, 3)).copy())
    torch.testing.assert_close(turned(images, turns), by_numpy, rtol=0, atol=1e-5)


@few
@given(st.floats(-1, 1))
def test_light_on_the_right_rises_by_a_positive_angle(turns: float) -> None:
    down, right = centre(turned(blob(33, 33, down=0, right=8), turns))
    angle = turns * math.pi / 2
    assert down == pytest.approx(-8 * math.sin(angle), abs=0.1)
    assert right == pytest.approx(8 * math.cos(angle), abs=0.1)


@few
@given(st.floats(-1, 1))
@pytest.mark.parametrize(("height", "width"), [(33, 49), (49, 33)])
def test_images_that_are_not_square_turn_by_the_same_angle_without_shear(height: int, width: int, turns: float) -> None:
    down, right = centre(turned(blob(height, width, down=0, right=8), turns))
    angle = turns * math.pi / 2
    assert (down, right) == (pytest.approx(-8 * math.sin(angle), abs=0.1), pytest.approx(8 * math.cos(angle), abs=0.1))


@few
@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_two_rotations_are_one_by_the_sum_up_to_interpolation(first: float, second: float) -> None:
    image = blob(49, 49, down=3, right=6, size=4.0)
    torch.testing.assert_close(turned(turned(image, first), second), turned(image, first + second), rtol=0, atol=0.03)


def test_each_image_turns_by_its_own_angle() -> None:
    image = torch.rand(1, 3, 8, 8, generator=seeded(0))
    both = ROTATION.apply(image.repeat(2, 1, 1, 1), torch.tensor([[0.3], [-0.7]]), tiny.image_schema())
    torch.testing.assert_close(both, torch.cat([turned(image, 0.3), turned(image, -0.7)]))


def test_what_comes_from_outside_is_black_and_no_value_leaves_the_range() -> None:
    image = turned(torch.ones(1, 3, 16, 16), 0.5)
    assert image[0, :, 0, 0].tolist() == [0, 0, 0]
    assert 0 <= float(image.min()) <= float(image.max()) <= 1 + 1e-6


def test_angles_fill_the_range_and_come_from_the_generator() -> None:
    inputs, schema = torch.zeros(4000, 3, 1, 1), tiny.image_schema()
    angles = ROTATION.sample(inputs, schema, seeded(0))
    assert torch.equal(angles, ROTATION.sample(inputs, schema, seeded(0)))
    histogram = torch.histc(angles, bins=4, min=-1, max=1)
    assert float(histogram.sum()) == 4000
    assert (histogram - 1000).abs().max() < 5 * (4000 * 0.25 * 0.75) ** 0.5


def test_the_action_is_the_difference_of_the_angles() -> None:
    first, second = torch.tensor([[0.5], [-1.0]]), torch.tensor([[-0.25], [1.0]])
    assert ROTATION.relative(first, second).tolist() == [[-0.75], [2.0]]
