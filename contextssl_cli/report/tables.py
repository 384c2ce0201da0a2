"""The tables of a probe, for the terminal and for a report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from contextssl_cli.evaluation.context_labels import METRIC
from contextssl_cli.evaluation.profile import ProfileRow
from contextssl_cli.evaluation.ranking import HITS
from contextssl_cli.evaluation.results import BLIND, ENCODER, ProbeReport, Row
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.text import printable

_MARKUP = re.compile(r"[\\`|<>\[\]]")
_R2_TITLES = {
    "r2": "R2 of the relative action, from the embeddings of two views",
    "r2_individual": "R2 of the latents of one view, from its embedding",
}


@dataclass(frozen=True)
class TextTable:
    """A title, a header and rows of text."""

    title: str
    header: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """As a Markdown table; names in it are text, whatever they are."""
        lines = [[as_markdown(cell) for cell in line] for line in (self.header, *self.rows)]
        lines.insert(1, ["---"] * len(self.header))
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def as_markdown(text: str) -> str:
    """Text for a page of Markdown, in one line, that begins no link, code, HTML or cell of a table."""
    return _MARKUP.sub(r"\\\g<0>", printable(text))


def probe_tables(report: ProbeReport) -> list[TextTable]:
    """By context length: R2 of actions and latents by each probe, ranks of views, and every label's figures."""
    tables = []
    for metric, title in _R2_TITLES.items():
        rows = [row for row in report.rows if row.metric == metric]
        own = {row.target: row.probe for row in reversed(rows)}  # the first probe of a target is the paper's
        if rows:
            tables.append(_pivot(title, [row for row in rows if row.probe == own[row.target]]))
        others = [row for row in rows if row.probe != own[row.target]]
        for probe in dict.fromkeys(row.probe for row in others):
            tables.append(_pivot(f"{title}, by {probe}", [row for row in others if row.probe == probe]))
    rest = [row for row in report.rows if row.metric not in _R2_TITLES]
    for probe in dict.fromkeys(row.probe for row in rest if row.environment != BLIND):
        chosen = [row for row in rest if row.probe == probe]
        tables.append(_pivot(f"{_subject(chosen[0])} by {probe}", [*_at_best(rest, chosen[0].metric), *chosen]))
    return tables


def profile_table(rows: Sequence[ProfileRow], title: str) -> TextTable:
    """R2 of every action type without context and under it, by the paper's probe and a strong one, and the verdict."""
    header = ["action", "R2 without", "R2 now", "strong without", "strong now", "verdict"]
    figures = [(row.r2_without, row.r2_now, row.strong_r2_without, row.strong_r2_now) for row in rows]
    lines = [
        [row.action, *(f"{value:.3f}" for value in values), row.verdict]
        for row, values in zip(rows, figures, strict=True)
    ]
    return TextTable(title, header, lines)


def side_by_side(report: ProbeReport) -> TextTable:
    """Embedding against representation (the paper's table 9): every figure of the encoder's z and of the embeddings."""
    longest = report.lengths[-1]
    places = [(ENCODER, 0), *((environment, longest) for environment in report.environments)]
    lines: dict[tuple[str, str, str], dict[tuple[str, int], str]] = {}
    for row in report.rows:
        if (row.environment, row.context_length) in places:
            name = (row.metric, row.target, row.probe.split(" (")[0])
            lines.setdefault(name, {})[row.environment, row.context_length] = figure(row)
    header = ["metric", "of", "probe", "encoder z", *(f"{name}, {longest} tokens" for name in report.environments)]
    body = [[*name, *(cells.get(place, "") for place in places)] for name, cells in lines.items()]
    return TextTable("Representation and embedding", header, body)


def _subject(row: Row) -> str:
    if row.metric in ("mrr", *(f"h@{k}" for k in HITS)):
        return "The view after an action"
    return "Labels that depend on the context" if row.metric == METRIC else "Labels"


def _at_best(rows: Sequence[Row], metric: str) -> list[Row]:
    return [row for row in rows if row.environment == BLIND and row.metric == metric]


def comparison_table(reports: Sequence[ProbeReport], apart: Sequence[str] = ()) -> TextTable:
    """One line per model, one column per action type's R2 and per label and probe, from the features.

    Args:
        reports: one for each model.
        apart: the settings in which each differs from its like, if any does.
    """
    differ = any(apart)
    found = [
        {f"{row.metric} {row.target} ({row.probe.split(' (')[0]})": row for row in report.rows
         if row.environment == ENCODER} for report in reports
    ]  # fmt: skip
    columns = list(dict.fromkeys(name for rows in found for name in rows))
    body = []
    for report, rows, mark in zip(reports, found, apart or [""] * len(reports), strict=True):
        figures = [figure(rows[name]) if name in rows else "" for name in columns]
        body.append([report.method, environment_name(report.told), *([mark] if differ else []), *figures])
    return TextTable(
        "What the features know, by what the model was told",
        ["method", "told", *(["settings"] if differ else []), *columns],
        body,
    )


def figure(row: Row) -> str:
    """A mean, with the spread where there are several runs."""
    return f"{row.mean:z.3f} ± {row.std:.3f}" if len(row.seeds) > 1 else f"{row.mean:z.3f}"


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
