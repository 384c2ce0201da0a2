"""The files of a probe: JSON, CSV and figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contextssl_cli import files
from contextssl_cli.config.probe import Judged, place_of
from contextssl_cli.evaluation.comparison import Comparison
from contextssl_cli.evaluation.results import ProbeReport, to_csv
from contextssl_cli.evaluation.stored import COMPARISON, COMPARISON_KEYS, REPORT_KEYS, RESULTS, check_results
from contextssl_cli.report.figures import context_length_figure, ranking_figure
from contextssl_cli.training.run import Run

FIGURE = "r2-by-context-length"
RANKING = "mrr-by-context-length"
TABLE = "results.csv"


def result_folder(runs: Sequence[Run], *, compare: bool, judged_on: Judged = "test") -> Path:
    """Where the results of runs stand if the user names no place: in the first run's folder."""
    name = "comparison" if compare else "probe" if len(runs) == 1 else f"probe-{len(runs)}-runs"
    return runs[0].folder / place_of(name, judged_on)


def check_probe(folder: Path, *others: str) -> None:
    """Refuse a folder in which ``write_probe`` would replace what is not a probe's.

    Args:
        folder: of the results.
        others: names of more files that are to be written.

    Raises:
        UsageError: naming the file.
    """
    figures = [f"{name}.{kind}" for name in (FIGURE, RANKING) for kind in ("png", "svg")]
    check_results(folder, RESULTS, REPORT_KEYS, [TABLE, *figures, *others])


def check_comparison(folder: Path) -> None:
    """As ``check_probe``, for ``write_comparison``."""
    check_results(folder, COMPARISON, COMPARISON_KEYS)


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write ``comparison.json``; return its path."""
    path = folder / COMPARISON
    files.write_json(path, comparison.as_dict())
    return [path]


def write_probe(report: ProbeReport, folder: Path) -> list[Path]:
    """Write ``results.json``, ``results.csv`` and the figures as PNG and SVG; return their paths.

    A figure of what these results do not have, from a probe before, is removed.
    """
    paths = [folder / RESULTS, folder / TABLE]
    files.write_json(paths[0], report.as_dict())
    files.write_text(paths[1], to_csv(({}, row) for row in report.rows))
    measured = {row.metric for row in report.rows if report.lengths}  # without a context there is nothing to draw
    for metric, name, draw in (("r2", FIGURE, context_length_figure), ("mrr", RANKING, ranking_figure)):
        for path in (folder / f"{name}.png", folder / f"{name}.svg"):
            if metric in measured:
                draw(report, path)
                paths.append(path)
            else:
                path.unlink(missing_ok=True)
    return paths
