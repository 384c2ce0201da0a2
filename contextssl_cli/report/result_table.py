"""A table over the points of an experiment, as an object that a result file keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from contextssl_cli.report.tables import TextTable

GAP, PAPER_GAP = "gap", "gap as in the paper"
PERCENT, NEIGHBOURS = "top-1 %", "kNN %"
_FIRST = {"methods": "model", "lengths": "context", "fairness": "read from", "sweep": "setting"}


@dataclass(frozen=True)
class Cell:
    """A figure: mean and sample standard deviation over so many runs."""

    mean: float
    std: float = 0.0
    runs: int = 1

    def text(self, column: str) -> str:
        """With the spread where there are several runs; percentages with one decimal."""
        places = 1 if "%" in column else 3
        spread = f" ± {self.std:.{places}f}" if self.runs > 1 else ""
        return f"{self.mean:z.{places}f}{spread}"


Line = dict[str, Cell]
"""Cells by column."""


@dataclass(frozen=True)
class ResultTable:
    """Rows of figures by column, and published ones beside them.

    Attributes:
        name: which of the tables.
        title: above it.
        probes: that its figures are by.
        rows: by label.
        published: figures by row and column.
        sources: of the published figures.
    """

    name: str
    title: str
    probes: list[str]
    rows: dict[str, Line]
    published: dict[str, dict[str, float]] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)

    def columns(self) -> list[str]:
        """Of our figures, in the order they first come."""
        return list(dict.fromkeys(name for line in self.rows.values() for name in line))

    def by(self) -> str:
        """``COLUMN: PROBE`` or the bare ``PROBE`` of the figures: each probe once, behind all its columns."""
        columns: dict[str, list[str]] = {}
        for text in self.probes:
            column, _, probe = text.partition(": ") if ": " in text else ("", "", text)
            columns.setdefault(probe, []).append(column)
        return "; ".join(f"{', '.join(names)}: {probe}" if any(names) else probe for probe, names in columns.items())

    def as_dict(self) -> dict[str, Any]:
        """One JSON object."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ResultTable:
        """A table of a result file."""
        rows = {label: {name: Cell(**cell) for name, cell in line.items()} for label, line in values["rows"].items()}
        return cls(**{**values, "rows": rows})

    def text(self) -> TextTable:
        """Our figures, the published ones of a column behind it; rows that were only published come last."""
        told = {name for figures in self.published.values() for name in figures}
        columns = [*self.columns(), *(name for name in sorted(told) if name not in self.columns())]
        header, body = [_FIRST[self.name]], []
        for name in columns:
            header += [name, f"{name}, published"] if name in told else [name]
        for label in [*self.rows, *(label for label in self.published if label not in self.rows)]:
            line = [label]
            for name in columns:
                cell = self.rows.get(label, {}).get(name)
                line.append(cell.text(name) if cell else "")
                if name in told:
                    figure = self.published.get(label, {}).get(name)
                    line.append("" if figure is None else Cell(figure).text(name))
            body.append(line)
        return TextTable(self.title, header, body)
