"""Does an experiment give its page again? Two files of ``contextssl reproduce`` side by side, in units of their spread.

Run: ``python benchmarks/regenerated.py AGAIN.json PAGE.json --out again.json``. Compares every figure that both have,
part by part, and adds the parts to the file. The unit is the standard deviation of the difference between a run of
the one and a run of the other; a file with a single run borrows the other's spread. A figure with a single run in both
has no unit: these are counted apart, with the largest difference in each column. Lists the figures that differ by more
than two units, counts the runs with the very same weights, and keeps the means of the first table that is not about
fairness, here and on the page.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from contextssl_cli import files
from contextssl_cli.report.result_table import Cell

Name = tuple[str, str, str]
"""Table, row and column."""
_ROUNDING = 1e-9
"""Of a mean over seeds."""


def main() -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("again", type=Path, help="results.json of this machine")
    parser.add_argument("page", type=Path, help="results.json of the page")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    again, page = files.read_json(options.again), files.read_json(options.page)
    published, versions = of(page), {"versions": again["versions"]}
    parts = {name: compared(part, published[name]) | versions for name, part in of(again).items() if name in published}
    there = files.read_json(options.out) if options.out.exists() else {}
    files.write_json(options.out, there | {page["name"]: there.get(page["name"], {}) | parts})
    print(json.dumps(parts, indent=2))


def of(results: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of an experiment by name."""
    return {part["study"]["name"]: part for part in results["parts"]}


def compared(again: Mapping[str, Any], page: Mapping[str, Any]) -> dict[str, Any]:
    """How many figures of a part differ by how many units, and which by more than two."""
    published = dict(figures(page))
    pairs = [(name, cell, published[name]) for name, cell in figures(again) if name in published]
    told = [(name, one, other) for name, one, other in pairs if max(one.runs, other.runs) > 1]
    single = [(name, abs(one.mean - other.mean)) for name, one, other in pairs if max(one.runs, other.runs) == 1]
    apart = {name: distance(one, other) for name, one, other in told}
    mine, theirs = fingerprints(again), fingerprints(page)
    return {
        "runs": len(mine),
        "runs_on_page": len(theirs),
        "same_weights": len(set(mine.values()) & set(theirs.values())),
        "figures": len(told),
        "within_one": sum(units <= 1 for units in apart.values()),
        "within_two": sum(units <= 2 for units in apart.values()),
        "of_single_runs": len(single),
        "largest_of_single_runs": largest(single),
        "first_table": first_table(again, published),
        "beyond_two": [
            {"figure": list(name), "again": one.mean, "page": other.mean, "units": finite(apart[name])}
            for name, one, other in sorted(told, key=lambda each: -apart[each[0]])
            if apart[name] > 2
        ],
    }


def largest(differences: Iterable[tuple[Name, float]]) -> dict[str, float]:
    """The largest difference in each column."""
    found: dict[str, float] = {}
    for (_, _, column), difference in differences:
        found[column] = max(difference, found.get(column, 0.0))
    return found


def first_table(again: Mapping[str, Any], page: Mapping[Name, Cell]) -> dict[str, dict[str, list[float]]]:
    """Means by row and column, here and on the page, of the first table that is not about fairness; or nothing."""
    for table in again["tables"]:
        if table["name"] != "fairness":
            return {
                row: {
                    column: [cell["mean"], page[table["title"], row, column].mean]
                    for column, cell in line.items()
                    if (table["title"], row, column) in page
                }
                for row, line in table["rows"].items()
            }
    return {}


def figures(part: Mapping[str, Any]) -> Iterator[tuple[Name, Cell]]:
    """Every figure in the tables of a part, the fairness table's too."""
    for table in part["tables"]:
        for row, line in table["rows"].items():
            for column, cell in line.items():
                yield (table["title"], row, column), Cell(**cell)
    for row in part.get("fairness", {}).get("rows", []):
        column = f"{row['metric']} of {row['target']}, {row['probe']}"
        yield ("fairness", row["representation"], column), Cell(row["mean"], row["std"], len(row["values"]))


def distance(one: Cell, other: Cell) -> float:
    """In standard deviations of the difference between two runs; where these are 0, infinite for unequal figures."""
    spreads = [cell.std for cell in (one, other) if cell.runs > 1]
    unit = math.sqrt(2 * sum(spread**2 for spread in spreads) / len(spreads))
    difference = abs(one.mean - other.mean)
    if difference <= _ROUNDING:
        return 0.0
    return difference / unit if unit > _ROUNDING else math.inf


def finite(number: float) -> float | None:
    """What JSON can hold of a number."""
    return number if math.isfinite(number) else None


def fingerprints(part: Mapping[str, Any]) -> dict[tuple[str, int], str]:
    """Of the weights, by point and seed."""
    return {
        (point["label"], run["config"]["seed"]): run["fingerprint"]
        for point in part["points"]
        for run in point["report"]["protocol"]["runs"]
    }


if __name__ == "__main__":
    main()
