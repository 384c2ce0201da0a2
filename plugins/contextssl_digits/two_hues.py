"""The digits' own colour: two hues, of the foreground (bright) and of the background (dark)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contextssl_cli.plugin import ActionType, Schema

if TYPE_CHECKING:
    from torch import Generator, Tensor

HUE_RANGE = 0.8  # short of the full circle, on which 0 and 1 would look alike and no probe could tell them apart
SATURATION = 0.8
FOREGROUND_VALUE = 1.0
BACKGROUND_VALUE = 0.5


class TwoHues(ActionType):
    """Hues in [0, 0.8], from red to violet; the action is their difference.

    A pixel of luminance g becomes ``g * foreground + (1 - g) * background``, so the two colours of an image
    follow its light and shade. Grey digits have no colour to change, so they are given one: the general ``color``,
    which changes that of photographs, would do nothing to their hue and saturation.
    """

    name = "color"
    summary = "hue of foreground and of background, each uniform in [0, 0.8]; two differences of hue"
    modality = "image"
    order = 10

    def width(self, schema: Schema) -> int:
        """Two hues."""
        return 2

    def sample(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """(N, 2) hues of foreground and background."""
        import torch

        return (HUE_RANGE * torch.rand(len(inputs), 2, generator=generator)).to(inputs.device)

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        """Colour each image (N, 3, height, width) by its two hues."""
        luminance = inputs.mean(dim=1, keepdim=True)
        foreground = hue_to_rgb(latents[:, 0], SATURATION, FOREGROUND_VALUE)[:, :, None, None]
        background = hue_to_rgb(latents[:, 1], SATURATION, BACKGROUND_VALUE)[:, :, None, None]
        return luminance * foreground + (1 - luminance) * background

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """The differences of the hues, in [-0.8, 0.8]."""
        return second - first


def hue_to_rgb(hue: Tensor, saturation: float, value: float) -> Tensor:
    """(N, 3) colours in [0, 1] of (N,) hues in [0, 1] at one saturation and value (the HSV hexcone)."""
    import torch

    # f(n) = V - V S max(0, min(k, 4 - k, 1)), k = (n + 6 H) mod 6, with n = 5, 3, 1 for red, green, blue
    k = (torch.tensor([5.0, 3.0, 1.0], device=hue.device) + 6 * hue[:, None]) % 6
    return value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1)
