"""The crop, read back from ramps and spots."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from contextssl_crop.crop import LONGEST_ASPECT, SMALLEST_AREA, Crop
from tests import tiny
from tests.draws import seeded

CROP = Crop()
few = settings(max_examples=30)


@st.composite
def crops(draw: st.DrawFn) -> Tensor:
    """(1, 4) latents as they are drawn in training."""
    return CROP.sample(torch.zeros(1, 3, 1, 1), tiny.image_schema(), seeded(draw(st.integers(0, 10_000))))


def cropped(images: Tensor, latents: Tensor) -> Tensor:
    return CROP.apply(images, latents.expand(len(images), -1), tiny.image_schema())


def coordinates(length: int) -> Tensor:
    """Of the pixels' centres, from -1 to 1 at the edges."""
    return (torch.arange(length) + 0.5) * 2 / length - 1


def ramps(height: int, width: int) -> Tensor:
    """An image whose channels hold each pixel's y, x and zero, brought to [0, 1]."""
    y, x = torch.meshgrid(coordinates(height), coordinates(width), indexing="ij")
    return ((torch.stack([y, x, torch.zeros_like(y)]) + 1) / 2)[None]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 12)])
def test_the_whole_image_is_itself(height: int, width: int) -> None:
    images = torch.rand(3, 3, height, width, generator=seeded(0))
    torch.testing.assert_close(cropped(images, torch.tensor([[0.0, 0, 1, 1]])), images, rtol=0, atol=1e-5)


@few
@given(crops())
@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 40)])
def test_the_parameters_are_read_back_from_ramps(height: int, width: int, latents: Tensor) -> None:
    seen = cropped(ramps(height, width), latents)[0] * 2 - 1
    rows, columns = seen[0].mean(dim=1)[4:-4], seen[1].mean(dim=0)[4:-4]  # at the edges the image goes on as it ends
    found = []
    for line, length in ((rows, height), (columns, width)):
        place = coordinates(length)[4:-4]
        found += [line.mean(), (line[-1] - line[0]) / (place[-1] - place[0])]
    torch.testing.assert_close(torch.stack(found)[[0, 2, 1, 3]], latents[0], rtol=0, atol=1e-4)


@few
@given(crops(), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_a_spot_moves_to_where_it_lies_in_the_crop(latents: Tensor, down: float, right: float) -> None:
    """The place of the spot is given within the crop, so it is always seen."""
    y, x, height, width = latents[0].tolist()
    at = coordinates(96)
    spot = torch.exp(-((at[:, None] - y - height * down) ** 2 + (at - x - width * right) ** 2) / (2 * 0.05**2))
    light = cropped(spot.expand(1, 3, -1, -1), latents)[0, 0]
    assert float((light.sum(1) * at).sum() / light.sum()) == pytest.approx(down, abs=0.01)
    assert float((light.sum(0) * at).sum() / light.sum()) == pytest.approx(right, abs=0.01)


@few
@given(crops(), crops())
def test_a_crop_of_a_crop_is_the_crop_in_its_coordinates(outer: Tensor, inner: Tensor) -> None:
    at = coordinates(64)
    smooth = 0.5 + 0.25 * (torch.sin(3 * at)[:, None] + torch.cos(2 * at + 1)).expand(1, 3, -1, -1)
    both = torch.cat([outer[:, :2] + outer[:, 2:] * inner[:, :2], outer[:, 2:] * inner[:, 2:]], dim=1)
    torch.testing.assert_close(cropped(cropped(smooth, outer), inner), cropped(smooth, both), rtol=0, atol=0.02)


def test_an_edge_of_the_image_is_not_darkened() -> None:
    corner = torch.tensor([[-0.4, -0.4, 0.6, 0.6]])
    torch.testing.assert_close(cropped(torch.ones(1, 3, 8, 8), corner), torch.ones(1, 3, 8, 8))


def test_crops_lie_inside_the_image_and_fill_their_ranges() -> None:
    drawn = CROP.sample(torch.zeros(4000, 3, 1, 1), tiny.image_schema(), seeded(0))
    assert drawn.shape == (4000, CROP.width(tiny.image_schema()))
    centre, size = drawn[:, :2], drawn[:, 2:]
    assert float((centre.abs() + size).max()) <= 1 + 1e-6
    assert float(size.max()) <= 1 + 1e-6
    areas = torch.histc(size.prod(dim=1), bins=4, min=SMALLEST_AREA, max=1 + 1e-6)
    assert (areas - 1000).abs().max() < 5 * (4000 * 0.25 * 0.75) ** 0.5
    ratio = (size[:, 1] / size[:, 0]).log()
    assert 0.95 * math.log(LONGEST_ASPECT) < float(ratio.abs().max()) <= math.log(LONGEST_ASPECT) + 1e-5
    assert abs(float(ratio.mean())) < 0.02
    slack = (centre / (1 - size))[(size < 0.99).all(dim=1)]
    assert float(slack.min()) < -0.95
    assert float(slack.max()) > 0.95


def test_the_action_is_the_way_of_the_centre_and_the_log_ratio_of_the_sizes() -> None:
    first, second = torch.tensor([[0.1, -0.2, 0.8, 0.5]]), torch.tensor([[-0.1, 0.2, 0.4, 0.75]])
    expected = torch.tensor([[-0.2, 0.4, -math.log(2), math.log(1.5)]])
    torch.testing.assert_close(CROP.relative(first, second), expected)
