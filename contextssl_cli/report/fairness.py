"""The fairness table as text, from the object of ``FairnessTable.as_dict``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contextssl_cli.evaluation.fairness import FAIRNESS_METRICS, PARITY
from contextssl_cli.report.tables import TextTable

UNDEFINED = "undefined"

FAIRNESS_NOTE = (
    "By strong probes: a logistic regression on standardised numbers predicts the task and reads the attribute, an MLP "
    "on whitened ones reads it too. The reduction is fairlearn's ExponentiatedGradient under equalized odds on the raw "
    "columns. A guard takes out what a context zeroes, so only the empty context has one. Undefined: a group has no "
    "positives, or no negatives."
)


def fairness_tables(values: Mapping[str, Any]) -> list[TextTable]:
    """For each task a line per representation, and how many records the groups have.

    Args:
        values: ``attribute``, ``tasks``, ``support`` and ``rows``.
    """
    return [table for task in values["tasks"] for table in (_figures(values, task), _support(values, task))]


def _figures(values: Mapping[str, Any], task: str) -> TextTable:
    attribute, probes = values["attribute"], {}
    cells: dict[str, dict[tuple[str, str], str]] = {}
    for row in values["rows"]:
        if row["target"] == attribute:
            column = (row["metric"], row["probe"])
            probes[column] = f"{attribute} read by {row['probe']}"
        elif row["target"] == task:
            column = (row["metric"], "")
        else:
            continue
        cells.setdefault(row["representation"], {})[column] = _cell(row)
    columns = {("accuracy", ""): f"{task}: accuracy", **probes}
    columns |= {(metric, ""): metric.replace("_", " ") for metric in (*FAIRNESS_METRICS, PARITY)}
    body = [[name, *(found.get(column, "") for column in columns)] for name, found in cells.items()]
    return TextTable(f"{task}, by {attribute}", ["representation", *columns.values()], body)


def _support(values: Mapping[str, Any], task: str) -> TextTable:
    counts = values["support"][task]
    rows = [
        [split, group, str(kinds["positives"]), str(kinds["negatives"])]
        for split, groups in counts.items()
        for group, kinds in groups.items()
    ]
    header = ["split", values["attribute"], "positives", "negatives"]
    return TextTable(f"{task}: records with a label", header, rows)


def _cell(row: Mapping[str, Any]) -> str:
    if row["mean"] is None:
        return UNDEFINED
    return f"{row['mean']:.3f} ± {row['std']:.3f}" if len(row["values"]) > 1 else f"{row['mean']:.3f}"
