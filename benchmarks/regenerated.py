"""Compare an experiment that was run again with its page: two result files of ``contextssl reproduce``.

Run: ``python benchmarks/regenerated.py AGAIN.json PAGE.json --out again.json``. Compares every figure that both have,
study by study, and adds the studies to the file. The unit is the standard deviation of the difference between a run of
the one and a run of the other; a file with a single run uses the other's. A figure with a single run in both has no
unit: these are counted separately, with the largest difference in each column. The file names the figures that differ
by more than two units, counts the runs with identical weights, and holds the means of the first table that is not about
fairness, of both files.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contextssl_cli import files
from contextssl_cli.report.tables import Cell, Labels, ResultTable, TableColumn

Name = tuple[str, Labels, TableColumn]
"""Table, labels of the row, and column."""
_ROUNDING = 1e-9
"""The rounding error of a mean over seeds."""


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
    """The studies of an experiment by name."""
    return {part["study"]["name"]: part for part in results["parts"]}


def compared(again: Mapping[str, Any], page: Mapping[str, Any]) -> dict[str, Any]:
    """How many figures of a study differ by how many units, and which by more than two."""
    published = dict(figures(page))
    pairs = [(name, cell, published[name]) for name, cell in figures(again) if name in published]
    several = [(name, one, other) for name, one, other in pairs if max(one.runs, other.runs) > 1]
    single = [(name, abs(one.mean - other.mean)) for name, one, other in pairs if max(one.runs, other.runs) == 1]
    apart = {name: distance(one, other) for name, one, other in several}
    mine, theirs = fingerprints(again), fingerprints(page)
    return {
        "runs": len(mine),
        "runs_on_page": len(theirs),
        "same_weights": len(set(mine.values()) & set(theirs.values())),
        "figures": len(several),
        "within_one": sum(units <= 1 for units in apart.values()),
        "within_two": sum(units <= 2 for units in apart.values()),
        "of_single_runs": len(single),
        "largest_of_single_runs": largest(single),
        "first_table": first_table(again, published),
        "beyond_two": [
            {
                "table": table,
                "labels": list(labels),
                "column": asdict(column),
                "again": one.mean,
                "page": other.mean,
                "units": finite(apart[table, labels, column]),
            }
            for (table, labels, column), one, other in sorted(several, key=lambda each: -apart[each[0]])
            if apart[table, labels, column] > 2
        ],
    }


def largest(differences: Iterable[tuple[Name, float]]) -> list[dict[str, Any]]:
    """The largest difference in each column."""
    found: dict[TableColumn, float] = {}
    for (_, _, column), difference in differences:
        found[column] = max(difference, found.get(column, 0.0))
    return [{"column": asdict(column), "difference": difference} for column, difference in found.items()]


def first_table(again: Mapping[str, Any], page: Mapping[Name, Cell]) -> dict[str, Any]:
    """The means of the first table that is not about fairness, of both files; empty if there is none.

    ``columns``, and ``rows`` with ``labels`` and, for each column, both means or null.
    """
    for table in map(ResultTable.from_dict, again["tables"]):
        if table.name != "fairness":
            columns = table.columns()
            rows = []
            for labels, line in table.rows.items():
                names = [(table.title, labels, column) for column in columns]
                cells = [
                    [line[name[2]].mean, page[name].mean] if name in page and name[2] in line else None
                    for name in names
                ]
                rows.append({"labels": list(labels), "cells": cells})
            return {"columns": [asdict(column) for column in columns], "rows": rows}
    return {}


def figures(part: Mapping[str, Any]) -> Iterator[tuple[Name, Cell]]:
    """Every figure in the tables of a study, including the fairness table."""
    for table in map(ResultTable.from_dict, part["tables"]):
        for labels, line in table.rows.items():
            for column, cell in line.items():
                yield (table.title, labels, column), cell
    for row in part.get("fairness", {}).get("rows", []):
        if row["mean"] is not None:
            column = TableColumn(row["metric"], row["target"], probe=row["probe"])
            yield ("fairness", (row["representation"],), column), Cell(row["mean"], row["std"], len(row["values"]))


def distance(one: Cell, other: Cell) -> float:
    """The difference in standard deviations of the difference between two runs; infinite if these are 0."""
    spreads = [cell.std for cell in (one, other) if cell.runs > 1]
    unit = math.sqrt(2 * sum(spread**2 for spread in spreads) / len(spreads))
    difference = abs(one.mean - other.mean)
    if difference <= _ROUNDING:
        return 0.0
    return difference / unit if unit > _ROUNDING else math.inf


def finite(number: float) -> float | None:
    """The number, or None if JSON cannot hold it."""
    return number if math.isfinite(number) else None


def fingerprints(part: Mapping[str, Any]) -> dict[tuple[str, int], str]:
    """The fingerprints of the weights, by point and seed."""
    return {
        (point["label"], run["config"]["seed"]): run["fingerprint"]
        for point in part["points"]
        for run in point["report"]["protocol"]["runs"]
    }


if __name__ == "__main__":
    main()
