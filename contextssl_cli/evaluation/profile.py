"""Profiles: what an embedding under a context is equivariant and invariant to, and what a guard removes.

Everything is measured on the run's test split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from torch import Tensor

from contextssl_cli.evaluation.evaluator import Condition, Evaluator
from contextssl_cli.evaluation.measures import measure
from contextssl_cli.evaluation.probes import can_be_read
from contextssl_cli.evaluation.strong_probes import (
    LEAST_SQUARES,
    LOGISTIC,
    MLP,
    fit_quietly,
    least_squares,
    mlp_classifier,
    mlp_regressor,
    strong_classifier,
)
from contextssl_cli.plugin.attribute import AttributeChange
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.store.context import Context
from contextssl_cli.training.metrics import pooled_r2

EQUIVARIANT = 0.5
INVARIANT = 0.1
"""R2 from which on, and below which, the words say so; between them the embedding is partly equivariant."""
CHANGED = 0.05
"""A smaller difference in R2 is none, on whichever sides of these bounds its ends are."""


@dataclass(frozen=True)
class ProfileRow:
    """One action type's R2 on the run's test split, by the paper's probe, and the verdict in words."""

    action: str
    r2_without: float
    r2_now: float
    probe: str
    verdict: str


def symmetry_profile(evaluator: Evaluator, context: Context) -> list[ProfileRow]:
    """Measure every action type of the run without context and under ``context``."""
    name = environment_name(context.environment)
    conditions = [Condition("without", 0), Condition(name, 2 * len(context), context)]
    measured = measure(evaluator, conditions, metrics=["r2"], readers=[])
    before = {key.target: value for key, value in measured.items() if key.environment == "without"}
    rows = []
    for key, now in measured.items():
        if key.environment == name:
            words = verdict(key.target, before[key.target], now, key.target in context.environment)
            rows.append(ProfileRow(key.target, before[key.target], now, key.probe, words))
    return rows


def verdict(action: str, before: float, now: float, active: bool) -> str:
    """The profile of one action type in words, from its R2 before and now, and whether the context shows it."""
    state = _state(now)
    alike = _state(before) == state or abs(now - before) < CHANGED
    change = "as without context" if alike else f"it was {_state(before)} without context"
    words = f"{state} to {action} ({change})"
    if active != (state == "equivariant") and state != "partly equivariant":
        words += f"; the context asked for {'equivariance' if active else 'invariance'}"
    return words


def _state(r2: float) -> str:
    if r2 >= EQUIVARIANT:
        return "equivariant"
    return "invariant" if r2 < INVARIANT else "partly equivariant"


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


def guard_profile(
    evaluator: Evaluator, context: Context, guard: Callable[[Array], Array], action: str
) -> list[GuardRow]:
    """Strong probes of the guarded type, and of every task, fitted to the training split and judged on the test split.

    A sensitive attribute is read from single embeddings, any other type's relative action from those of two views.

    Args:
        evaluator: of the run.
        context: that the embeddings are under.
        guard: maps embeddings (N, D) to guarded ones.
        action: the guarded action type.
    """
    condition = Condition("guarded", 2 * len(context), context)

    def embed(features: Tensor) -> tuple[Array, Array]:
        before = evaluator.embeddings(condition, features).cpu().numpy()
        return before, guard(before)

    singles = embed(evaluator.train.z), embed(evaluator.test.z)
    rows = []
    attribute = _attribute(evaluator, action)
    if attribute:
        rows += _labels(evaluator, attribute, *singles, {LOGISTIC: strong_classifier, MLP: mlp_classifier})
    else:
        rows += _actions(evaluator, action, embed)
    for task in evaluator.store.schema.tasks:
        rows += _labels(evaluator, task, *singles, {LOGISTIC: strong_classifier})
    return rows


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
