"""The rank of the true view among an object's views, by similarity to the predicted one (MRR, H@k).

The view is predicted by the world model, or by a baseline's own predictor. All views of the object are ranked,
including the source, as in the paper: a predictor that ignores the action ranks the source first, which is a miss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from contextssl_cli.evaluation.cache import MeasuredValues
from contextssl_cli.evaluation.encoded import EncodedSplit, RecordedViews
from contextssl_cli.evaluation.evaluator import Condition, Evaluator
from contextssl_cli.evaluation.results import ENCODER
from contextssl_cli.methods.base import Predicting
from contextssl_cli.model.encoders import EncoderModel

Similarity = Callable[[Tensor, Tensor], Tensor]
"""Similarities (N, V) of N predictions (N, D) and V views each (N, V, D); larger is nearer."""
HITS = (1, 5, 10)
_CHUNK = 1024
_BATCH = 4096


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
    """The cosine similarity of vectors of unit length."""
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


def view_ranks(evaluator: Evaluator, conditions: list[Condition]) -> list[MeasuredValues]:
    """MRR and H@k of the view that an action leads to, among its object's views, for each condition.

    Under a context the world model predicts. A method without a context may have a predictor among its heads; a
    feature without one has no values.
    """
    test = evaluator.test
    if test.recorded is None:
        raise TypeError("the views of this task are not recorded")
    members, row = members_of(test.recorded.objects)
    counts = sorted({int(count) for count in (members >= 0).sum(dim=1).tolist()})
    among = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    candidates = members[row[test.recorded.source]].to(evaluator.device)
    target = test.recorded.target.to(evaluator.device)
    found: list[MeasuredValues] = []
    for c in conditions:
        similarity, name, space = inner_product, "cosine", ""
        if c.environment != ENCODER:
            views = evaluator.embeddings(c, test.recorded.z)
            after = evaluator.predictions(c, test.z_x, dict(test.actions))
        elif evaluator.predictor is not None:
            method, model = evaluator.predictor
            views, after = _by_head(method, model, test, test.recorded)
            similarity, name, space = method.similarity, method.similarity_name, ", in its predictor's space"
        else:
            found.append({})
            continue
        probe = f"{name} rank among the {among} views of an object, the source included{space}"
        rank = ranks(after, views, candidates, target, similarity)
        found.append({(metric, "view", probe): value for metric, value in summary(rank).items()})
    return found


@torch.no_grad()
def _by_head(
    method: Predicting[Any], model: EncoderModel, test: EncodedSplit, recorded: RecordedViews
) -> tuple[Tensor, Tensor]:
    """Representations (N, R) of all views, and those that the heads of a method predict for the pairs' second views."""
    views = torch.cat([method.represent(model.heads, z.to(model.device)) for z in recorded.z.split(_BATCH)])
    conditions = method.conditions(model, test.actions, len(recorded.source))
    pairs = zip(recorded.source.to(model.device).split(_BATCH), conditions.split(_BATCH), strict=True)
    return views, torch.cat([method.predict(model.heads, views[rows], actions) for rows, actions in pairs])
