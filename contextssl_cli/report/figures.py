"""Figures, drawn without a screen: curves by context length, neighbours, sweeps and training curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contextssl_cli import files
from contextssl_cli.evaluation.results import ProbeReport, Row, find
from contextssl_cli.evaluation.retrieval import Retrieval
from contextssl_cli.report.canvas import Axes, Figure, rendered
from contextssl_cli.report.tables import Cell, ResultTable, TableColumn, heads
from contextssl_cli.text import printable, value_text
from contextssl_cli.training.log import MetricsLog, finite_numbers, main_losses, terms_of

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # distinct for the colour-blind (Okabe and Ito)
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LETTERS = 30  # of all ticks together; longer ticks are rotated
_GAP = "held_out_gap_ridge"

SweptValues = Mapping[str, Mapping[str, Any]]
"""The varied settings of each point, by the label of its row in the sweep's table."""


def save(draw: Callable[[], Figure], path: Path) -> None:
    """Draw a figure and write it atomically; the suffix decides the format."""
    kind = path.suffix[1:]
    picture = rendered(draw, kind, {"Date": None} if kind == "svg" else {})
    with files.atomic(path) as temporary:
        temporary.write_bytes(picture)


def save_curves(report: ProbeReport, folder: Path, prefix: str = "") -> list[Path]:
    """Write the curves by context length as PNG and SVG, and return the paths.

    A curve whose metric was not measured is not drawn, and an older file of it is removed.

    Args:
        report: of one model.
        folder: of the files, whose names are those of ``CURVE_STEMS``.
        prefix: before every name.
    """
    drawn = measured_curves(report)
    stems = {metric: folder / f"{prefix}{stem}" for metric, stem in CURVE_STEMS.items()}
    return [path for metric, stem in stems.items() for path in _save_pair(drawn.get(metric), stem)]


def _save_pair(draw: Callable[[], Figure] | None, stem: Path) -> list[Path]:
    """Write a figure as PNG and SVG, and return the paths; without a figure, remove those of an earlier probe."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]
    for path in paths:
        if draw:
            save(draw, path)
        else:
            path.unlink(missing_ok=True)
    return paths if draw else []


def measured_curves(report: ProbeReport) -> dict[str, Callable[[], Figure]]:
    """What draws each figure by context length, by its metric; those that were not measured are left out."""
    measured = {row.metric for row in report.rows if report.lengths}  # without a context there is no curve
    return {metric: partial(draw, report) for metric, draw in _CURVES.items() if metric in measured}


def draw_context_lengths(report: ProbeReport) -> Figure:
    """R2 of every action type against context length, one panel per environment (the paper's figure 3)."""
    count = len(report.environments)
    figure = Figure(figsize=(3.6 * count, 3.0), layout="constrained")
    panels = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    for panel, environment in zip(panels, report.environments, strict=True):
        for action, colour in zip(report.actions, _COLOURS * len(report.actions), strict=False):
            rows = [find(report.rows, environment, length, "r2", action) for length in report.lengths]
            _draw_line(panel, rows, action, colour)
        _draw_lengths(panel, report)
        panel.set_title(f"context: {environment}")
        panel.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    panels[0].set_ylabel("R2 of the relative action")
    panels[0].legend(frameon=False)
    return figure


def draw_ranking(report: ProbeReport) -> Figure:
    """Mean reciprocal rank of the view after an action against context length, one line per environment."""
    figure = Figure(figsize=(3.6, 3.0), layout="constrained")
    panel = figure.subplots()
    for environment, colour in zip(report.environments, _COLOURS * len(report.environments), strict=False):
        rows = [find(report.rows, environment, length, "mrr", "view") for length in report.lengths]
        _draw_line(panel, rows, f"context: {environment}", colour)
    _draw_lengths(panel, report)
    panel.set_ylabel("mean reciprocal rank")
    panel.legend(frameon=False)
    return figure


_CURVES: dict[str, Callable[[ProbeReport], Figure]] = {"r2": draw_context_lengths, "mrr": draw_ranking}
CURVE_STEMS = {metric: f"{metric}-by-context-length" for metric in _CURVES}
"""The names of the figures by context length without suffix, by the metric that they show."""


def draw_retrieval(retrieval: Retrieval) -> Figure:
    """Source, view after an action, and the nearest neighbours under each context (the paper's figure 1)."""
    sources, neighbours = len(retrieval.sources), retrieval.neighbours.shape[2]
    blocks = len(retrieval.contexts)
    figure = Figure(figsize=(0.75 * (2 + blocks * (neighbours + 0.4)), 0.85 * sources + 0.5), layout="constrained")
    widths = [1.0, 1.0, *([0.35, *([1.0] * neighbours)] * blocks)]
    grid = figure.add_gridspec(sources, len(widths), width_ratios=widths)
    for row in range(sources):
        _picture(figure.add_subplot(grid[row, 0]), retrieval.sources[row], "source" if row == 0 else "")
        target = figure.add_subplot(grid[row, 1])
        _picture(target, retrieval.targets[row], "after\naction" if row == 0 else "")
        for block, name in enumerate(retrieval.contexts):
            for rank in range(neighbours):
                axes = figure.add_subplot(grid[row, 3 + block * (neighbours + 1) + rank])
                title = f"nearest, context: {name}" if row == 0 and rank == neighbours // 2 else ""
                _picture(axes, retrieval.neighbours[row, block, rank], title)
    return figure


def save_sweep(table: ResultTable, values: SweptValues, stem: Path) -> list[Path]:
    """Write the plot of a sweep's table as PNG and SVG, and return the paths: none if no panel has a column."""
    return _save_pair(partial(draw_sweep, table, values) if panels_of(table) else None, stem)


def draw_sweep(table: ResultTable, values: SweptValues) -> Figure:
    """One panel per measure that has one, with a line per column and evenly spaced points.

    Args:
        table: of the sweep.
        values: of its rows that are drawn, in their order.
    """
    panels = panels_of(table)
    ticks = [printable(", ".join(map(value_text, own.values()))) for own in values.values()]
    figure = Figure(figsize=(3.8 * len(panels), 3.6), layout="constrained")
    places = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, columns) in zip(places, panels.items(), strict=True):
        for column, head, mark in zip(columns, heads(columns), _MARKS * len(columns), strict=False):
            cells = [table.rows[label,].get(column, Cell(np.nan)) for label in values]
            mean, std = (column.measure.scale * np.array([(cell.mean, cell.std) for cell in cells])).T
            axes.errorbar(range(len(cells)), mean, std, marker=mark, markersize=4, capsize=2, label=head)
        if len(columns) > 1:
            axes.legend(frameon=False, fontsize=7)
        axes.set_xticks(range(len(ticks)), ticks, rotation=90 if sum(map(len, ticks)) > _LETTERS else 0)
        axes.set_xlabel(", ".join(dict.fromkeys(key for own in values.values() for key in own)))
        axes.set_title(title)
    return figure


