"""Tables of figures: columns are typed keys, cells are numbers, and both are formatted last.

A new column needs a metric in the rows of results (``evaluation/measures.py``) and its line in ``MEASURES``, which has
its head and its format.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from contextssl_cli.evaluation.results import Row, sample_std
from contextssl_cli.text import printable

_MARKUP = re.compile(r"[\\`|<>\[\]]")


@dataclass(frozen=True)
class TextTable:
    """A title, a header and rows of text, of which the first columns label a row."""

    title: str
    header: list[str]
    rows: list[list[str]]
    labels: int = 1

    def markdown(self) -> str:
        """The table in Markdown; markup in names is escaped."""
        lines = [[as_markdown(cell) for cell in line] for line in (self.header, *self.rows)]
        lines.insert(1, ["---"] * len(self.header))
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def as_markdown(text: str) -> str:
    """Text for a Markdown page, in one line, in which no link, code, HTML or table cell begins."""
    return _MARKUP.sub(r"\\\g<0>", printable(text))


@dataclass(frozen=True)
class Measure:
    """How a metric is shown.

    Attributes:
        head: the head of its columns; ``{target}`` is replaced by the action type, label or task.
        percent: shown in percent with one decimal, instead of as a fraction with three.
        panel: the title of the panel of a sweep's plot that shows it; empty if none does.
    """

    head: str
    percent: bool = False
    panel: str = ""

    @property
    def scale(self) -> int:
        """What a figure is multiplied by when it is shown."""
        return 100 if self.percent else 1

    def text(self, mean: float, std: float | None = None) -> str:
        """A figure, with its standard deviation if there is one; NaN is ``undefined``."""
        if math.isnan(mean):
            return "undefined"
        places = 1 if self.percent else 3
        shown = f"{self.scale * mean:z.{places}f}"
        return shown if std is None else f"{shown} ± {self.scale * std:.{places}f}"


MEASURES = {
    "adaptation_gap": Measure("gap", panel="adaptation gap"),
    "adaptation_gap_paper": Measure("gap as in the paper"),
    "r2": Measure("{target} R2", panel="R2 of the relative action"),
    "r2_individual": Measure("{target} R2"),
    "top1": Measure("top-1 %", percent=True, panel="top-1 %"),
    "context_label_top1": Measure("top-1 %", percent=True),
    "knn": Measure("kNN %", percent=True),
    "mrr": Measure("MRR"),
    "h@1": Measure("H@1"),
    "h@5": Measure("H@5"),
    "h@10": Measure("H@10"),
    "accuracy": Measure("{target}: accuracy"),
    "equalized_odds_difference": Measure("{target}: equalized odds difference"),
    "equal_opportunity_difference": Measure("{target}: equal opportunity difference"),
    "demographic_parity_difference": Measure("{target}: demographic parity difference"),
}
"""How every metric of the results is shown, by its name in ``results.json``."""


@checked(frozen=True)
class TableColumn:
    """The key of a column.

    Attributes:
        metric: as in ``results.json``.
        target: the action type, label or task; empty for a figure of the whole model.
        environment: of the context, or the encoder; empty if the row names it.
        probe: short name of a probe in addition to the metric's first; empty for the first.
    """

    metric: str
    target: str = ""
    environment: str = ""
    probe: str = ""

    @property
    def measure(self) -> Measure:
        """How the column is shown."""
        return MEASURES.get(self.metric, Measure(f"{self.metric} {{target}}"))


@checked(frozen=True)
class Cell:
    """A figure: the mean and sample standard deviation over a number of runs, and the probe that it is by.

    The mean is a fraction, also of what is shown in percent, and NaN if the figure is undefined.
    """

    mean: float
    std: Annotated[float, Field(ge=0)] = 0.0
    runs: Annotated[int, Field(ge=1)] = 1
    probe: str = ""

    @classmethod
    def of(cls, row: Row) -> Cell:
        """The figure of a row of results."""
        return cls(row.mean, row.std, len(row.seeds), row.probe)

    def text(self, measure: Measure) -> str:
        """The figure, with its standard deviation if there are several runs."""
        return measure.text(self.mean, self.std if self.runs > 1 else None)


RANKS = ("mrr", "h@1", "h@5", "h@10")
"""The metrics of the view after an action, whose columns have no target."""
Labels = tuple[str, ...]
"""The labels of a row, one per column of labels."""
Line = dict[TableColumn, Cell]
"""The figures of a row."""


def heads(columns: Sequence[TableColumn]) -> list[str]:
    """The head of each column; what distinguishes it from the others is named."""
    targets: dict[str, set[str]] = {}
    for column in columns:
        targets.setdefault(column.metric, set()).add(column.target)
    return [_head(column, several=len(targets[column.metric]) > 1) for column in columns]


def _head(column: TableColumn, *, several: bool) -> str:
    template = column.measure.head
    head = template.replace("{target}", column.target).strip()
    head += f" of {column.target}" if several and "{target}" not in template else ""
    head += f" ({column.probe})" if column.probe else ""
    return head + (f", {column.environment}" if column.environment else "")


@dataclass(frozen=True)
class ResultTable:
    """Rows of figures by column, and published figures next to them.

    Attributes:
        title: above the table.
        stub: the heads of the labels.
        rows: figures by labels.
        name: which of a study's tables it is; empty for others.
        published: figures by labels.
        sources: of the published figures.
    """

    title: str
    stub: Labels
    rows: dict[Labels, Line]
    name: str = ""
    published: dict[Labels, dict[TableColumn, float]] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)

    def columns(self) -> list[TableColumn]:
        """The columns in the order in which they first occur; columns that were only published come last."""
        lines: list[Iterable[TableColumn]] = [*self.rows.values(), *self.published.values()]
        return list(dict.fromkeys(column for line in lines for column in line))

    def text(self) -> TextTable:
        """The formatted table: each column, and behind it the published figures, if it has any.

        Rows that were only published come last.
        """
        published = {column for line in self.published.values() for column in line}
        columns, header = self.columns(), list(self.stub)
        for column, head in zip(columns, heads(columns), strict=True):
            header += [head, f"{head}, published"] if column in published else [head]
        body = []
        for labels in dict.fromkeys([*self.rows, *self.published]):
            line = list(labels)
            for column in columns:
                cell = self.rows.get(labels, {}).get(column)
                figure = self.published.get(labels, {}).get(column)
                line.append("" if cell is None else cell.text(column.measure))
                if column in published:
                    line.append("" if figure is None else column.measure.text(figure))
            body.append(line)
        return TextTable(self.title, header, body, len(self.stub))

    def by(self) -> str:
        """The probes of the figures, each once: ``HEAD, HEAD: PROBE; HEAD: PROBE``, or the only one of all alone."""
        bare = {column: replace(column, environment="") for column in self.columns()}
        named = dict(zip(dict.fromkeys(bare.values()), heads(list(dict.fromkeys(bare.values()))), strict=True))
        probes: dict[str, list[str]] = {}
        for line in self.rows.values():
            for column, cell in line.items():
                names = probes.setdefault(cell.probe, [])
                names += [named[bare[column]]] if named[bare[column]] not in names else []
        probes.pop("", None)
        if len(probes) == 1 and len(next(iter(probes.values()))) == len(named):
            return next(iter(probes))
        return "; ".join(f"{', '.join(names)}: {probe}" for probe, names in probes.items())

    def as_dict(self) -> dict[str, Any]:
        """One JSON object: columns as objects, and the cells of a row in their order, null where there is none."""
        columns = self.columns()
        rows = [
            {"labels": list(labels), "cells": [asdict(line[one]) if one in line else None for one in columns]}
            for labels, line in self.rows.items()
        ]
        published = [
            {"labels": list(labels), "cells": [line.get(one) for one in columns]}
            for labels, line in self.published.items()
        ]
        about = {"name": self.name, "title": self.title, "stub": list(self.stub), "sources": self.sources}
        return {**about, "columns": [asdict(one) for one in columns], "rows": rows, "published": published}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ResultTable:
        """A table of a result file.

        Raises:
            LookupError, TypeError, ValueError: if it is damaged.
        """
        columns = [TableColumn(**one) for one in values["columns"]]
        rows: dict[Labels, Line] = {}
        published: dict[Labels, dict[TableColumn, float]] = {}
        for row in values["rows"]:
            cells = zip(columns, row["cells"], strict=True)
            rows[tuple(row["labels"])] = {one: Cell(**cell) for one, cell in cells if cell is not None}
        for row in values["published"]:
            figures = zip(columns, row["cells"], strict=True)
            published[tuple(row["labels"])] = {one: float(figure) for one, figure in figures if figure is not None}
        return cls(values["title"], tuple(values["stub"]), rows, values["name"], published, values["sources"])


def row_line(rows: Iterable[Row]) -> Line:
    """Rows of one environment and context length as a line; a metric's second probe has a column of its own."""
    line: Line = {}
    for row in rows:
        column = TableColumn(row.metric, "" if row.metric in RANKS else row.target)
        if column in line:
            column = replace(column, probe=short_probe(row.probe))
        line[column] = Cell.of(row)
    return line


def gap_line(gaps: Sequence[float], paper_gaps: Sequence[float]) -> Line:
    """The adaptation gap of several runs, and by the paper's definition; empty without any."""
    return {
        TableColumn(metric): Cell(statistics.fmean(values), sample_std(values), len(values))
        for metric, values in (("adaptation_gap", gaps), ("adaptation_gap_paper", paper_gaps))
        if values
    }


def short_probe(probe: str) -> str:
    """The name of a probe without its settings."""
    return probe.partition(" (")[0]
