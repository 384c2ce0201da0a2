"""The rank of the true view among an object's views, by similarity to the predicted one (MRR, H@k).

The view is predicted by the world model, or by a baseline's own predictor. All views of the object are ranked,
including the source, as in the paper: a predictor that ignores the action ranks the source first, which is a miss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from contextssl_cli.evaluation.cache import MeasuredValues
from contextssl_cli.evaluation.encoded import EncodedSplit, RecordedViews
from contextssl_cli.evaluation.evaluator import Condition, Evaluator
from contextssl_cli.evaluation.results import ENCODER

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


@dataclass(frozen=True)
class _Predicted:
    """Predictions (P, R) for pairs, and the representations (N, R) of all views, in one space.

    Attributes:
        views: the ranked ones.
        after: predicted for the pairs' second views.
        similarity: that they are ranked by.
        name: of the similarity.
        space: what the space is called in the name of the probe; empty for a run's embeddings.
    """

    views: Tensor
    after: Tensor
    similarity: Similarity
    name: str
    space: str = ""


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
    found: list[MeasuredValues] = []
    for c in conditions:
        predicted = _predicted(evaluator, c, test, test.recorded)
        if predicted is None:
            found.append({})
            continue
        probe = f"{predicted.name} rank among the {among} views of an object, the source included{predicted.space}"
        target = test.recorded.target.to(evaluator.device)
        rank = ranks(predicted.after, predicted.views, candidates, target, predicted.similarity)
        found.append({(metric, "view", probe): value for metric, value in summary(rank).items()})
    return found


def _predicted(
    evaluator: Evaluator, condition: Condition, test: EncodedSplit, recorded: RecordedViews
) -> _Predicted | None:
    if condition.environment == ENCODER:
        return _by_head(evaluator, test, recorded)
    after = evaluator.predictions(condition, test.z_x, dict(test.actions))
    return _Predicted(evaluator.embeddings(condition, recorded.z), after, inner_product, "cosine")


@torch.no_grad()
def _by_head(evaluator: Evaluator, test: EncodedSplit, recorded: RecordedViews) -> _Predicted | None:
    """Predictions of the heads of a method without a context; each view is represented once."""
    if evaluator.predictor is None:
        return None
    method, model = evaluator.predictor
    views = torch.cat([method.represent(model.heads, z.to(model.device)) for z in recorded.z.split(_BATCH)])
    conditions = method.conditions(model, test.actions, len(recorded.source))
    pairs = zip(recorded.source.to(model.device).split(_BATCH), conditions.split(_BATCH), strict=True)
    after = torch.cat([method.predict(model.heads, views[rows], actions) for rows, actions in pairs])
    return _Predicted(views, after, method.similarity, method.similarity_name, ", in its predictor's space")
