"""Profiles: what an embedding under a context is equivariant and invariant to, and what a guard removes.

Everything is measured on the run's test split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contextssl_cli.evaluation.evaluator import Condition, Evaluator
from contextssl_cli.evaluation.measures import measure
from contextssl_cli.evaluation.probes import action_probe_name, can_be_read
from contextssl_cli.evaluation.results import Key
from contextssl_cli.evaluation.strong_probes import LOGISTIC, MLP, RIDGE_CV, strong_accuracy, strong_regress
from contextssl_cli.plugin.attribute import AttributeChange
from contextssl_cli.plugin.kinds import ActionType
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.store.context import Context
from contextssl_cli.store.schema import Schema
from contextssl_cli.training.metrics import pooled_r2

_EQUIVARIANT = 0.5
_INVARIANT = 0.1
_CHANGED = 0.05
"""A difference in R2 below this is no change, even across one of the two thresholds."""

_Array = NDArray[Any]
Symmetry = Literal["equivariant", "partly equivariant", "hidden", "invariant"]


@dataclass(frozen=True)
class ProfileRow:
    """How well one action type is read by two probes, and the verdict in words.

    Attributes:
        action: the action type.
        target: the attribute that it changes, where it changes one; else the action type.
        r2_without, r2_now: without context and under it, by the paper's probe.
        probe: the name of the paper's probe.
        strong_r2_without, strong_r2_now: the same by the strong probe.
        strong_probe: the name of the strong probe.
        verdict: what the embedding is under the context, and how that differs from no context.
    """

    action: str
    target: str
    r2_without: float
    r2_now: float
    probe: str
    strong_r2_without: float
    strong_r2_now: float
    strong_probe: str
    verdict: str


def symmetry_profile(evaluator: Evaluator, context: Context) -> list[ProfileRow]:
    """Measure every action type of the run without context and under ``context``."""
    shown = environment_name(context.environment)
    conditions = [Condition("without", 0), Condition(shown, 2 * len(context), context)]
    measured = measure(evaluator, conditions, metrics=["r2"], action_probes=["ridge-cv"])
    rows = []
    for action in evaluator.task.actions:
        probe = action_probe_name(action.probe, evaluator.config)
        before, now = (
            tuple(measured[Key(c.environment, c.length, "r2", action.name, name)] for name in (probe, RIDGE_CV))
            for c in conditions
        )
        target = changed_attribute(action, evaluator.store.schema) or action.name
        words = verdict(
            target,
            before,
            now,
            shown=action.name in context.environment,
            probe="MLP" if action.probe == "mlp" else action.probe,
            guard=action.name if action.name in context.changes else None,
        )
        rows.append(ProfileRow(action.name, target, before[0], now[0], probe, before[1], now[1], RIDGE_CV, words))
    return rows


def symmetry(r2: float, strong: float) -> Symmetry:
    """What an embedding is to an action type, from the R2 of the paper's probe and of a strong one.

    An embedding is equivariant if the paper's probe reads the action, and invariant only if neither probe does.
    """
    if r2 >= _EQUIVARIANT:
        return "equivariant"
    if r2 >= _INVARIANT:
        return "partly equivariant"
    return "hidden" if strong >= _INVARIANT else "invariant"


def verdict(
    target: str, before: Sequence[float], now: Sequence[float], *, shown: bool, probe: str, guard: str | None
) -> str:
    """The profile of one action type in words.

    Args:
        target: the action type, or the attribute that it changes.
        before: R2 without context by the paper's probe and by the strong one.
        now: the same under the context.
        shown: whether the context shows the action type, and so asks for equivariance.
        probe: a word for the paper's probe.
        guard: the name by which ``adapt --guard`` removes the action type; None if the context has no pairs for it.
    """
    state, was = symmetry(*now), symmetry(*before)
    if state == "hidden":
        words = (
            f"{target} is hidden from the {probe} probe (R2 {now[0]:.2f}), readable by a strong probe ({now[1]:.2f})"
        )
    else:
        words = f"{state} to {target}"
    alike = state == was or all(abs(a - b) < _CHANGED for a, b in zip(before, now, strict=True))
    parts = [f"{words}, as without context" if alike else f"{words}; {was} without context"]
    if state in (("invariant", "hidden") if shown else ("equivariant",)):
        parts.append(f"the context asked for {'equivariance' if shown else 'invariance'}")
    if guard and not shown and state != "invariant":
        parts.append(f"--guard {guard} removes it")
    return "; ".join(parts)


def changed_attribute(action: ActionType, schema: Schema) -> str | None:
    """The attribute or categorical column that an action type changes, if it is one that changes an attribute."""
    return action.attribute(schema) if isinstance(action, AttributeChange) else None


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
    evaluator: Evaluator, context: Context, guard: Callable[[_Array], _Array], action: str
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

    def embed(features: Tensor) -> tuple[_Array, _Array]:
        before = evaluator.embeddings(condition, features).cpu().numpy()
        return before, guard(before)

    singles = embed(evaluator.train.z), embed(evaluator.test.z)
    rows = []
    guarded = next(one for one in evaluator.task.actions if one.name == action)
    attribute = changed_attribute(guarded, evaluator.store.schema)
    if attribute in evaluator.store.schema.attributes:
        rows += _labels(evaluator, attribute, *singles, (LOGISTIC, MLP))
    else:
        rows += _actions(evaluator, action, embed)
    for task in evaluator.store.schema.tasks:
        rows += _labels(evaluator, task, *singles, (LOGISTIC,))
    return rows


def _labels(
    evaluator: Evaluator, target: str, fit: tuple[_Array, _Array], judge: tuple[_Array, _Array],
    probes: Sequence[str],
) -> list[GuardRow]:  # fmt: skip
    labels, truth = evaluator.train.classes(target), evaluator.test.classes(target)
    if not can_be_read(labels, truth):
        return []
    parts = list(zip(fit, judge, strict=True))
    return [
        GuardRow("accuracy", target, probe, *(
            strong_accuracy(probe, train, labels.numpy(), test, truth.numpy()) for train, test in parts
        ))
        for probe in probes
    ]  # fmt: skip


def _actions(evaluator: Evaluator, name: str, embed: Callable[[Tensor], tuple[_Array, _Array]]) -> list[GuardRow]:
    train, test = evaluator.train, evaluator.test
    fit, judge = (
        [torch.from_numpy(np.hstack(views)) for views in zip(embed(part.z_x), embed(part.z_y), strict=True)]
        for part in (train, test)
    )
    parts, wanted, truth = list(zip(fit, judge, strict=True)), train.actions[name], test.actions[name]
    return [
        GuardRow("r2", name, probe, *(pooled_r2(strong_regress(f, wanted, j, probe), truth) for f, j in parts))
        for probe in (RIDGE_CV, MLP)
    ]
