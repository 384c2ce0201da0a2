"""The files of a probe: JSON, CSV and figures."""

from __future__ import annotations

from pathlib import Path

from contextssl_cli import files
from contextssl_cli.evaluation.comparison import Comparison
from contextssl_cli.evaluation.protocol import ProbeReport
from contextssl_cli.evaluation.results import to_csv
from contextssl_cli.report.figures import context_length_figure

FIGURE = "r2-by-context-length"


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write ``comparison.json``; return its path."""
    path = folder / "comparison.json"
    files.write_json(path, comparison.as_dict())
    return [path]


def write_probe(report: ProbeReport, folder: Path) -> list[Path]:
    """Write ``results.json``, ``results.csv`` and the figure as PNG and SVG; return their paths."""
    paths = [folder / "results.json", folder / "results.csv", folder / f"{FIGURE}.png", folder / f"{FIGURE}.svg"]
    files.write_json(paths[0], report.as_dict())
    files.write_text(paths[1], to_csv(report.rows))
    if not report.lengths:  # a method without a context
        return paths[:2]
    for path in paths[2:]:
        context_length_figure(report, path)
    return paths
