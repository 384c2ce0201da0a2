"""The words of a symmetry profile."""

from __future__ import annotations

import pytest

from contextssl_cli.evaluation.profile import verdict


@pytest.mark.parametrize(
    ("before", "now", "active", "words"),
    [
        (0.9, 0.95, True, "equivariant to turn (as without context)"),
        (0.9, 0.0, False, "invariant to turn (it was equivariant without context)"),
        (0.101, 0.091, False, "invariant to turn (as without context)"),  # a bound lies between, no effect does
        (0.9, 0.3, False, "partly equivariant to turn (it was equivariant without context)"),
        (0.9, 0.9, False, "equivariant to turn (as without context); the context asked for invariance"),
        (0.9, 0.0, True, "invariant to turn (it was equivariant without context); the context asked for equivariance"),
    ],
)
def test_verdicts(before: float, now: float, active: bool, words: str) -> None:
    assert verdict("turn", before, now, active) == words
