"""The symmetry profile: how equivariant an embedding is to each action type, without a context and under it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from contextssl_cli.evaluation.evaluator import Condition, Evaluator
from contextssl_cli.evaluation.measures import measure
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.store.context import Context

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


def to_dicts(rows: list[ProfileRow]) -> list[dict[str, Any]]:
    """Rows as plain objects, for JSON."""
    return [asdict(row) for row in rows]


def _state(r2: float) -> str:
    if r2 >= EQUIVARIANT:
        return "equivariant"
    return "invariant" if r2 < INVARIANT else "partly equivariant"
