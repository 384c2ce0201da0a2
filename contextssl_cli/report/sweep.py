"""The picture of a sweep: figures against the swept value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from contextssl_cli.report.canvas import Axes, Figure
from contextssl_cli.report.figures import save
from contextssl_cli.report.result_table import GAP, PERCENT, Cell, ResultTable
from contextssl_cli.report.settings import show
from contextssl_cli.report.terminal import terminal
from contextssl_cli.text import printable

_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LETTERS = 30  # of all ticks together; more are turned

Settings = Mapping[str, Mapping[str, Any]]
"""What is varied, by the label of a table's row and the key of the setting."""

_Series = Mapping[str, Sequence[Cell | None]]


def write_sweep(table: ResultTable, settings: Settings, stem: Path) -> list[Path]:
    """The plot of a sweep's table as PNG and SVG; return the paths, none if it has nothing to show."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]
    if not is_drawn(table):
        terminal.note("no plot: nothing that it shows was measured (gap, R2, top-1)")
        for path in paths:  # of what was measured before
            path.unlink(missing_ok=True)
        return []
    for path in paths:
        save(partial(draw_sweep, table, settings), path)
    return paths


def draw_sweep(table: ResultTable, settings: Settings) -> Figure:
    """Gap, R2 and top-1, a panel each, a line for each of a panel's columns, points evenly spaced.

    Args:
        table: of the sweep.
        settings: of its rows that are drawn, in their order.
    """
    panels = _panels(table, settings)
    ticks = [printable(", ".join(map(show, values.values()))) for values in settings.values()]
    figure = Figure(figsize=(3.8 * len(panels), 3.6), layout="constrained")
    places = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, series) in zip(places, panels.items(), strict=True):
        _draw_panel(axes, series)
        axes.set_xticks(range(len(ticks)), ticks, rotation=90 if sum(map(len, ticks)) > _LETTERS else 0)
        axes.set_xlabel(", ".join(dict.fromkeys(key for values in settings.values() for key in values)))
        axes.set_title(title)
    return figure


def is_drawn(table: ResultTable) -> bool:
    """Whether a sweep's table has a column that its plot shows."""
    return any(_panels(table, {}))


def _draw_panel(axes: Axes, series: _Series) -> None:
    for number, (name, cells) in enumerate(series.items()):
        mean = np.array([np.nan if cell is None else cell.mean for cell in cells])
        std = np.array([np.nan if cell is None else cell.std for cell in cells])
        mark = _MARKS[number % len(_MARKS)]
        axes.errorbar(range(len(cells)), mean, std, marker=mark, markersize=4, capsize=2, label=name)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=7)


def _panels(table: ResultTable, settings: Settings) -> dict[str, _Series]:
    """The columns by the title of their panel; panels without a column are left out."""
    groups: dict[str, list[str]] = {"adaptation gap": [], "R2 of the relative action": [], PERCENT: []}
    for name in table.columns():
        if name == GAP:
            groups["adaptation gap"].append(name)
        elif " R2" in name:
            groups["R2 of the relative action"].append(name)
        elif name.startswith(PERCENT):
            groups[PERCENT].append(name)
    return {
        title: {name: [table.rows[label].get(name) for label in settings] for name in names}
        for title, names in groups.items()
        if names
    }
