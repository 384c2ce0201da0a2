"""Where the true view stands among an object's views, ranked by similarity to the predicted one (MRR, H@k).

All views of the object are ranked, the source among them, as in the paper: a predictor that ignores the action finds
the source first, and that is a miss.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Similarity = Callable[[Tensor, Tensor], Tensor]
"""Of N predictions (N, D) with V views each (N, V, D): (N, V), more is nearer."""
HITS = (1, 5, 10)
_CHUNK = 1024


def members_of(objects: Tensor) -> tuple[Tensor, Tensor]:
    """The samples of each object (O, V), padded with -1, and the object's row for each sample (N,).

    Args:
        objects: (N,) ids.
    """
    _, row, counts = torch.unique(objects, return_inverse=True, return_counts=True)
    order = torch.argsort(row, stable=True)
    place = torch.arange(len(row)) - (counts.cumsum(0) - counts)[row[order]]
    members = torch.full((len(counts), int(counts.max())), -1)
    members[row[order], place] = order
    return members, row


def inner_product(predicted: Tensor, views: Tensor) -> Tensor:
    """The cosine similarity of what has unit length."""
    return torch.einsum("nd,nvd->nv", predicted, views)


def ranks(
    predicted: Tensor, gallery: Tensor, candidates: Tensor, target: Tensor, similarity: Similarity = inner_product
) -> Tensor:
    """Ranks (N,) from 1 of the true views by similarity; views as similar as the true one count half each.

    Args:
        predicted: (N, D).
        gallery: (M, D).
        candidates: (N, V) rows of the gallery that are ranked for each prediction, padded with -1.
        target: (N,) rows of the true views.
        similarity: of predictions and views.
    """
    found = []
    for asked, rows, true in zip(
        predicted.split(_CHUNK), candidates.split(_CHUNK), target.split(_CHUNK), strict=True
    ):  # fmt: skip
        near = similarity(asked, gallery[rows.clamp(min=0)])
        own = rows == true[:, None]
        reached = near[own][:, None]
        above = (near > reached) & (rows >= 0)
        level = (near == reached) & (rows >= 0) & ~own
        found.append(1 + above.sum(dim=1) + level.sum(dim=1) / 2)
    return torch.cat(found).cpu().double()  # Apple's MPS has no float64


def summary(rank: Tensor) -> dict[str, float]:
    """Mean reciprocal rank and the share of ranks up to each k, by metric."""
    hits = {f"h@{k}": float((rank <= k).double().mean()) for k in HITS}
    return {"mrr": float(rank.reciprocal().mean()), **hits}
