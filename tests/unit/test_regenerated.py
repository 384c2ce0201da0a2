"""The comparison of an experiment that was made again with its page."""

from __future__ import annotations

import copy
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.report.tables import Cell

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "benchmarks" / "regenerated.py"))


def page(name: str) -> Any:
    return json.loads((ROOT / "docs" / "results" / f"{name}.json").read_text(encoding="utf-8"))["parts"][0]


def cell(part: Any, label: str, metric: str) -> Any:
    """A cell of the first table."""
    table = part["tables"][0]
    (row,) = [row for row in table["rows"] if row["labels"] == [label]]
    return row["cells"][[column["metric"] for column in table["columns"]].index(metric)]


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
        cell(each, "sen, given rotation", "adaptation_gap")["std"] = 0.0
    cell(other, "sen, given rotation", "adaptation_gap")["mean"] += 1
    (one,) = SCRIPT["compared"](other, part)["beyond_two"]
    assert one["units"] is None


def test_figures_of_single_runs_have_the_largest_difference_of_their_column() -> None:
    part = page("figure3")
    part["tables"] = part["tables"][:1]
    for line in part["tables"][0]["rows"]:
        for one in filter(None, line["cells"]):
            one |= {"runs": 1, "std": 0.0}
    other = copy.deepcopy(part)
    cell(other, "simclr", "top1")["mean"] -= 0.005
    cell(other, "vicreg", "top1")["mean"] += 0.0025
    found = SCRIPT["compared"](other, part)
    assert found["figures"] == 0
    (largest,) = [one for one in found["largest_of_single_runs"] if one["difference"]]
    assert (largest["column"]["metric"], largest["difference"]) == ("top1", pytest.approx(0.005))


def test_a_figure_beyond_its_spread_is_named() -> None:
    part = page("figure3")
    other = copy.deepcopy(part)
    one = cell(other, "sen, given rotation", "adaptation_gap")
    one["mean"] += 5 * one["std"]
    other["points"] = other["points"][:1]
    found = SCRIPT["compared"](other, part)
    assert found["within_two"] == found["figures"] - 1
    (one,) = found["beyond_two"]
    assert (one["labels"], one["column"]["metric"]) == (["sen, given rotation"], "adaptation_gap")
    assert one["units"] == pytest.approx(5 / 2**0.5)
    assert found["same_weights"] == found["runs"] == 3
