"""The benchmarks of selection: drawing and counting, and that their figures become a page."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contextssl_cli.selection.select import Selection

GENERATE = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "generate.py"))
SCRIPTS = Path(__file__).parents[2] / "benchmarks"
DIGITS = runpy.run_path(str(SCRIPTS / "selection.py"))
ADULT = runpy.run_path(str(SCRIPTS / "selection_fairness.py"))
TRUTH = {"shown": {"gender": 1.0}, "empty": {"gender": 0.7}, "none": {"gender": 0.95}}


def made(chosen: str, *, decided: bool) -> Selection:
    return Selection((), chosen, decided, "", 5, 0.0)


def test_draws_are_balanced_and_bins_of_equal_size() -> None:
    values = DIGITS["bins"](np.random.default_rng(0).normal(size=40), 4)
    assert np.bincount(values).tolist() == [10, 10, 10, 10]
    rows = DIGITS["balanced"](values, 5, np.random.default_rng(0))
    assert len(set(rows.tolist())) == 20
    assert np.bincount(values[rows]).tolist() == [5, 5, 5, 5]


def test_picks_and_verdicts_are_counted() -> None:
    selections = [made("a", decided=True), made("a", decided=False), made("b", decided=True), made("b", decided=True)]
    assert DIGITS["counted"](selections, "a", ("a", "b", "c")) == {
        "a": 2, "b": 2, "c": 0, "cannot tell": 1, "sure and right": 1, "sure and wrong": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("objective", "meeting", "right"),
    [
        ({"at_most": {"gender": 0.9}}, ["empty"], 2),
        ({"at_most": {"gender": 0.96}}, ["empty", "none"], 3),
        ({"at_least": {"gender": 0.95}}, ["shown", "none"], 1),
        ({"at_most": {"gender": 0.5}}, [], 1),  # the refusal
    ],
)
def test_a_choice_is_judged_by_the_test_split(objective: dict[str, Any], meeting: list[str], right: int) -> None:
    selections = [made("empty", decided=True), made("empty", decided=False), made("none", decided=True), None]
    found = ADULT["judged"](selections, ADULT["Objective"]("income", (4,), **objective), TRUTH)
    assert found["meeting"] == meeting
    assert found["picked"] == {"shown": 0, "empty": 2, "none": 1}
    assert (found["refused"], found["right"], found["cannot tell"]) == (1, right, 1)
    assert found["sure and right"] + found["sure and wrong"] == 2


def test_the_tables_add_up_over_runs() -> None:
    stored = json.loads((SCRIPTS.parent / "docs" / "results" / "selection.json").read_text(encoding="utf-8"))
    two, every = (GENERATE["_digits_table"](stored["digits"], name) for name in ("two", "all"))
    assert len(two.rows) == len(every.rows) == 3 * len(stored["digits"]["runs"])
    for row in two.rows:
        assert sum(map(int, row[-3:])) == sum(map(int, row[2:4])) == stored["digits"]["draws"]

    test, *objectives = GENERATE["_adult_tables"](stored["adult"])
    assert len(test.rows) == 3 * len({run["pairing"] for run in stored["adult"]["runs"]})
    for table, name in zip(objectives, stored["adult"]["objectives"], strict=True):
        assert table.title.endswith(name)
        for row in table.rows:
            line = dict(zip(table.header, row, strict=True))
            runs = line["right, by run"].split(", ")
            draws = stored["adult"]["draws"] * len(runs)
            verdicts = ("refused", "cannot tell", "sure and right", "sure and wrong")
            assert sum(int(line[column]) for column in verdicts) == draws
            assert 0 <= sum(map(int, runs)) <= draws
