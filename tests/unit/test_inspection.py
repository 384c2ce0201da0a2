"""What an inspection concludes from scores that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from contextssl_cli.evaluation.inspection import Inspection, LeftOut, Reading, _leave_one_out, _lengths, _suffices
from contextssl_cli.report.summary import print_inspection
from contextssl_cli.store.context import Context

STRONG = {"turn": 0.9}


def reading(pairs: int, score: float, *, beyond: bool = False) -> Reading:
    return Reading(pairs, beyond, 5, {"turn": score}, score, 0.0)


def test_lengths_are_powers_of_two_the_trained_length_and_all_pairs() -> None:
    assert _lengths(90, 63) == [0, 1, 2, 4, 8, 16, 32, 63, 64, 90]
    assert _lengths(8, 63) == [0, 1, 2, 4, 8]
    assert _lengths(2, 63) == [0, 1, 2]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.0, 0.79, 0.5, 0.78, 0.8], 4),  # a good short one before a bad longer one does not count
        ([0.0, 0.79, 0.781, 0.9, 0.8], 1),
        ([0.8, 0.8, 0.8, 0.8, 0.8], 0),
        ([0.0, 0.1, 0.2, 0.3, 0.8], 8),
    ],
)
def test_the_fewest_pairs_from_which_on_the_score_stays(scores: list[float], expected: int) -> None:
    profile = [reading(pairs, score) for pairs, score in zip([0, 1, 2, 4, 8], scores, strict=True)]
    assert _suffices([*profile, reading(16, 0.0, beyond=True)]) == expected


def test_a_pair_hurts_only_beyond_chance() -> None:
    assert LeftOut(0, 0.02, 0.005).hurts
    assert not LeftOut(0, 0.02, 0.007).hurts
    assert not LeftOut(0, 0.004, 0.0001).hurts


def test_what_a_context_brings_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    profile = [reading(pairs, score) for pairs, score in ((0, 0.1), (1, 0.7), (2, 0.9), (4, 0.9))]
    left_out = [LeftOut(0, 0.03, 0.002), LeftOut(1, -0.2, 0.01), LeftOut(2, 0.004, 0.0001), LeftOut(3, 0.0, 0.0)]
    found = Inspection(
        "turn", 8, 4, [*profile, reading(8, 0.6, beyond=True)], 2, left_out, "ridge", STRONG, "strong", 100, 50
    )
    print_inspection(found, as_json=False)
    told = capsys.readouterr().out
    for words in (
        "the context raises the score by 0.800: score 0.100 without a pair, 0.900 with 4",
        "pairs that suffice: 2 of 4",
        "pair 0 hurts: without it the score changes by +0.030 (standard error 0.002)",
        "the pair that helps most is 1: without it the score changes by -0.200",
        "score 0.600 with 8, 0.900 with 4; adapt reads the first 4",
    ):
        assert words in told
    assert "pair 2 hurts" not in told


def test_a_context_may_lower_the_score_or_change_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hurting = [LeftOut(pair, 0.01 * (pair + 1), 0.001) for pair in range(7)]
    harmful = Inspection(
        "turn", 7, 7, [reading(0, 0.9), reading(7, 0.1)], 7, hurting, "ridge", STRONG, "strong", 100, 50
    )
    print_inspection(harmful, as_json=False)
    told = capsys.readouterr().out
    assert "the context lowers the score by 0.800" in told
    assert "pair 6 hurts" in told
    assert "2 more hurt, by less: 1, 0" in told
    idle = [LeftOut(0, 0.0, 0.0), LeftOut(1, 0.001, 0.0)]
    print_inspection(
        Inspection("turn", 2, 4, [reading(0, 0.9), reading(2, 0.91)], 0, idle, "ridge", STRONG, "strong", 9, 9),
        as_json=False,
    )
    told = capsys.readouterr().out
    for words in ("changes nothing", "no pair hurts", "no pair is needed"):
        assert words in told
    assert "suffice" not in told


class _Known:
    """R2 of "turn" is 0.9 without pair 2, 0.8 with it; that of "tint" is 0.1 without pair 0, 0.2 with it."""

    signs = {"turn": 1.0, "tint": -1.0}  # noqa: RUF012
    held_out = torch.arange(4)

    def errors(self, context: Context) -> dict[str, Tensor]:
        pairs = set(context.x[:, 0].tolist())
        lost = {"turn": 0.2 if 2 in pairs else 0.1, "tint": 0.8 if 0 in pairs else 0.9}
        return {name: torch.full((4,), value / 4).double() for name, value in lost.items()}

    def score(self, r2: dict[str, float]) -> float:
        return r2["turn"] - r2["tint"]


def test_leaving_one_out_finds_the_pairs_that_hurt() -> None:
    x = np.arange(4, dtype=np.float32)[:, None]
    found = _leave_one_out(_Known(), Context(x, x, {"turn": x}))  # type: ignore[arg-type]
    assert [one.change for one in found] == pytest.approx([0.1, 0.0, 0.1, 0.0])
    assert [one.hurts for one in found] == [True, False, True, False]
    assert [one.error for one in found] == pytest.approx([0.0] * 4)
