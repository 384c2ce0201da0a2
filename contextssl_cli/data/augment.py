"""View augmentations that several data sets share."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from contextssl_cli.store.schema import Schema


def scarf_corruption(inputs: Tensor, schema: Schema, rate: float, generator: Generator) -> Tensor:
    """Replace each cell of a table, with probability ``rate``, by the same column's value in another row of the batch.

    The batch approximates the marginal distribution of the column (SCARF, Bahri et al., ICLR 2022, section 3).

    Args:
        inputs: (N, features), encoded by ``schema.columns``.
        schema: of the table.
        rate: of corrupted cells, 0 to 1.
        generator: the source of randomness.
    """
    rows, columns = len(inputs), len(schema.columns)
    corrupt = torch.rand(rows, columns, generator=generator) < rate
    donors = torch.randint(rows, (rows, columns), generator=generator)
    column_of_place = torch.empty(inputs.shape[1], dtype=torch.long)
    for number, column in enumerate(schema.columns):
        column_of_place[column.start : column.stop] = number
    donated = inputs.gather(0, donors[:, column_of_place])
    return torch.where(corrupt[:, column_of_place], donated, inputs)


def jitter(inputs: Tensor, shift: float, zoom: float, generator: Generator) -> Tensor:
    """Move and stretch each image a little, drawn for each image and axis; uncovered borders are black.

    Args:
        inputs: (N, channels, height, width).
        shift: largest displacement, as a fraction of the side.
        zoom: largest relative change of the height and of the width.
        generator: the source of randomness.
    """
    drawn = 2 * torch.rand(len(inputs), 4, generator=generator) - 1
    maps = torch.zeros(len(inputs), 2, 3)
    maps[:, 0, 0], maps[:, 1, 1] = (1 + zoom * drawn[:, :2]).unbind(1)
    maps[:, :, 2] = 2 * shift * drawn[:, 2:]  # the image spans -1 to 1
    grid = F.affine_grid(maps.to(inputs), list(inputs.shape), align_corners=False)
    return F.grid_sample(inputs, grid, align_corners=False)


def horizontal_flip(inputs: Tensor, generator: Generator) -> Tensor:
    """Mirror each image, left to right, with probability one half.

    Args:
        inputs: (N, channels, height, width).
        generator: the source of randomness.
    """
    mirrored = torch.rand(len(inputs), 1, 1, 1, generator=generator) < 0.5
    return torch.where(mirrored.to(inputs.device), inputs.flip(-1), inputs)
