"""Finding the nearest real record of another group of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 1 << 20
"""Distances that are held at a time: 8 MiB, which caches hold."""
_DECIMALS = 6  # below this, squared distances differ by the order of a sum


def nearest(asked: Tensor, among: Tensor, chunk: int = CHUNK) -> Tensor:
    """The row of ``among`` that is nearest to each row of ``asked``, by Euclidean distance; (N,) row numbers.

    Distances are computed in float64 and rounded, and of equal ones the first row wins: neither the division into
    chunks nor the number of threads changes the answer. Beside the tables, ``chunk`` distances are in memory at a time.

    Args:
        asked: (N, D).
        among: (M, D), M at least 1.
        chunk: distances at a time.
    """
    import torch

    other = among.double()
    lengths = other.square().sum(1)  # |a - b|^2 = |a|^2 - 2 ab + |b|^2, and |a|^2 is the same for all candidates
    parts = asked.double().split(max(1, chunk // len(other)))
    return torch.cat(
        [torch.addmm(lengths, part, other.T, alpha=-2).round_(decimals=_DECIMALS).argmin(1) for part in parts]
    )
