"""Planar rotation by up to 90 degrees either way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from contextssl_cli.plugin import ActionType, Schema

if TYPE_CHECKING:
    from torch import Generator, Tensor

QUARTER_TURN = math.pi / 2


class Rotation(ActionType):
    """Counter-clockwise angle in quarter turns, uniform in [-1, 1]; the action is the difference of the angles."""

    name = "rotation"
    summary = "planar rotation, uniform in +-90 degrees; one number, in quarter turns, counter-clockwise"
    modality = "image"
    order = 40  # last: the corners that a rotation uncovers stay black, and no blur smears them
    probe = "mlp"

    def width(self, schema: Schema) -> int:
        """One angle."""
        return 1

    def sample(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """(N, 1) angles in quarter turns."""
        import torch

        return (torch.rand(len(inputs), 1, generator=generator) * 2 - 1).to(inputs.device)

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        """Rotate each image about its centre, bilinearly; what comes from outside is black."""
        import torch
        from torch.nn import functional as F

        angle = latents[:, 0] * QUARTER_TURN
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        # The grid maps output to input, in coordinates that end at +-1 on both sides, with y pointing down.
        aspect = inputs.shape[2] / inputs.shape[3]
        theta = torch.stack([cos, -sin * aspect, zero, sin / aspect, cos, zero], dim=1).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(inputs.shape), align_corners=False)
        return F.grid_sample(inputs, grid, align_corners=False)

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """The angle from the first view to the second, in quarter turns."""
        return second - first
