"""Nuisances that several data sets share."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from contextssl_cli.store.schema import Schema


def scarf_corruption(inputs: Tensor, schema: Schema, rate: float, generator: Generator) -> Tensor:
    """Replace each cell of a table, with probability ``rate``, by the same column's value in another row of the batch.

    The batch stands for the empirical marginal distribution of the column (SCARF, Bahri et al., ICLR 2022, section 3).

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
