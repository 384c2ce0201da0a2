"""Which figures of an experiment's points stand in which table."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from contextssl_cli.evaluation.fairness import FAIRNESS_METRICS
from contextssl_cli.evaluation.results import ENCODER, RAW, ProbeReport, Row, sample_std
from contextssl_cli.experiments.execute import Probed
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.report.result_table import GAP, NEIGHBOURS, PAPER_GAP, PERCENT, Cell, Line, ResultTable

LABELS = ("top1", "accuracy")
_NAMES = {"mrr": "MRR", "h@1": "H@1", "h@5": "H@5", "h@10": "H@10"}


def methods_table(points: Sequence[Probed]) -> ResultTable:
    """The paper's figure 3: every model under what it was told, by R2 of each action, top-1 and gap.

    Data with sensitive attributes have many labels, which the fairness tables show; here stand R2 and gap alone.
    """
    rows: dict[str, Line] = {}
    used: list[str] = []
    for point in points:
        report, gaps = point.report, _gaps(point)
        lengths = report.lengths
        if not lengths:
            rows[point.label] = {**_line(report, ENCODER, 0, used, accuracy=False), **gaps}
            continue
        places = {"encoder": (ENCODER, 0)}
        if lengths[0] == 0:
            places["no context"] = (report.environments[0], 0)
        if report.method == "contextssl":
            places |= {context_name(environment): (environment, lengths[-1]) for environment in report.environments}
        else:  # its tokens carry no action, so all contexts are one
            places["with context"] = (report.environments[0], lengths[-1])
        for name, (environment, length) in places.items():
            own = gaps if name.endswith(" context") and length else {}
            rows[f"{point.label}, {name}"] = {**_line(report, environment, length, used, accuracy=False), **own}
    return ResultTable("methods", "What each model knows, by what it was told", used, rows)


def lengths_table(points: Sequence[Probed]) -> ResultTable:
    """Every figure of ContextSSL's models, by environment and context length, and below them the ranks of baselines.

    To other methods with a context all environments are one, since their tokens carry no action. A method without a
    context has a line where a predictor of its own ranks views.
    """
    rows: dict[str, Line] = {}
    used: list[str] = []
    own = [point for point in points if point.report.method == "contextssl"]
    for point in own:
        prefix = f"{point.label}, " if len(own) > 1 else ""
        for environment in point.report.environments:
            for length in point.report.lengths:
                label = f"{prefix}{context_name(environment)}, {length} tokens"
                rows[label] = _line(point.report, environment, length, used)
    for point in points:
        ranks = _ranks(point.report.rows, used) if not point.report.lengths else {}
        rows |= {point.label: ranks} if ranks else {}
    return ResultTable("lengths", "By context length", used, rows)


def fairness_tables(points: Sequence[Probed]) -> list[ResultTable]:
    """Accuracy of task and attribute and fairness differences, a table for each probe; raw columns first."""
    probes = dict.fromkeys(row.probe for p in points for row in p.report.rows if row.metric == "accuracy")
    tables = []
    for probe in probes:
        rows: dict[str, Line] = {}
        for point in points:
            report = point.report
            longest = report.lengths[-1] if report.lengths else 0
            for row in report.rows:
                if row.probe != probe or row.metric not in ("accuracy", *FAIRNESS_METRICS):
                    continue
                if row.environment.startswith(RAW):
                    label = row.environment
                elif row.environment == ENCODER:
                    label = f"{point.label}, encoder"
                elif row.context_length == longest:
                    label = f"{point.label}, {context_name(row.environment)}"
                else:
                    continue
                rows.setdefault(label, {})[f"{row.metric.replace('_', ' ')}, {row.target}"] = _cell(row)
        ordered = dict(sorted(rows.items(), key=lambda item: not item[0].startswith(RAW)))
        tables.append(ResultTable("fairness", f"Accuracy and fairness, by {probe}", [probe], ordered))
    return tables


def sweep_table(points: Sequence[Probed]) -> ResultTable:
    """A row for each point: gap, R2 and top-1 under each context at its longest, top-1 of the encoder."""
    rows: dict[str, Line] = {}
    used: list[str] = []
    for point in points:
        report, line = point.report, _gaps(point)
        for environment in report.environments if report.lengths else ():
            found = _line(report, environment, report.lengths[-1], used)
            line |= {f"{name}, {context_name(environment)}": cell for name, cell in found.items()}
        encoder = _line(report, ENCODER, 0, used)
        line |= {f"{name}, encoder": cell for name, cell in encoder.items() if "%" in name or not report.lengths}
        rows[point.label] = line
    apart = f", {points[0].report.apart}" if points[0].report.apart else ""
    return ResultTable("sweep", f"By setting, at the longest context{apart}", used, rows)


TABLES: dict[str, Callable[[Sequence[Probed]], list[ResultTable]]] = {
    "methods": lambda points: [methods_table(points)],
    "lengths": lambda points: [lengths_table(points)],
    "fairness": fairness_tables,
    "sweep": lambda points: [sweep_table(points)],
}
"""By the name that a recipe gives them."""


def context_name(environment: str) -> str:
    """What the tables call a context: ``rotation context``, or ``empty context``."""
    return f"{'empty' if environment == environment_name(()) else environment} context"


def _gaps(point: Probed) -> Line:
    if not point.gaps:
        return {}
    return {GAP: _mean(point.gaps), PAPER_GAP: _mean(point.paper_gaps)}


def _mean(values: Sequence[float]) -> Cell:
    return Cell(statistics.fmean(values), sample_std(values), len(values))


def _line(report: ProbeReport, environment: str, length: int, used: list[str], *, accuracy: bool = True) -> Line:
    """R2 by the paper's probe, top-1, and ranks, in one place; the probes are added to ``used``.

    Args:
        report: of a point.
        environment: of the context, or the encoder.
        length: of the context in tokens.
        used: the probes so far.
        accuracy: whether to tell labels of data with sensitive attributes too.
    """
    rows = [row for row in report.rows if (row.environment, row.context_length) == (environment, length)]
    line: Line = {}
    for action in report.actions:
        own = _first(row for row in rows if row.metric == "r2" and row.target == action)
        if own is not None:
            line[f"{action} R2"] = _cell(own)
            _note(used, f"{action} R2: {own.probe}")
    sensitive = any(row.metric == "accuracy" for row in rows)
    for title, metrics in ((PERCENT, LABELS), (NEIGHBOURS, ("knn",))) if accuracy or not sensitive else ():
        labels = [row for row in rows if row.metric in metrics]
        several = len({row.target for row in labels}) > 1
        for row in labels:
            name = f"{title} of {row.target}" if several else title
            name += "" if row.probe == labels[0].probe else f" ({row.probe.split(' (')[0]})"
            line[name] = Cell(100 * row.mean, 100 * row.std, len(row.seeds))
            _note(used, f"{name}: {row.probe}")
    return line | _ranks(rows, used)


def _ranks(rows: Iterable[Row], used: list[str]) -> Line:
    """MRR and H@k; their probes are added to ``used``."""
    line: Line = {}
    for row in rows:
        if row.metric in _NAMES:
            line[_NAMES[row.metric]] = _cell(row)
            _note(used, f"{_NAMES[row.metric]}: {row.probe}")
    return line


def _cell(row: Row) -> Cell:
    return Cell(row.mean, row.std, len(row.seeds))


def _first(rows: Iterable[Row]) -> Row | None:
    return next(iter(rows), None)


def _note(used: list[str], text: str) -> None:
    if text not in used:
        used.append(text)
