"""The losses of ContextSSL. Similarities and losses are computed in float32 whatever the model runs in."""

from __future__ import annotations

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


def auxiliary_loss(estimates: Tensor, targets: Tensor, active: Tensor) -> Tensor:
    """Mean squared error of the latents of y, in the active blocks only (paper section 3.2).

    Args:
        estimates: (K, 2, A) read off the predictions of both tokens of K pairs.
        targets: (K, A) absolute latents of the second view.
        active: (A,) mask of the active blocks' numbers.

    Returns:
        The mean over the active numbers; 0 in the empty environment.
    """
    if not active.any():
        return estimates.sum() * 0
    error = (estimates.float() - targets[:, None].float())[..., active]
    return error.square().mean()
