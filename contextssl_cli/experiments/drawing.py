"""The figures of an experiment's part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.experiments.execute import Probed
from contextssl_cli.experiments.experiment import Part
from contextssl_cli.experiments.grid import folder_name
from contextssl_cli.experiments.plan import runs_of
from contextssl_cli.report.figures import context_length_figure, ranking_figure
from contextssl_cli.report.result_table import ResultTable
from contextssl_cli.report.retrieval import write_retrieval
from contextssl_cli.report.sweep import write_sweep
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.run import Run


def draw_part(
    part: Part, store: Store | None, probed: Sequence[Probed], tables: Sequence[ResultTable], out: Path
) -> list[Path]:
    """Draw what a part's figures are, as PNG and SVG; return the paths.

    Curves by context length, one picture for each of ContextSSL's models; where a setting is swept, figures against it
    in their place; nearest neighbours, where the study asks for them and its data are here.

    Args:
        part: planned.
        store: its data.
        probed: its points.
        tables: over them.
        out: the folder.
    """
    drawn: list[Path] = []
    own = [one for one in probed if one.report.lengths and one.report.method == "contextssl"]
    swept = [table for table in tables if table.name == "sweep"]
    several = len(own) > 1 or sum(run.method == "contextssl" for run in part.study.runs) > 1  # now, or when all is done
    for one in own if not swept else ():
        name = part.study.name + (f"-{folder_name(one.label)}" if several else "")
        drawn += _curves(one.report, out, name)
    for table in swept:
        drawn += write_sweep(table, {one.label: one.values for one in probed}, out / f"{part.study.name}-sweep")
    if part.study.retrieval and own and store:
        planned = next(run for run in runs_of(part.points) if run.config.method == "contextssl")
        path = out / f"{part.study.name}-retrieval.png"
        drawn.append(write_retrieval(Run(planned.folder), path, torch.device("cpu")))
    return drawn


def _curves(report: ProbeReport, out: Path, name: str) -> list[Path]:
    """What was measured of one model against the context's length."""
    measured = {row.metric for row in report.rows}
    drawn = []
    for metric, draw in (("r2", context_length_figure), ("mrr", ranking_figure)):
        for kind in ("png", "svg") if metric in measured else ():
            path = out / f"{name}-{metric}-by-context-length.{kind}"
            draw(report, path)
            drawn.append(path)
    return drawn
