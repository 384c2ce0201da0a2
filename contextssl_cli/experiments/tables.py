"""Which figures of an experiment's points each table holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from contextssl_cli.evaluation.fairness import FAIRNESS_METRICS
from contextssl_cli.evaluation.results import ENCODER, RAW, ProbeReport, Row
from contextssl_cli.experiments.execute import Probed
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.report.tables import RANKS, Cell, Labels, Line, ResultTable, TableColumn, gap_line, row_line

_ORDER = ("r2", "top1", "accuracy", "knn", *RANKS)
"""The metrics of the tables by method, length and setting, in the order of their columns."""


def methods_table(points: Sequence[Probed]) -> ResultTable:
    """The paper's figure 3: every model under every context, by R2 of each action, top-1 and adaptation gap.

    Data with sensitive attributes have many labels, which the fairness tables show; here they have R2 and gap alone.
    """
    rows: dict[Labels, Line] = {}
    for point in points:
        report, gaps = point.report, gap_line(point.adaptation_gaps, point.adaptation_gaps_paper)
        lengths = report.lengths
        if not lengths:
            rows[point.label,] = {**_line(report, ENCODER, 0, accuracy=False), **gaps}
            continue
        places = {"encoder": (ENCODER, 0)}
        if lengths[0] == 0:
            places["no context"] = (report.environments[0], 0)
        if report.method == "contextssl":
            places |= {context_name(environment): (environment, lengths[-1]) for environment in report.environments}
        else:  # its tokens carry no action, so all contexts are one
            places["with context"] = (report.environments[0], lengths[-1])
        for name, (environment, length) in places.items():
            own = gaps if length else {}
            rows[f"{point.label}, {name}",] = {**_line(report, environment, length, accuracy=False), **own}
    return ResultTable("R2, accuracy and adaptation gap of each model", ("model",), rows, "methods")


def lengths_table(points: Sequence[Probed]) -> ResultTable:
    """Every figure of ContextSSL's models, by environment and context length, followed by the ranks of baselines.

    For other methods with a context all environments are one, since their tokens carry no action. A method without a
    context has a line if its own predictor ranks views.
    """
    rows: dict[Labels, Line] = {}
    own = [point for point in points if point.report.method == "contextssl"]
    for point in own:
        prefix = f"{point.label}, " if len(own) > 1 else ""
        for environment in point.report.environments:
            for length in point.report.lengths:
                label = f"{prefix}{context_name(environment)}, {length} tokens"
                rows[label,] = _line(point.report, environment, length)
    for point in points:
        if not point.report.lengths and (ranks := row_line(row for row in point.report.rows if row.metric in RANKS)):
            rows[point.label,] = ranks
    return ResultTable("By context length", ("context",), rows, "lengths")


def fairness_tables(points: Sequence[Probed]) -> list[ResultTable]:
    """Accuracy of tasks and attributes and fairness differences, one table per probe; raw columns first."""
    probes = dict.fromkeys(row.probe for p in points for row in p.report.rows if row.metric == "accuracy")
    tables = []
    for probe in probes:
        rows: dict[Labels, Line] = {}
        for point in points:
            for row in point.report.rows:
                label = _representation(point, row)
                if label and row.probe == probe and row.metric in ("accuracy", *FAIRNESS_METRICS):
                    rows.setdefault((label,), {})[TableColumn(row.metric, row.target)] = Cell.of(row)
        ordered = dict(sorted(rows.items(), key=lambda item: not item[0][0].startswith(RAW)))
        tables.append(ResultTable(f"Accuracy and fairness, by {probe}", ("representation",), ordered, "fairness"))
    return tables


def _representation(point: Probed, row: Row) -> str:
    """The label of what a row was probed from; empty for all but the longest context."""
    if row.environment.startswith(RAW):
        return row.environment
    if row.environment == ENCODER:
        return f"{point.label}, encoder"
    longest = row.context_length == (point.report.lengths[-1] if point.report.lengths else 0)
    return f"{point.label}, {context_name(row.environment)}" if longest else ""


def sweep_table(points: Sequence[Probed]) -> ResultTable:
    """One row per point: gap, R2 and top-1 under each context at its longest, and top-1 of the encoder."""
    rows: dict[Labels, Line] = {}
    for point in points:
        report, line = point.report, gap_line(point.adaptation_gaps, point.adaptation_gaps_paper)
        for environment in report.environments if report.lengths else ():
            line |= _under(_line(report, environment, report.lengths[-1]), context_name(environment))
        encoder = _under(_line(report, ENCODER, 0), ENCODER)
        line |= {c: cell for c, cell in encoder.items() if c.measure.percent or not report.lengths}
        rows[point.label,] = line
    apart = f", {points[0].report.apart}" if points[0].report.apart else ""
    return ResultTable(f"By setting, at the longest context{apart}", ("setting",), rows, "sweep")


TABLES: Mapping[str, Callable[[Sequence[Probed]], list[ResultTable]]] = {
    "methods": lambda points: [methods_table(points)],
    "lengths": lambda points: [lengths_table(points)],
    "fairness": fairness_tables,
    "sweep": lambda points: [sweep_table(points)],
}
"""By the name that a recipe gives them."""


def context_name(environment: str) -> str:
    """The name of a context in the tables: ``rotation context``, or ``empty context``."""
    return f"{'empty' if environment == environment_name(()) else environment} context"


def _line(report: ProbeReport, environment: str, length: int, *, accuracy: bool = True) -> Line:
    """The figures of one environment and context length: R2 by the paper's probe, labels by all, and ranks.

    Args:
        report: of a point.
        environment: of the context, or the encoder.
        length: of the context in tokens.
        accuracy: whether to include the labels of data with sensitive attributes.
    """
    rows = [row for row in report.rows if (row.environment, row.context_length) == (environment, length)]
    sensitive = any(row.metric == "accuracy" for row in rows)
    metrics = [m for m in _ORDER if accuracy or not sensitive or m not in ("top1", "accuracy", "knn")]
    line = row_line(row for metric in metrics for row in rows if row.metric == metric)
    return {column: cell for column, cell in line.items() if not (column.metric == "r2" and column.probe)}


def _under(line: Line, environment: str) -> Line:
    return {replace(column, environment=environment): cell for column, cell in line.items()}
