"""Ranks of the view that an action leads to, as a world model or a baseline's own predictor predicts it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from contextssl_cli.evaluation import ranking
from contextssl_cli.evaluation.cache import Values
from contextssl_cli.evaluation.encoded import EncodedSplit, RecordedViews
from contextssl_cli.evaluation.evaluator import Condition, Evaluator
from contextssl_cli.evaluation.results import ENCODER

_BATCH = 4096


@dataclass(frozen=True)
class _Predicted:
    """Predictions (P, R) for pairs, and the representations (N, R) of all views, in one space.

    Attributes:
        views: that are ranked.
        after: predicted for the pairs' second views.
        similarity: that they are ranked by.
        name: of the similarity.
        space: what the space is called in the name of the probe; empty for a run's embeddings.
    """

    views: Tensor
    after: Tensor
    similarity: ranking.Similarity
    name: str
    space: str = ""


def view_ranks(evaluator: Evaluator, conditions: list[Condition]) -> list[Values]:
    """MRR and H@k of the view that an action leads to, among its object's views, for each condition.

    Under a context the world model predicts. A method without a context may have a predictor among its heads; the
    feature of any other predicts nothing, and has no values.
    """
    test = evaluator.test
    if test.recorded is None:
        raise TypeError("the views of this task are not recorded")
    members, row = ranking.members_of(test.recorded.objects)
    counts = sorted({int(count) for count in (members >= 0).sum(dim=1).tolist()})
    among = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    candidates = members[row[test.recorded.source]].to(evaluator.device)
    found: list[Values] = []
    for c in conditions:
        predicted = _predicted(evaluator, c, test, test.recorded)
        if predicted is None:
            found.append({})
            continue
        probe = f"{predicted.name} rank among the {among} views of an object, the source included{predicted.space}"
        target = test.recorded.target.to(evaluator.device)
        rank = ranking.ranks(predicted.after, predicted.views, candidates, target, predicted.similarity)
        found.append({(metric, "view", probe): value for metric, value in ranking.summary(rank).items()})
    return found


def _predicted(
    evaluator: Evaluator, condition: Condition, test: EncodedSplit, recorded: RecordedViews
) -> _Predicted | None:
    if condition.environment == ENCODER:
        return _by_head(evaluator, test, recorded)
    after = evaluator.predictions(condition, test.z_x, dict(test.actions))
    return _Predicted(evaluator.embeddings(condition, recorded.z), after, ranking.inner_product, "cosine")


@torch.no_grad()
def _by_head(evaluator: Evaluator, test: EncodedSplit, recorded: RecordedViews) -> _Predicted | None:
    """What the predictor of a method without a context predicts, each view represented once."""
    if evaluator.predictor is None:
        return None
    method, model = evaluator.predictor
    views = torch.cat([method.represent(model.heads, z.to(model.device)) for z in recorded.z.split(_BATCH)])
    conditions = method.conditions(model, test.actions, len(recorded.source))
    pairs = zip(recorded.source.to(model.device).split(_BATCH), conditions.split(_BATCH), strict=True)
    after = torch.cat([method.predict(model.heads, views[rows], actions) for rows, actions in pairs])
    return _Predicted(views, after, method.similarity, method.similarity_name, ", in its predictor's space")
