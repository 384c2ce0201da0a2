"""The picture of a sweep: figures against the swept value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from contextssl_cli.report.figures import STYLE, save

_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LETTERS = 30  # of all ticks together; more are turned

Series = Mapping[str, Sequence[tuple[float, float] | None]]
"""By name: mean and spread at each point, None where there is none."""


def sweep_figure(ticks: Sequence[str], panels: Mapping[str, Series], axis: str, path: Path) -> None:
    """One panel for each kind of figure, a line for each of its series, points evenly spaced.

    Args:
        ticks: what the points are called.
        panels: series by the title of their panel.
        axis: what is swept.
        path: PNG or SVG.
    """
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(3.8 * len(panels), 3.6), layout="constrained")
        for axes, (title, series) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
        ):
            for number, (name, cells) in enumerate(series.items()):
                mean = np.array([np.nan if cell is None else cell[0] for cell in cells])
                std = np.array([np.nan if cell is None else cell[1] for cell in cells])
                mark = _MARKS[number % len(_MARKS)]
                axes.errorbar(range(len(cells)), mean, std, marker=mark, markersize=4, capsize=2, label=name)
            turned = sum(map(len, ticks)) > _LETTERS
            axes.set_xticks(range(len(ticks)), ticks, rotation=90 if turned else 0)
            axes.set_xlabel(axis)
            axes.set_title(title)
            if len(series) > 1:
                axes.legend(frameon=False, fontsize=7)
        save(figure, path)
