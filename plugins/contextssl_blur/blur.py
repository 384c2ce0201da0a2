"""Gaussian blur, exact on the grid of pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from contextssl_cli.plugin import ActionType, Schema

if TYPE_CHECKING:
    from torch import Generator, Tensor

UNITS_PER_SIDE = 32  # one unit of sigma is a pixel of an image whose shorter side has 32
LARGEST_SIGMA = 1.5


class Blur(ActionType):
    """A Gaussian's sigma, uniform in [0, 1.5] 32nds of the shorter side; the action is the difference of variances.

    The variances of Gaussians add: blurred by sigma 1 and again by 1, an image is blurred by the root of 2. So the
    difference of sigma^2 is the blur that takes one view to the other, whatever the first view's is (negative to a
    sharper view); the difference of sigma is not. Logarithms have no place for a sharp view.
    """

    name = "blur"
    summary = (
        "Gaussian sigma, uniform in [0, 1.5], in 32nds of the shorter side (pixels of 32 x 32); difference of sigma^2"
    )
    modality = "image"
    order = 30  # after crop, which enlarges what was blurred before; before the black corners of a rotation

    def width(self, schema: Schema) -> int:
        """One variance."""
        return 1

    def sample(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """(N, 1) sigmas in 32nds of the shorter side."""
        import torch

        return (torch.rand(len(inputs), 1, generator=generator) * LARGEST_SIGMA).to(inputs.device)

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        """Blur each image by its sigma; at the edges it is mirrored, so no light is lost."""
        import torch

        count, channels, height, width = inputs.shape
        variance = (latents[:, 0] * min(height, width) / UNITS_PER_SIDE).square()  # of pixels
        along_rows = torch.bmm(inputs.reshape(count, channels * height, width), kernels(width, variance))
        return (kernels(height, variance)[:, None] @ along_rows.view_as(inputs)).clamp_(0, 1)

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """(N, 1) the difference of the variances, in squared 32nds of the shorter side."""
        return self.absolute(second) - self.absolute(first)

    def absolute(self, latents: Tensor) -> Tensor:
        """(N, 1) the variance."""
        return latents.square()


def kernels(length: int, variance: Tensor) -> Tensor:
    """The matrices that blur a line of pixels.

    They hold the discrete analogue of the Gaussian, whose variances add exactly on a grid, unlike those of a sampled
    Gaussian (Lindeberg, Scale-space for discrete signals, IEEE PAMI 12(3), 1990). On a line that is mirrored at its
    ends it is diagonal in the basis of cosines: wave k of n is damped by exp(-variance (1 - cos(pi k / n))).

    Args:
        length: of the line, in pixels.
        variance: (N,) of the Gaussians, in squared pixels.

    Returns:
        (N, length, length) symmetric matrices whose rows sum to 1.
    """
    import torch

    frequency = torch.arange(length, dtype=torch.float64) * (math.pi / length)
    waves = torch.cos(frequency[:, None] * (torch.arange(length) + 0.5)) * math.sqrt(2 / length)
    waves[0] /= math.sqrt(2)  # orthonormal, a wave in each row (DCT-II)
    waves, rate = waves.to(variance), (1 - torch.cos(frequency)).to(variance)
    damping = torch.exp(-variance[:, None] * rate)  # (N, length)
    return (waves.T * damping[:, None, :]) @ waves
