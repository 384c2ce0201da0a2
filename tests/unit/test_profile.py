"""The symmetry profile: two probes decide, and what the strong one reads is never called invariant."""

from __future__ import annotations

import pytest
import torch

from contextssl_cli.evaluation import probes
from contextssl_cli.evaluation.profile import Symmetry, symmetry, verdict
from contextssl_cli.evaluation.strong_probes import strong_regress
from contextssl_cli.training.metrics import pooled_r2
from tests.draws import seeded


@pytest.mark.parametrize(
    ("r2", "strong", "state"),
    [
        (0.9, 0.95, "equivariant"),
        (0.9, 0.0, "equivariant"),  # an MLP reads what no linear probe does
        (0.3, 0.95, "partly equivariant"),
        (0.3, 0.0, "partly equivariant"),
        (0.01, 0.87, "hidden"),
        (-0.4, 0.11, "hidden"),
        (0.01, 0.02, "invariant"),
        (-0.4, -0.01, "invariant"),
    ],
)
def test_a_type_is_invariant_only_if_no_probe_reads_it(r2: float, strong: float, state: Symmetry) -> None:
    assert symmetry(r2, strong) == state


CASES: list[tuple[tuple[float, float], tuple[float, float], bool, str | None, list[str], list[str]]] = [
    ((0.9, 0.9), (0.95, 0.9), True, None, ["equivariant to sex", "as without context"], ["asked", "guard"]),
    ((0.9, 0.9), (0.01, 0.87), False, "gender", ["sex is hidden", "R2 0.01", "(0.87)", "--guard gender"], ["asked"]),
    ((0.9, 0.9), (0.01, 0.87), False, None, ["sex is hidden", "equivariant without context"], ["guard"]),
    ((0.9, 0.9), (0.0, 0.0), False, "gender", ["invariant to sex", "equivariant without context"], ["guard", "asked"]),
    ((0.101, 0.1), (0.091, 0.09), False, None, ["invariant to sex", "as without context"], ["partly"]),
    ((0.9, 0.9), (0.3, 0.9), False, "gender", ["partly equivariant to sex", "--guard gender"], ["asked"]),
    ((0.9, 0.9), (0.9, 0.9), False, "gender", ["equivariant to sex", "invariance", "--guard gender"], ["invariant to"]),
    ((0.9, 0.9), (0.0, 0.0), True, None, ["invariant to sex", "asked for equivariance"], ["guard"]),
    ((0.9, 0.9), (0.0, 0.8), True, "gender", ["sex is hidden", "asked for equivariance"], ["guard"]),
]


@pytest.mark.parametrize(("before", "now", "shown", "guard", "said", "not_said"), CASES)
def test_verdicts(
    before: tuple[float, float],
    now: tuple[float, float],
    shown: bool,
    guard: str | None,
    said: list[str],
    not_said: list[str],
) -> None:
    words = verdict("sex", before, now, shown=shown, probe="linear", guard=guard)
    assert [part for part in said if part not in words] == []
    assert [part for part in not_said if part in words] == []


def test_the_strong_probe_reads_a_direction_that_the_fixed_penalty_hides() -> None:
    generator = seeded(0)
    loud = torch.randn(1500, 12, generator=generator)
    hidden = torch.randn(1500, 2, generator=generator)
    # Differences of columns, far below the columns themselves; and a constant column.
    numbers = torch.cat([loud, loud[:, :2] + 0.02 * hidden, torch.ones(1500, 1)], dim=1)
    fit, judge = slice(0, 1000), slice(1000, None)
    weak = pooled_r2(probes.ridge(numbers[fit], hidden[fit], numbers[judge]), hidden[judge])
    strong = pooled_r2(strong_regress(numbers[fit], hidden[fit], numbers[judge]), hidden[judge])
    assert weak < 0.1
    assert strong > 0.99


def test_the_strong_probe_reads_nothing_where_there_is_nothing() -> None:
    numbers, targets = (torch.randn(400, size, generator=seeded(size)) for size in (64, 3))
    found = strong_regress(numbers[:200], targets[:200], numbers[200:])
    assert found.shape == (200, 3)
    assert pooled_r2(found, targets[200:]) > -0.1
    assert pooled_r2(probes.ridge(numbers[:200], targets[:200], numbers[200:], 1e-6), targets[200:]) < -0.2
