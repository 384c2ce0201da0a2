"""The comparison of an experiment that was made again with its page."""

from __future__ import annotations

import copy
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.report.result_table import Cell

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "benchmarks" / "regenerated.py"))


def page(name: str) -> Any:
    return json.loads((ROOT / "docs" / "results" / f"{name}.json").read_text(encoding="utf-8"))["parts"][0]


@pytest.mark.parametrize(
    ("one", "other", "units"),
    [
        (Cell(1.0, 0.3, 2), Cell(2.0, 0.4, 3), 2.0),  # 1 / sqrt(0.3² + 0.4²)
        (Cell(1.0), Cell(1.5, 0.5, 3), 0.5**0.5),  # the single run has the other's spread
        (Cell(1.0, 0.0, 2), Cell(1.0, 0.0, 2), 0.0),
        (Cell(1.0, 0.0, 2), Cell(1.1, 0.0, 2), float("inf")),
        (Cell(0.2), Cell(0.2 + 1e-16, 1e-17, 3), 0.0),  # what a mean over three seeds makes of 0.2
    ],
)
def test_the_unit_is_the_spread_of_a_difference(one: Cell, other: Cell, units: float) -> None:
    assert SCRIPT["distance"](one, other) == pytest.approx(units)


@pytest.mark.parametrize("name", ["figure3", "fairness-adult"])
def test_a_page_is_itself_again(name: str) -> None:
    part = page(name)
    found = SCRIPT["compared"](part, part)
    assert found["runs"] == found["runs_on_page"] == found["same_weights"]
    assert found["figures"] == found["within_one"] == found["within_two"] > 50
    assert found["beyond_two"] == []


def test_a_difference_without_a_spread_is_named() -> None:
    part = page("figure3")
    other = copy.deepcopy(part)
    for each in (part, other):
        each["tables"][0]["rows"]["sen, told rotation"]["gap"]["std"] = 0.0
    other["tables"][0]["rows"]["sen, told rotation"]["gap"]["mean"] += 1
    (one,) = SCRIPT["compared"](other, part)["beyond_two"]
    assert one["units"] is None


def test_figures_of_single_runs_have_the_largest_difference_of_their_column() -> None:
    part = page("figure3")
    part["tables"] = part["tables"][:1]
    for line in part["tables"][0]["rows"].values():
        for cell in line.values():
            cell |= {"runs": 1, "std": 0.0}
    other = copy.deepcopy(part)
    rows = other["tables"][0]["rows"]
    rows["simclr"]["top-1 %"]["mean"] -= 0.5
    rows["vicreg"]["top-1 %"]["mean"] += 0.25
    found = SCRIPT["compared"](other, part)
    assert found["figures"] == 0
    assert {name: size for name, size in found["largest_of_single_runs"].items() if size} == {
        "top-1 %": pytest.approx(0.5)
    }


def test_a_figure_beyond_its_spread_is_named() -> None:
    part = page("figure3")
    other = copy.deepcopy(part)
    cell = other["tables"][0]["rows"]["sen, told rotation"]["gap"]
    cell["mean"] += 5 * cell["std"]
    other["points"] = other["points"][:1]
    found = SCRIPT["compared"](other, part)
    assert found["within_two"] == found["figures"] - 1
    (one,) = found["beyond_two"]
    assert one["figure"][1:] == ["sen, told rotation", "gap"]
    assert one["units"] == pytest.approx(5 / 2**0.5)
    assert found["same_weights"] == found["runs"] == 3
