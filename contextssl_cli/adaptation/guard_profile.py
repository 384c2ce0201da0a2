"""What a guard holds down, and what it costs: strong probes of the embeddings before and after it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from contextssl_cli.adaptation.context_encoder import ContextEncoder
from contextssl_cli.evaluation.evaluator import Condition, Evaluator
from contextssl_cli.evaluation.probes import LOGISTIC, can_be_read, strong_classifier
from contextssl_cli.plugin.attribute import AttributeChange
from contextssl_cli.store.context import Context
from contextssl_cli.training.metrics import pooled_r2

MLP = "MLP 64 (scikit-learn, whitened)"
LEAST_SQUARES = "least squares (scikit-learn, standardised)"

_VARIANCE = 1 - 1e-9  # directions that were removed hold rounding errors alone, and whitening would blow them up
_HIDDEN: dict[str, Any] = {
    "hidden_layer_sizes": (64,), "early_stopping": True, "max_iter": 60, "batch_size": 256,
    "learning_rate_init": 3e-3, "random_state": 0,
}  # fmt: skip

Array = NDArray[Any]


@dataclass(frozen=True)
class GuardRow:
    """One figure of one strong probe on the run's test split, without the guard and with it.

    Attributes:
        metric: ``accuracy``, or ``r2`` pooled over the outputs.
        target: the guarded attribute or action type, or a task: what the guard costs.
    """

    metric: str
    target: str
    probe: str
    before: float
    after: float


def guard_profile(evaluator: Evaluator, encoder: ContextEncoder) -> list[GuardRow]:
    """Strong probes of the guarded type, and of every task, fitted to the training split and judged on the test split.

    A sensitive attribute is read from single embeddings, any other type's relative action from those of two views.

    Args:
        evaluator: of the encoder's run.
        encoder: under a context (not the path of one), with a guard.
    """
    guard, context = encoder.guard_, encoder.context
    if guard is None or not isinstance(context, Context):
        raise ValueError("expected an encoder under a context, with a guard")
    condition = Condition("guarded", 2 * len(context), context)

    def embed(features: Tensor) -> tuple[Array, Array]:
        before = evaluator.embeddings(condition, features).cpu().numpy()
        return before, guard(before)

    singles = embed(evaluator.train.z), embed(evaluator.test.z)
    rows = []
    attribute = _attribute(evaluator, str(encoder.guard))
    if attribute:
        rows += _labels(evaluator, attribute, *singles, {LOGISTIC: strong_classifier, MLP: mlp_classifier})
    else:
        rows += _actions(evaluator, str(encoder.guard), embed)
    for task in evaluator.store.schema.tasks:
        rows += _labels(evaluator, task, *singles, {LOGISTIC: strong_classifier})
    return rows


def least_squares() -> Pipeline:
    """Linear, in closed form, without regularisation."""
    return make_pipeline(StandardScaler(), LinearRegression())


def mlp_classifier() -> Pipeline:
    """An MLP on whitened numbers, so that no direction is too small for it to find."""
    return make_pipeline(PCA(_VARIANCE, whiten=True, svd_solver="full"), MLPClassifier(**_HIDDEN))


def mlp_regressor() -> Pipeline:
    """As ``mlp_classifier``, for numbers."""
    return make_pipeline(PCA(_VARIANCE, whiten=True, svd_solver="full"), MLPRegressor(**_HIDDEN))


def fit_quietly(probe: Pipeline, inputs: Array, targets: Array) -> Pipeline:
    """Fit a probe that may stop before it has converged: its epochs are part of its definition."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Got `batch_size` less than 1 or larger", UserWarning)  # all at once, then
        return probe.fit(inputs, targets)


def _attribute(evaluator: Evaluator, name: str) -> str | None:
    """The sensitive attribute that an action type changes, if it is one."""
    action = next(action for action in evaluator.task.actions if action.name == name)
    schema = evaluator.store.schema
    found = action.attribute(schema) if isinstance(action, AttributeChange) else None
    return found if found in schema.attributes else None


def _labels(
    evaluator: Evaluator, target: str, fit: tuple[Array, Array], judge: tuple[Array, Array],
    probes: dict[str, Callable[[], Pipeline]],
) -> list[GuardRow]:  # fmt: skip
    labels, truth = evaluator.train.classes(target), evaluator.test.classes(target)
    if not can_be_read(labels, truth):
        return []
    known, asked = (labels >= 0).numpy(), (truth >= 0).numpy()
    rows = []
    for name, probe in probes.items():
        fitted = [fit_quietly(probe(), part[known], labels.numpy()[known]) for part in fit]
        scores = [f.score(part[asked], truth.numpy()[asked]) for f, part in zip(fitted, judge, strict=True)]
        rows.append(GuardRow("accuracy", target, name, *map(float, scores)))
    return rows


def _actions(evaluator: Evaluator, name: str, embed: Callable[[Tensor], tuple[Array, Array]]) -> list[GuardRow]:
    train, test = evaluator.train, evaluator.test
    fit, judge = (
        [np.hstack(views) for views in zip(embed(split.z_x), embed(split.z_y), strict=True)] for split in (train, test)
    )
    targets, truth = train.actions[name].numpy(), test.actions[name].numpy()
    rows = []
    for probe, make in {LEAST_SQUARES: least_squares, MLP: mlp_regressor}.items():
        outputs = [fit_quietly(make(), f, _flat(targets)).predict(j) for f, j in zip(fit, judge, strict=True)]
        rows.append(
            GuardRow(
                "r2",
                name,
                probe,
                *(pooled_r2(torch.from_numpy(o.reshape(truth.shape)), torch.from_numpy(truth)) for o in outputs),
            )
        )
    return rows


def _flat(targets: Array) -> Array:
    return targets[:, 0] if targets.shape[1] == 1 else targets
