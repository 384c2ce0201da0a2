"""A rectangle of an image, enlarged to the size of the whole."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from contextssl_cli.plugin import ActionType, Schema

if TYPE_CHECKING:
    from torch import Generator, Tensor

SMALLEST_AREA = 0.3  # of the image
LONGEST_ASPECT = 4 / 3  # of the crop's share of the width to its share of the height, or the other way round


class Crop(ActionType):
    """Centre and size of the rectangle; the action is the way of the centre and the log ratios of the sizes.

    The coordinates of an image run from -1 to 1, top to bottom and left to right, so a crop covers centre +- size, and
    that of the whole image is (0, 0, 1, 1). The area is uniform in [0.3, 1] of the image; the logarithm of the aspect
    ratio uniform in +-log(4/3), or as much of it as the area allows; the centre uniform over where the crop is inside.
    """

    name = "crop"
    summary = "centre y, x (-1 to 1) and height, width (shares) of a part of 0.3 to 1; differences, natural log ratios"
    modality = "image"
    order = 20  # before all that moves or smooths: the rectangle is one of the original image

    def width(self, schema: Schema) -> int:
        """Centre down, centre right, height, width."""
        return 4

    def sample(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """(N, 4) centre y and x in [-1, 1], height and width as shares of the image's."""
        import torch

        area, aspect, *centre = torch.rand(len(inputs), 4, generator=generator).T
        log_area = (SMALLEST_AREA + (1 - SMALLEST_AREA) * area).log()
        # height = sqrt(area / ratio) and width = sqrt(area * ratio) are both at most 1 for |log ratio| <= -log area
        log_ratio = (2 * aspect - 1) * (-log_area).clamp(max=math.log(LONGEST_ASPECT))
        size = ((log_area + torch.stack([-log_ratio, log_ratio])) / 2).exp().T  # (N, 2)
        centre_of = (2 * torch.stack(centre, dim=1) - 1) * (1 - size)
        return torch.cat([centre_of, size], dim=1).to(inputs.device)

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        """Enlarge each image's rectangle bilinearly to the size of the image.

        A crop is never larger than the image, so it is sampled at least as densely as the image is: nothing can alias.
        """
        import torch
        from torch.nn import functional as F

        y, x, height, width = latents.T
        zero = torch.zeros_like(y)
        theta = torch.stack([width, zero, x, zero, height, y], dim=1).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(inputs.shape), align_corners=False)
        # Between the outermost pixels' centres and the edge, the image goes on as it ends.
        return F.grid_sample(inputs, grid, padding_mode="border", align_corners=False)

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """(N, 4) the way of the centre in half sides of the image, and the natural log ratios of height and width."""
        return self.absolute(second) - self.absolute(first)

    def absolute(self, latents: Tensor) -> Tensor:
        """(N, 4) the centre as it is, and the natural logarithms of height and width."""
        import torch

        return torch.cat([latents[:, :2], latents[:, 2:].log()], dim=1)
