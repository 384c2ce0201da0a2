"""The losses of the methods. Similarities and losses are computed in float32 whatever the model runs in."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F


def nt_xent(pairs: Tensor, temperature: float, similarity_floor: float | None = None) -> Tensor:
    """Normalised temperature-scaled cross-entropy of every token (paper equation 2; SimCLR, equation 1).

    Each token's positive is the other token of its pair, every other token is a negative.

    Args:
        pairs: (K, 2, D) predictions of both tokens of K pairs; with context contrast, pairs of several environments.
        temperature: of the softmax.
        similarity_floor: clamp cosine similarities from below, as the authors' code does at 1e-7.

    Returns:
        (K, 2), in nats; the loss is their mean.
    """
    tokens = F.normalize(pairs.float(), dim=-1).flatten(0, 1)  # (2 K, D)
    similarity = tokens @ tokens.T
    if similarity_floor is not None:
        similarity = similarity.clamp(min=similarity_floor)
    logits = similarity / temperature
    logits = logits.masked_fill(torch.eye(len(tokens), dtype=torch.bool, device=logits.device), -torch.inf)
    partner = torch.arange(len(tokens), device=logits.device) ^ 1
    return F.cross_entropy(logits, partner, reduction="none").view(-1, 2)


def auxiliary_loss(estimates: Tensor, targets: Tensor, active: Tensor, std: Tensor) -> Tensor:
    """Mean squared error of the latents of y, in the active blocks only (paper section 3.2).

    Args:
        estimates: (K, 2, A) read off the predictions of both tokens of K pairs.
        targets: (K, A) absolute latents of the second view.
        active: (A,) mask of the active blocks' numbers.
        std: (A,) the unit in which an error counts, so that one weight serves latents of any range.

    Returns:
        The mean over the active numbers; 0 in the empty environment.
    """
    if not active.any():
        return estimates.sum() * 0
    error = ((estimates.float() - targets[:, None].float()) / std)[..., active]
    return error.square().mean()


def linear_readout(embeddings: Tensor, latents: Tensor, ridge: float = 1e-3) -> Tensor:
    """What a linear probe reads of latents in a batch: R2 of ridge regression, in closed form and differentiable.

    With standardised embeddings e and latents l of N samples, and c = e^T l / N, it is
    ``tr(c^T (e^T e / N + ridge I)^-1 c) / width``.

    Args:
        embeddings: (N, D).
        latents: (N, width).
        ridge: added to the diagonal of the embeddings' correlations.

    Returns:
        Between 0 and 1; about D / N for embeddings that know nothing.
    """
    exact = torch.float32 if embeddings.device.type == "mps" else torch.float64  # MPS has no double precision
    e, target = _standardised(embeddings.to(exact)), _standardised(latents.to(exact))
    cross = e.T @ target / len(e)
    correlations = e.T @ e / len(e) + ridge * torch.eye(e.shape[1], dtype=e.dtype, device=e.device)
    explained: Tensor = (cross * torch.linalg.solve(correlations, cross)).sum()
    return explained.float() / target.shape[1]


def weighted_sum(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The terms of a loss by name, each times its weight, added up."""
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum()


def squared_distances(ones: Tensor, others: Tensor) -> Tensor:
    """Squared distances of every one (N, D) to every other (M, D): (N, M).

    By the matrix product, which at N = M = 256 is two orders of magnitude faster than N M differences are.
    """
    squares = ones.square().sum(dim=1)[:, None] + others.square().sum(dim=1)
    return (squares - 2 * ones @ others.T).clamp(min=0)  # rounding may leave a little less than 0


def as_pairs(first: Tensor, second: Tensor) -> Tensor:
    """(N, D) twice -> (N, 2, D), as ``nt_xent`` takes them."""
    return torch.stack([first, second], dim=1)


def variance(outputs: Tensor) -> Tensor:
    """How far the numbers' standard deviations fall short of 1 (VICReg, equations 1 and 2): a mean over (N, D)."""
    return F.relu(1 - (outputs.float().var(dim=0) + 1e-4).sqrt()).mean()


def covariance(outputs: Tensor) -> Tensor:
    """Squared covariances of different numbers, summed and divided by D (VICReg, equations 3 and 4), of (N, D)."""
    centred = outputs.float() - outputs.float().mean(dim=0)
    matrix = centred.T @ centred / (len(centred) - 1)
    return (matrix.square().sum() - matrix.diagonal().square().sum()) / len(matrix)


def _standardised(columns: Tensor) -> Tensor:
    return (columns - columns.mean(dim=0)) / columns.std(dim=0, correction=0).clamp(min=1e-8)
