"""What ``sweep`` and ``reproduce`` print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contextssl_cli.experiments.execute import Share
from contextssl_cli.experiments.sweep import Sweep, planned_rows
from contextssl_cli.report.fairness import fairness_tables
from contextssl_cli.report.result_table import ResultTable
from contextssl_cli.report.terminal import terminal


def print_sweep_plan(sweep: Sweep, *, as_json: bool) -> None:
    """Every run of a sweep and its state."""
    rows = planned_rows(sweep.points)
    if as_json:
        terminal.json({"out": str(sweep.out), "runs": rows})
        return
    print_rows(f"Runs in {sweep.out}", rows, ("point", "seed", "state", "step", "steps"))


def print_sweep(found: Mapping[str, Any], paths: Sequence[Path], *, as_json: bool) -> None:
    """The table of a sweep and the paths written; or one JSON object."""
    if as_json:
        terminal.json({**found, "paths": [str(path) for path in paths]})
        return
    text = ResultTable.from_dict(found["table"]).text()
    terminal.table(text.title, text.header, text.rows)
    terminal.written(*paths)


def print_plan(plan: Mapping[str, Any], *, as_json: bool) -> None:
    """Data, runs, memory and hours of an experiment; or one JSON object."""
    if as_json:
        terminal.json(plan)
        return
    print_rows("Data", plan["data"], ("part", "state", "store", "from", "what"))
    print_rows("Runs", plan["runs"], ("part", "run", "seed", "state", "step", "steps", "minutes left"))
    for estimate in plan["estimates"]:
        terminal.result(
            f"{estimate['part']}: {estimate['hours left']:.1f} of {estimate['hours']:.1f} hours of training left "
            f"({estimate['hours from']}); memory {estimate['memory GiB']:g} GiB ({estimate['memory from']})"
        )
    terminal.result(f"in all {plan['hours left']:.1f} hours of training left, beside preparing and probing")


def print_share(share: Share, left: int, *, as_json: bool) -> None:
    """That a share is trained, and how many runs of the others are not; or one JSON object."""
    if as_json:
        terminal.json({"share": str(share), "not_trained": left})
        return
    others = f"not trained yet, of the others: {left}" if left else "so are the others: now the command without --share"
    terminal.result(f"share {share} is trained; {others}")


def print_results(found: Mapping[str, Any], paths: Sequence[Path], *, as_json: bool) -> None:
    """The tables of an experiment and the paths written; or one JSON object."""
    if as_json:
        terminal.json({**found, "paths": [str(path) for path in paths]})
        return
    for part in found["parts"]:
        for table in part["tables"]:
            text = ResultTable.from_dict(table).text()
            terminal.table(f"{part['study']['name']}: {text.title}", text.header, text.rows)
        for text in fairness_tables(part["fairness"]) if "fairness" in part else ():
            terminal.table(f"{part['study']['name']}: {text.title}", text.header, text.rows)
    terminal.written(*paths)


def print_rows(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Objects as a table."""
    terminal.table(title, columns, [["" if row[name] is None else str(row[name]) for name in columns] for row in rows])
