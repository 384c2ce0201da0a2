"""The tables of probes, comparisons of models and fairness, for the terminal, Markdown and HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from contextssl_cli.config.resolve import flat_settings
from contextssl_cli.config.train import OF_NO_MATTER
from contextssl_cli.evaluation.comparison import Comparison
from contextssl_cli.evaluation.context_labels import METRIC as CONTEXT_LABEL
from contextssl_cli.evaluation.fairness import FAIRNESS_METRICS, PARITY
from contextssl_cli.evaluation.results import BLIND, ENCODER, ProbeReport, Row
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.report.tables import (
    RANKS,
    Cell,
    Labels,
    Line,
    ResultTable,
    TableColumn,
    TextTable,
    gap_line,
    heads,
    short_probe,
)
from contextssl_cli.text import settings_text

Found = ProbeReport | Comparison
"""What a result file holds."""

FAIRNESS_NOTE = (
    "Strong probes: a logistic regression on standardised inputs predicts the task and the attribute; an MLP on "
    "whitened inputs predicts the attribute too. The reduction is fairlearn's ExponentiatedGradient under equalized "
    "odds on the raw columns. A guard removes what a context zeroes, so only the empty context has one. A difference "
    "is undefined if a group has no positives or no negatives."
)
_R2_TITLES = {
    "r2": "R2 of the relative action, from the embeddings of two views",
    "r2_individual": "R2 of the latents of one view, from its embedding",
}


def probe_tables(report: ProbeReport) -> list[TextTable]:
    """Every figure by environment and context length: R2 of actions and latents by each probe, ranks, labels."""
    tables = []
    for metric, title in _R2_TITLES.items():
        rows = [row for row in report.rows if row.metric == metric]
        own = {row.target: row.probe for row in reversed(rows)}  # the first probe of a target is the paper's
        if rows:
            tables.append(_by_length(title, [row for row in rows if row.probe == own[row.target]]))
        others = [row for row in rows if row.probe != own[row.target]]
        for probe in dict.fromkeys(row.probe for row in others):
            tables.append(_by_length(f"{title}, by {probe}", [row for row in others if row.probe == probe]))
    rest = [row for row in report.rows if row.metric not in _R2_TITLES]
    for probe in dict.fromkeys(row.probe for row in rest if row.environment != BLIND):
        chosen = [row for row in rest if row.probe == probe]
        ceiling = [row for row in rest if row.environment == BLIND and row.metric == chosen[0].metric]
        tables.append(_by_length(f"{_subject(chosen[0])} by {probe}", [*ceiling, *chosen]))
    return tables


def all_tables(report: ProbeReport) -> list[TextTable]:
    """``probe_tables``, and for a method with a context ``side_by_side``."""
    return [*probe_tables(report), *([side_by_side(report)] if report.lengths else [])]


def _subject(row: Row) -> str:
    if row.metric in RANKS:
        return "The view after an action"
    return "Labels that depend on the context" if row.metric == CONTEXT_LABEL else "Labels"


def _by_length(title: str, rows: Sequence[Row]) -> TextTable:
    """One line per environment and context length; columns name their probe if there are several."""
    several = len({row.probe for row in rows if row.environment != BLIND}) > 1
    lines: dict[Labels, Line] = {}
    for row in rows:
        column = TableColumn(row.metric, row.target, probe=short_probe(row.probe) if several else "")
        lines.setdefault((row.environment, str(row.context_length)), {})[column] = Cell.of(row)
    return ResultTable(title, ("context", "tokens"), lines).text()


def side_by_side(report: ProbeReport) -> TextTable:
    """The encoder's feature z and the embeddings at the longest context (the paper's table 9), a line per figure."""
    longest = report.lengths[-1]
    places = {"encoder z": (ENCODER, 0)}
    places |= {f"{environment}, {longest} tokens": (environment, longest) for environment in report.environments}
    lines: dict[tuple[TableColumn, str], dict[tuple[str, int], str]] = {}
    for row in report.rows:
        if (row.environment, row.context_length) in places.values():
            column = TableColumn(row.metric, row.target)
            text = Cell.of(row).text(column.measure)
            lines.setdefault((column, short_probe(row.probe)), {})[row.environment, row.context_length] = text
    named = heads([column for column, _ in lines])
    body = [
        [head, probe, *(cells.get(place, "") for place in places.values())]
        for head, ((_, probe), cells) in zip(named, lines.items(), strict=True)
    ]
    return TextTable("Representation and embedding", ["figure", "probe", *places], body, labels=2)


def comparison_table(reports: Sequence[ProbeReport], settings: Sequence[str] = ()) -> TextTable:
    """A line per model: its adaptation gap, and the R2, labels and ranks that probes predict from its features.

    Args:
        reports: one per model.
        settings: of each, those that ``distinguishing_settings`` gives.
    """
    lines = [
        gap_line(report.gaps, report.paper_gaps)
        | {TableColumn(row.metric, row.target, probe=short_probe(row.probe)): Cell.of(row)
           for row in report.rows if row.environment == ENCODER} for report in reports
    ]  # fmt: skip
    columns = list(dict.fromkeys(column for line in lines for column in line))
    differ, several = any(settings), len({report.task for report in reports}) > 1
    body = [
        [
            *([report.task] if several else []),
            report.method,
            environment_name(report.conditioned_on) if report.conditioned_on else "",
            *([settings[number]] if differ else []),
            ", ".join(map(str, report.seeds)),
            *(line[column].text(column.measure) if column in line else "" for column in columns),
        ]
        for number, (report, line) in enumerate(zip(reports, lines, strict=True))
    ]
    stub = [*(["task"] if several else []), "method", "conditioned on", *(["settings"] if differ else []), "seeds"]
    return TextTable("Gap and features of each model", [*stub, *heads(columns)], body, len(stub))


def reports_of(found: Sequence[Found]) -> list[ProbeReport]:
    """Every report, including those of comparisons."""
    return [report for one in found for report in (one.reports if isinstance(one, Comparison) else [one])]


def distinguishing_settings(reports: Sequence[ProbeReport]) -> list[str]:
    """For each report ``key value`` of the settings in which it differs from others of its task, method and condition.

    The points of a sweep differ in what is varied, those of a reproduction in what its recipe sets. Seeds make no
    difference. One run may have been judged on the test split and on what it held out.
    """
    alike: dict[tuple[str, str, tuple[str, ...]], list[dict[str, Any]]] = {}
    settings = [
        flat_settings(report.protocol["runs"][0]["config"]) | {"judged on": report.judged_on} for report in reports
    ]
    for report, own in zip(reports, settings, strict=True):
        alike.setdefault((report.task, report.method, report.conditioned_on), []).append(own)
    return [
        settings_text({key: value for key, value in own.items() if _differs(key, others)})
        for report, own in zip(reports, settings, strict=True)
        for others in [alike[report.task, report.method, report.conditioned_on]]
    ]


def _differs(key: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    return key not in OF_NO_MATTER and any(one.get(key) != settings[0].get(key) for one in settings)


def study_fairness_tables(values: Mapping[str, Any]) -> list[TextTable]:
    """For each task one line per representation, and the number of records in each group.

    Args:
        values: ``FairnessTable.as_dict``: ``attribute``, ``tasks``, ``support`` and ``rows``.
    """
    return [table for task in values["tasks"] for table in (_representations(values, task), _support(values, task))]


def _representations(values: Mapping[str, Any], task: str) -> TextTable:
    attribute = values["attribute"]
    found: dict[Labels, Line] = {}
    for row in values["rows"]:
        if row["target"] in (attribute, task):
            probe = row["probe"] if row["target"] == attribute else ""
            column = TableColumn(row["metric"], row["target"], probe=probe)
            cell = Cell(math.nan) if row["mean"] is None else Cell(row["mean"], row["std"], len(row["values"]))
            found.setdefault((row["representation"],), {})[column] = cell
    order = ["accuracy", *FAIRNESS_METRICS, PARITY]
    rows = {
        labels: dict(sorted(line.items(), key=lambda item: (order.index(item[0].metric), item[0].target == attribute)))
        for labels, line in found.items()
    }
    return ResultTable(f"{task}, by {attribute}", ("representation",), rows).text()


def _support(values: Mapping[str, Any], task: str) -> TextTable:
    rows = [
        [split, group, str(kinds["positives"]), str(kinds["negatives"])]
        for split, groups in values["support"][task].items()
        for group, kinds in groups.items()
    ]
    return TextTable(f"{task}: records with a label", ["split", values["attribute"], "positives", "negatives"], rows)
