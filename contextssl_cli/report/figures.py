"""Figures, drawn without a screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contextssl_cli import files
from contextssl_cli.evaluation.results import ProbeReport, Row, find
from contextssl_cli.evaluation.retrieval import Retrieval
from contextssl_cli.report.canvas import Axes, Figure, rendered

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # told apart by the colour-blind (Okabe and Ito)


def context_length_figure(report: ProbeReport, path: Path) -> None:
    """Write ``draw_context_lengths`` to a file."""
    save(partial(draw_context_lengths, report), path)


def ranking_figure(report: ProbeReport, path: Path) -> None:
    """Write ``draw_ranking`` to a file."""
    save(partial(draw_ranking, report), path)


def draw_context_lengths(report: ProbeReport) -> Figure:
    """R2 of every action type against context length, one panel per environment (the paper's figure 3)."""
    count = len(report.environments)
    figure = Figure(figsize=(3.6 * count, 3.0), layout="constrained")
    panels = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    for panel, environment in zip(panels, report.environments, strict=True):
        _draw_panel(panel, report, environment)
    panels[0].set_ylabel("R2 of the relative action")
    panels[0].legend(frameon=False)
    return figure


def draw_ranking(report: ProbeReport) -> Figure:
    """Mean reciprocal rank of the view after an action against context length, a line for each environment."""
    figure = Figure(figsize=(3.6, 3.0), layout="constrained")
    panel = figure.subplots()
    for environment, colour in zip(report.environments, _COLOURS * len(report.environments), strict=False):
        rows = [find(report.rows, environment, length, "mrr", "view") for length in report.lengths]
        _draw_line(panel, rows, f"context: {environment}", colour)
    _draw_lengths(panel, report)
    panel.set_ylabel("mean reciprocal rank")
    panel.legend(frameon=False)
    return figure


def retrieval_figure(retrieval: Retrieval, path: Path) -> None:
    """Write ``draw_retrieval`` to a file."""
    save(partial(draw_retrieval, retrieval), path)


def draw_retrieval(retrieval: Retrieval) -> Figure:
    """Source, action, and the nearest neighbours under each context (the paper's figure 1)."""
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


def save(draw: Callable[[], Figure], path: Path) -> None:
    """Draw a figure and write it atomically; the suffix decides the format."""
    kind = path.suffix[1:]
    picture = rendered(draw, kind, {"Date": None} if kind == "svg" else {})
    with files.atomic(path) as temporary:
        temporary.write_bytes(picture)


def _draw_panel(panel: Axes, report: ProbeReport, environment: str) -> None:
    for action, colour in zip(report.actions, _COLOURS * len(report.actions), strict=False):
        rows = [find(report.rows, environment, length, "r2", action) for length in report.lengths]
        _draw_line(panel, rows, action, colour)
    _draw_lengths(panel, report)
    panel.set_title(f"context: {environment}")
    panel.axhline(0, color="0.8", linewidth=0.8, zorder=0)


def _draw_line(panel: Axes, rows: Sequence[Row], label: str, colour: str) -> None:
    """Means and spread, evenly spaced from left to right."""
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
