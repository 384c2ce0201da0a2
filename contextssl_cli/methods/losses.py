"""Losses that several methods share. They are computed in float32, whatever the precision of the model."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F


def weighted_sum(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of the terms of a loss; a term without a weight has weight 1."""
    return torch.stack([weights.get(name, 1.0) * term for name, term in terms.items()]).sum()


def squared_distances(ones: Tensor, others: Tensor) -> Tensor:
    """Squared distances between (N, D) and (M, D): (N, M).

    The matrix product is two orders of magnitude faster than differences at N = M = 256.
    """
    squares = ones.square().sum(dim=1)[:, None] + others.square().sum(dim=1)
    return (squares - 2 * ones @ others.T).clamp(min=0)  # rounding may give less than 0


def as_pairs(first: Tensor, second: Tensor) -> Tensor:
    """(N, D) twice -> (N, 2, D), the form that ``nt_xent`` takes."""
    return torch.stack([first, second], dim=1)


def variance(outputs: Tensor) -> Tensor:
    """How far the standard deviations of the D columns fall short of 1, on average (VICReg, equations 1 and 2)."""
    return F.relu(1 - (outputs.float().var(dim=0) + 1e-4).sqrt()).mean()


def covariance(outputs: Tensor) -> Tensor:
    """Squared covariances of different columns of (N, D), summed and divided by D (VICReg, equations 3 and 4)."""
    centred = outputs.float() - outputs.float().mean(dim=0)
    matrix = centred.T @ centred / (len(centred) - 1)
    return (matrix.square().sum() - matrix.diagonal().square().sum()) / len(matrix)