def panels_of(table: ResultTable) -> dict[str, list[TableColumn]]:
    """The columns that the plot of a sweep's table shows, by the title of their panel."""
    panels: dict[str, list[TableColumn]] = {}
    for column in table.columns():
        if column.measure.panel:
            panels.setdefault(column.measure.panel, []).append(column)
    return panels


def read_losses(log: MetricsLog) -> list[dict[str, Any]]:
    """Step, losses by environment or term, and the held-out gap, of each line of a metrics log that has a loss."""
    lines = [
        {"step": line["step"], "loss": main_losses(terms_of(line)), _GAP: finite_numbers(line).get(_GAP)}
        for line in log.lines()
    ]
    return [line for line in lines if line["loss"] and line["step"] > 0]


def draw_training(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Losses and, if it was measured, the held-out adaptation gap against the step."""
    measured = [line for line in lines if line[_GAP] is not None]
    panels = 2 if measured else 1
    figure = Figure(figsize=(3.6 * panels, 2.4), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for name in lines[-1]["loss"]:
        own = [line for line in lines if name in line["loss"]]
        axes[0].plot([line["step"] for line in own], [line["loss"][name] for line in own], label=name, linewidth=1)
    axes[0].set_ylabel("loss")
    axes[0].legend(frameon=False, fontsize=8)
    if measured:
        axes[1].plot([line["step"] for line in measured], [line[_GAP] for line in measured], marker="o", markersize=3)
        axes[1].set_ylabel("held-out gap (ridge)")
    for panel in axes:
        panel.set_xlabel("step")
    return figure


def _draw_line(panel: Axes, rows: Sequence[Row], label: str, colour: str) -> None:
    """Mean and standard deviation, evenly spaced from left to right."""
    mean, std = np.array([row.mean for row in rows]), np.array([row.std for row in rows])
    panel.plot(range(len(rows)), mean, marker="o", color=colour, label=label)
    panel.fill_between(range(len(rows)), mean - std, mean + std, color=colour, alpha=0.2, linewidth=0)


def _draw_lengths(panel: Axes, report: ProbeReport) -> None:
    panel.set_xticks(range(len(report.lengths)), [str(length) for length in report.lengths])
    panel.set_xlabel("context length in tokens")


def _picture(axes: Axes, image: NDArray[np.float32], title: str) -> None:
    axes.imshow(np.clip(image, 0, 1), interpolation="nearest")
    axes.set_xticks(())
    axes.set_yticks(())
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(title, fontsize=8)
