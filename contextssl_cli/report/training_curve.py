"""The training curve of a run, from its ``metrics.jsonl``."""

from __future__ import annotations

import contextlib
from typing import Any

from contextssl_cli.report.canvas import Figure
from contextssl_cli.training.log import MetricsLog, main_losses, terms_of

_GAP = "held_out_gap_ridge"


def read_losses(log: MetricsLog) -> list[dict[str, Any]]:
    """Step, losses by environment or term, and the gap, of the lines with a loss."""
    lines = [
        {"step": line["step"], "loss": main_losses(terms_of(line)), _GAP: _number(line.get(_GAP))}
        for line in log.lines()
    ]
    return [line for line in lines if line["loss"] and line["step"] > 0]


def _number(value: Any) -> float | None:
    with contextlib.suppress(OverflowError):  # of a whole number beyond any float
        return float(value) if isinstance(value, int | float) else None
    return None


def draw_training(lines: list[dict[str, Any]]) -> Figure:
    """Loss by environment or term and, where it was watched, the held-out gap, against the step."""
    watched = [line for line in lines if line.get(_GAP) is not None]
    panels = 2 if watched else 1
    figure = Figure(figsize=(3.6 * panels, 2.4), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for name in lines[-1]["loss"]:
        told = [line for line in lines if name in line["loss"]]
        axes[0].plot([line["step"] for line in told], [line["loss"][name] for line in told], label=name, linewidth=1)
    axes[0].set_ylabel("loss")
    axes[0].legend(frameon=False, fontsize=8)
    if watched:
        axes[1].plot([line["step"] for line in watched], [line[_GAP] for line in watched], marker="o", markersize=3)
        axes[1].set_ylabel("held-out gap (ridge)")
    for panel in axes:
        panel.set_xlabel("step")
        panel.spines[["top", "right"]].set_visible(False)
    return figure
