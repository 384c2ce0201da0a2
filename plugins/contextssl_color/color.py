"""Brightness, contrast, saturation and hue of a photograph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from contextssl_cli.errors import UsageError
from contextssl_cli.plugin import ActionType, Schema

if TYPE_CHECKING:
    from torch import Generator, Tensor

BRIGHTNESS = 0.7  # doublings, either way: factors from 0.62 to 1.62
CONTRAST = 0.7
SATURATION = 1.0  # factors from 0.5 to 2
HUE = (
    0.8  # quarter turns, either way: two views differ by less than half the circle, so the way round is never in doubt
)
LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue (ITU-R BT.601)
CHANNELS = 3


class Color(ActionType):
    """Four numbers, each uniform in its range; the action is their differences.

    With factors b, c, s and the angle h, a pixel x becomes ``c b M x + (1 - c) b m``. Here m is the image's mean luma,
    and M keeps the luma of a pixel, scales what is left of it by s and turns that by h (`chroma`). The four changes
    commute, and each adds up with its like: the view of ``a``, changed by ``r``, is the view of ``a + r``, whatever
    ``a`` is. Only values that leave [0, 1] are clipped.
    """

    name = "color"
    summary = (
        "brightness, contrast (+-0.7 doublings), saturation (+-1), hue (+-0.8 quarter turns), uniform; four differences"
    )
    modality = "image"
    order = 10  # first: contrast refers to the mean of the whole image, not to that of a crop or of a turned one

    def width(self, schema: Schema) -> int:
        """Brightness, contrast, saturation, hue.

        Raises:
            UsageError: if the images are not red, green and blue.
        """
        if schema.shape[-1] != CHANNELS:
            raise UsageError(
                f"the action type {self.name!r} takes images of 3 channels (red, green, blue), those of "
                f"{schema.dataset} have {schema.shape[-1]}; choose another action type"
            )
        return 4

    def sample(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """(N, 4) brightness, contrast and saturation in doublings, hue in quarter turns."""
        import torch

        uniform = torch.rand(len(inputs), 4, generator=generator) * 2 - 1
        return (uniform * torch.tensor([BRIGHTNESS, CONTRAST, SATURATION, HUE])).to(inputs.device)

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        """Change each image (N, 3, height, width) by its four numbers."""
        import torch

        brightness, contrast, saturation = latents[:, :3].exp2().T[:, :, None, None]  # (N, 1, 1) each
        matrix = contrast * brightness * chroma(saturation, latents[:, 3, None, None])
        pixels = inputs.flatten(2)  # (N, 3, height * width)
        mean_luma = inputs.new_tensor(LUMA) @ pixels.mean(dim=2)[:, :, None]
        moved = torch.baddbmm((1 - contrast) * brightness * mean_luma[:, :, None], matrix, pixels)
        return moved.clamp_(0, 1).view_as(inputs)

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """The differences, in doublings and quarter turns: the change that takes the first view to the second."""
        return second - first


def chroma(saturation: Tensor, hue: Tensor) -> Tensor:
    """Matrices on (red, green, blue) that scale and turn the part of a colour that is not its luma.

    L = 1 l^T takes a colour to the grey of its luma, P = I - L to the rest, and K, the generator of rotations about the
    grey axis, turns by a quarter what of it is orthogonal to grey. H = P K is that quarter turn in the image of P:
    P 1 = K 1 = 0 gives H P = P H = H and H H = -P, so ``L + s (cos(h) P + sin(h) H)`` composes as a rotation and a
    scaling of the plane do. A third of a turn takes the chroma of pure red to that of green, as a hue does.

    Args:
        saturation: (N, 1, 1) factors.
        hue: (N, 1, 1) angles in quarter turns, from red towards green.

    Returns:
        (N, 3, 3) matrices.
    """
    import torch

    luma = saturation.new_tensor(LUMA).expand(CHANNELS, CHANNELS)
    rest = torch.eye(CHANNELS, device=luma.device) - luma
    generator = luma.new_tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    angle = hue * (math.pi / 2)
    return luma + saturation * (angle.cos() * rest + angle.sin() * (rest @ generator))
