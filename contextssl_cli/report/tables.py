"""The tables of a probe, for the terminal and for a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contextssl_cli.evaluation.protocol import ProbeReport
from contextssl_cli.evaluation.results import ENCODER, Row
from contextssl_cli.plugin.task import environment_name


@dataclass(frozen=True)
class TextTable:
    """A title, a header and rows of text."""

    title: str
    header: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """As a Markdown table."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def probe_tables(report: ProbeReport) -> list[TextTable]:
    """R2 by context length, and every label's figures by context length and probe."""
    action_rows = [row for row in report.rows if row.metric == "r2"]
    label_rows = [row for row in report.rows if row.metric != "r2"]
    tables = [_pivot("R2 of the relative action, from the embeddings of two views", action_rows)]
    for probe in dict.fromkeys(row.probe for row in label_rows):
        chosen = [row for row in label_rows if row.probe == probe]
        tables.append(_pivot(f"Labels by {probe}", chosen))
    return tables


def comparison_table(reports: Sequence[ProbeReport]) -> TextTable:
    """One line per model, one column per action type's R2 and per label and probe, from the features."""
    found = [
        {f"{row.metric} {row.target} ({row.probe.split(' (')[0]})": row for row in report.rows
         if row.environment == ENCODER} for report in reports
    ]  # fmt: skip
    columns = list(dict.fromkeys(name for rows in found for name in rows))
    body = []
    for report, rows in zip(reports, found, strict=True):
        figures = [figure(rows[name]) if name in rows else "" for name in columns]
        body.append([report.method, environment_name(report.told), *figures])
    return TextTable("What the features know, by what the model was told", ["method", "told", *columns], body)


def figure(row: Row) -> str:
    """A mean, with the spread where there are several runs."""
    return f"{row.mean:.3f} ± {row.std:.3f}" if len(row.seeds) > 1 else f"{row.mean:.3f}"


def _pivot(title: str, rows: Sequence[Row]) -> TextTable:
    """One line per environment and context length, one column per metric and target."""
    columns = list(dict.fromkeys((row.metric, row.target) for row in rows))
    probes = {(row.metric, row.target): row.probe for row in rows}
    lines: dict[tuple[str, int], dict[tuple[str, str], str]] = {}
    for row in rows:
        lines.setdefault((row.environment, row.context_length), {})[row.metric, row.target] = figure(row)
    several = len(set(probes.values())) > 1
    header = [f"{m} {t}" + (f"\n({probes[m, t].split(' (')[0]})" if several else "") for m, t in columns]
    body = [
        [env, str(length), *(cells.get(column, "") for column in columns)] for (env, length), cells in lines.items()
    ]
    return TextTable(title, ["context", "tokens", *(name.replace("\n", " ") for name in header)], body)
