"""The colour of photographs, against torchvision and colorsys, and read back from what it did."""

from __future__ import annotations

import colorsys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms import functional as tv

from contextssl_cli.errors import UsageError
from contextssl_color.color import BRIGHTNESS, CONTRAST, HUE, LUMA, SATURATION, Color
from tests import tiny
from tests.draws import seeded

COLOR = Color()
SCHEMA = tiny.image_schema()
RANGES = torch.tensor([BRIGHTNESS, CONTRAST, SATURATION, HUE])
THIRD_OF_A_TURN = 4 / 3  # in quarter turns
few = settings(max_examples=30)
latents = st.tuples(*(st.floats(-r, r, width=32) for r in RANGES.tolist()))


def images(count: int = 3, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * torch.rand(count, 3, 6, 9, generator=seeded(0))


def changed(image: Tensor, *four: float) -> Tensor:
    return COLOR.apply(image, torch.tensor([four]).expand(len(image), -1), SCHEMA)


def luma(image: Tensor) -> Tensor:
    return torch.einsum("nchw,c->nhw", image, torch.tensor(LUMA))


def measured(image: Tensor) -> Tensor:
    """(N, 4) how bright, contrasted, saturated and turned images are, in doublings and quarter turns."""
    grey = luma(image)
    green_red, blue = image[:, 1] - image[:, 0], image[:, 2]  # the plane orthogonal to grey
    plane = torch.complex(image[:, 0] - (image[:, 1] + blue) / 2, (green_red + image[:, 0] - blue) * 3**0.5 / 2)
    mean = plane.mean(dim=(1, 2))
    brightness, contrast = grey.mean(dim=(1, 2)), grey.std(dim=(1, 2)) / grey.mean(dim=(1, 2))
    saturation = mean.abs() / brightness / contrast  # brightness and contrast scale the chroma with the luma
    return torch.stack([brightness.log2(), contrast.log2(), saturation.log2(), mean.angle() / (torch.pi / 2)], dim=1)


def test_four_zeros_change_nothing() -> None:
    torch.testing.assert_close(changed(images(), 0, 0, 0, 0), images(), rtol=0, atol=1e-6)


@few
@given(st.floats(-1, 1, width=32))
def test_each_factor_is_torchvision_s(doublings: float) -> None:
    factor = 2**doublings
    for place, reference in enumerate((tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation)):
        four = [0.0, 0.0, 0.0, 0.0]
        four[place] = doublings
        expected = torch.stack([reference(image, factor) for image in images()])
        torch.testing.assert_close(changed(images(), *four), expected, rtol=0, atol=1e-3)  # its luma has four digits


@few
@given(st.floats(0, 1), st.floats(-HUE, HUE))
def test_the_hue_turns_as_that_of_colorsys_does(hue: float, turns: float) -> None:
    colour = torch.tensor(colorsys.hsv_to_rgb(hue, 0.1, 0.5)).view(1, 3, 1, 1)
    found = colorsys.rgb_to_hsv(*changed(colour, 0, 0, 0, turns).flatten().tolist())[0]
    error = (found - hue - turns / 4 + 0.5) % 1 - 0.5
    assert abs(error) < 2.5 / 360  # its hexagon and our circle differ by up to 1.2 degrees at each end


def test_a_third_of_a_turn_takes_the_red_of_each_grey_to_green_and_green_to_blue() -> None:
    image = images(low=0.4, high=0.6)
    turned = changed(image, 0, 0, 0, THIRD_OF_A_TURN)
    grey = image.mean(dim=1, keepdim=True), turned.mean(dim=1, keepdim=True)
    torch.testing.assert_close(turned - grey[1], (image - grey[0]).roll(1, dims=1), rtol=0, atol=1e-6)


@few
@given(latents, latents)
def test_the_action_between_two_views_is_read_back_from_them(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    tinted = images(low=0.35, high=0.4) + torch.tensor([0.04, 0.0, -0.04]).view(3, 1, 1)
    first, second = changed(tinted, *a), changed(tinted, *b)
    action = COLOR.relative(torch.tensor([a]), torch.tensor([b])).expand(3, -1)
    found = measured(second) - measured(first)
    found[:, 3] = (found[:, 3] + 2) % 4 - 2  # the shorter way round, which is the way it went
    torch.testing.assert_close(found, action, rtol=0, atol=1e-3)


@few
@given(latents, latents)
def test_two_changes_are_one_by_the_sum(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    image = images(low=0.19, high=0.21)  # narrow, so that nothing is clipped
    both = [x + y for x, y in zip(a, b, strict=True)]
    torch.testing.assert_close(changed(changed(image, *a), *b), changed(image, *both), rtol=0, atol=1e-5)


@pytest.mark.parametrize("four", [(0.7, 0.7, 1.0, 0.8), (0.7, -0.7, 1.0, -0.8), (-0.7, 0.7, -1.0, 0.8)])
def test_what_leaves_the_range_is_clipped(four: tuple[float, ...]) -> None:
    found = changed(images().round(), *four)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1


def test_saturation_and_hue_leave_grey_and_luma_as_they_are() -> None:
    image = images(low=0.45, high=0.55)
    torch.testing.assert_close(luma(changed(image, 0, 0, 1, 0.8)), luma(image), rtol=0, atol=1e-6)
    grey = image[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(changed(grey, 0, 0, 1, 0.8), grey, rtol=0, atol=1e-6)


def test_parameters_fill_their_ranges_and_two_hues_differ_by_less_than_half_the_circle() -> None:
    drawn = COLOR.sample(torch.zeros(4000, 3, 1, 1), SCHEMA, seeded(0))
    assert drawn.shape == (4000, COLOR.width(SCHEMA))
    for share in (drawn / RANGES).T:
        assert (torch.histc(share, bins=4, min=-1, max=1) - 1000).abs().max() < 5 * (4000 * 0.25 * 0.75) ** 0.5
    assert 2 * HUE < 2


def test_images_that_are_not_red_green_and_blue_are_refused() -> None:
    with pytest.raises(UsageError, match="tiny have 1"):
        COLOR.width(tiny.image_schema(shape=(8, 8, 1)))
