"""The two hues of the digits, against Python's colorsys."""

from __future__ import annotations

import colorsys

import torch
from hypothesis import given
from hypothesis import strategies as st

from contextssl_cli.plugin.registry import registry
from contextssl_digits.two_hues import (
    BACKGROUND_VALUE,
    FOREGROUND_VALUE,
    HUE_RANGE,
    SATURATION,
    TwoHues,
    hue_to_rgb,
)
from tests import tiny
from tests.draws import seeded

COLOR = TwoHues()
SCHEMA = tiny.image_schema(2, 2)
hues = st.integers(0, 100).map(lambda hundredths: HUE_RANGE * hundredths / 100)
shares = st.floats(0, 1, width=32)


@given(st.floats(0, 1, width=32), shares, shares)
def test_a_hue_is_the_colour_that_colorsys_gives(hue: float, saturation: float, value: float) -> None:
    found = hue_to_rgb(torch.tensor([hue]), saturation, value)[0]
    torch.testing.assert_close(found, torch.tensor(colorsys.hsv_to_rgb(hue, saturation, value)), rtol=0, atol=1e-5)


@given(hues, hues, shares)
def test_light_takes_the_first_hue_dark_the_second_and_grey_their_mixture(
    first: float, second: float, grey: float
) -> None:
    foreground = torch.tensor(colorsys.hsv_to_rgb(first, SATURATION, FOREGROUND_VALUE))
    background = torch.tensor(colorsys.hsv_to_rgb(second, SATURATION, BACKGROUND_VALUE))
    image = torch.tensor([1.0, 0.0, grey, grey]).view(1, 1, 2, 2).expand(-1, 3, -1, -1)
    found = COLOR.apply(image, torch.tensor([[first, second]]), SCHEMA)[0].flatten(1).T
    mixture = grey * foreground + (1 - grey) * background
    torch.testing.assert_close(found, torch.stack([foreground, background, mixture, mixture]), rtol=0, atol=1e-5)


def test_each_image_takes_its_own_hues() -> None:
    image = torch.rand(1, 3, 2, 2, generator=seeded(0))
    latents = torch.tensor([[0.1, 0.7], [0.5, 0.3]])
    both = COLOR.apply(image.repeat(2, 1, 1, 1), latents, SCHEMA)
    one_by_one = torch.cat([COLOR.apply(image, row[None], SCHEMA) for row in latents])
    torch.testing.assert_close(both, one_by_one)
    assert not torch.allclose(both[0], both[1])


def test_hues_stay_short_of_the_full_circle_and_come_from_the_generator() -> None:
    inputs = torch.zeros(2000, 3, 2, 2)
    drawn = COLOR.sample(inputs, SCHEMA, seeded(0))
    assert drawn.shape == (2000, COLOR.width(SCHEMA))
    assert 0 <= float(drawn.min()) < 0.05 * HUE_RANGE
    assert 0.95 * HUE_RANGE < float(drawn.max()) <= HUE_RANGE < 1
    assert torch.equal(drawn, COLOR.sample(inputs, SCHEMA, seeded(0)))


@given(hues, hues, hues, hues)
def test_the_action_is_the_difference_of_the_hues(a: float, b: float, c: float, d: float) -> None:
    first, second = torch.tensor([[a, b]]), torch.tensor([[c, d]])
    torch.testing.assert_close(first + COLOR.relative(first, second), second)
    assert not COLOR.relative(first, first).any()


def test_the_digits_take_their_own_colour_and_not_that_of_photographs() -> None:
    digits = registry().dataset("digits")
    assert isinstance(registry().action(digits, "color"), TwoHues)
    assert not isinstance(registry().actions.get("color"), TwoHues)


def test_a_seed_gives_the_hues_and_the_images_that_the_published_digits_were_trained_on() -> None:
    hues = COLOR.sample(torch.zeros(2, 3, 2, 2), SCHEMA, torch.Generator().manual_seed(5))
    expected = [[0.6642014980316162, 0.10088872909545898], [0.725975751876831, 0.6559416651725769]]
    assert hues.tolist() == expected
    colours = COLOR.apply(torch.full((2, 3, 1, 1), 0.25), hues, SCHEMA).flatten(1)
    expected = [[0.425, 0.3095579, 0.325], [0.1961708, 0.1443050, 0.625]]
    torch.testing.assert_close(colours, torch.tensor(expected), rtol=0, atol=1e-6)
