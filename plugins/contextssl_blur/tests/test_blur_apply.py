"""The blur, read back from spots, and against torchvision."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import functional as tv

from contextssl_blur.blur import LARGEST_SIGMA, UNITS_PER_SIDE, Blur, kernels
from tests import tiny
from tests.draws import seeded

BLUR = Blur()
few = settings(max_examples=30)
sigmas = st.floats(0, LARGEST_SIGMA, width=32)


def blurred(images: Tensor, sigma: float) -> Tensor:
    return BLUR.apply(images, torch.full((len(images), 1), sigma), tiny.image_schema())


def dot(height: int, width: int) -> Tensor:
    """One white pixel, in the middle."""
    image = torch.zeros(1, 3, height, width)
    image[:, :, height // 2, width // 2] = 1
    return image


def variances(image: Tensor) -> Tensor:
    """(2,) second moments of the light about its middle, down and across, in squared pixels."""
    light = image[0, 0].double()
    found = []
    for line in (light.sum(1), light.sum(0)):
        place, share = torch.arange(len(line)), line / line.sum()
        found.append((share * (place - (share * place).sum()) ** 2).sum())
    return torch.stack(found)


def test_no_sigma_changes_nothing() -> None:
    images = torch.rand(3, 3, 7, 10, generator=seeded(0))
    torch.testing.assert_close(blurred(images, 0.0), images, rtol=0, atol=1e-5)


@few
@given(sigmas, sigmas)
@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 64), (48, 32), (64, 90)])
def test_the_action_is_read_back_from_the_widths_of_two_spots(height: int, width: int, a: float, b: float) -> None:
    pixels = min(height, width) / UNITS_PER_SIDE
    action = float(BLUR.relative(torch.tensor([[a]]), torch.tensor([[b]])))
    found = variances(blurred(dot(height, width), b)) - variances(blurred(dot(height, width), a))
    torch.testing.assert_close(found / pixels**2, torch.full((2,), action, dtype=torch.float64), rtol=0, atol=2e-3)


@few
@given(sigmas, sigmas)
def test_the_variances_of_two_blurs_add(a: float, b: float) -> None:
    images = torch.rand(2, 3, 16, 24, generator=seeded(0))
    torch.testing.assert_close(
        blurred(blurred(images, a), b), blurred(images, (a * a + b * b) ** 0.5), rtol=0, atol=1e-5
    )


@few
@given(sigmas)
def test_no_light_is_lost_at_the_edges_and_none_added(sigma: float) -> None:
    images = torch.rand(2, 3, 9, 14, generator=seeded(0)).round()
    found = blurred(images, sigma)
    torch.testing.assert_close(found.mean(dim=(2, 3)), images.mean(dim=(2, 3)), rtol=0, atol=1e-5)
    torch.testing.assert_close(blurred(torch.ones_like(images), sigma), torch.ones_like(images), rtol=0, atol=1e-5)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1


def test_kernels_are_symmetric_positive_and_of_sum_one() -> None:
    found = kernels(24, torch.tensor([0.0, 0.3, 5.0, 60.0]))
    torch.testing.assert_close(found, found.mT)
    torch.testing.assert_close(found.sum(dim=2), torch.ones(4, 24))
    assert float(found.min()) > -1e-6


@pytest.mark.parametrize("pixels", [1.0, 2.0, 3.0])
def test_inside_the_image_it_is_nearly_torchvision_s_sampled_gaussian(pixels: float) -> None:
    images = F.avg_pool2d(torch.rand(1, 3, 68, 68, generator=seeded(0)), 5, stride=1)  # the finest waves differ most
    expected = tv.gaussian_blur(images, [31, 31], [pixels, pixels])
    inside = (..., slice(12, -12), slice(12, -12))
    found = blurred(images, pixels * UNITS_PER_SIDE / 64)
    torch.testing.assert_close(found[inside], expected[inside], rtol=0, atol=0.01)
    assert float((images - expected)[inside].abs().max()) > 0.05


def test_sigmas_fill_their_range() -> None:
    drawn = BLUR.sample(torch.zeros(4000, 3, 1, 1), tiny.image_schema(), seeded(0))
    assert drawn.shape == (4000, BLUR.width(tiny.image_schema()))
    assert (torch.histc(drawn, bins=4, min=0, max=LARGEST_SIGMA) - 1000).abs().max() < 5 * (4000 * 0.25 * 0.75) ** 0.5


def test_the_action_is_the_difference_of_the_variances() -> None:
    first, second = torch.tensor([[0.5], [1.5]]), torch.tensor([[1.0], [0.0]])
    assert BLUR.relative(first, second).tolist() == [[0.75], [-2.25]]
