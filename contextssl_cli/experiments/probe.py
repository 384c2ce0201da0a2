"""Probe runs and write the files of a probe: results, figures and neighbours; gather what a report shows."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import torch

from contextssl_cli import files
from contextssl_cli.config.probe import Judged, place_of
from contextssl_cli.config.train import OF_NO_MATTER
from contextssl_cli.errors import DataMissingError, UsageError
from contextssl_cli.evaluation.comparison import Comparison, comparable, compare_runs
from contextssl_cli.evaluation.evaluator import Evaluator
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.evaluation.protocol import drawn_conditions, probe_config, probe_runs
from contextssl_cli.evaluation.results import to_csv
from contextssl_cli.evaluation.retrieval import retrieve
from contextssl_cli.evaluation.stored import (
    COMPARISON,
    COMPARISON_KEYS,
    REPORT_KEYS,
    RESULT_FILES,
    RESULTS,
    check_results,
    read_result,
    read_results,
)
from contextssl_cli.paths import make_folder
from contextssl_cli.report.figures import CURVE_STEMS, draw_retrieval, save, save_curves
from contextssl_cli.report.probe_tables import Found, reports_of
from contextssl_cli.training.run import RUN_FILE, Run
from contextssl_cli.training.start import run_task

_log = logging.getLogger(__name__)

RETRIEVAL = "retrieval.png"
_TABLE = "results.csv"


def result_folder(runs: Sequence[Run], *, compare: bool, judged_on: Judged = "test") -> Path:
    """The default folder of the results of runs: in the folder of the first run."""
    name = "comparison" if compare else "probe" if len(runs) == 1 else f"probe-{len(runs)}-runs"
    return runs[0].folder / place_of(name, judged_on)


def check_place(folder: Path, *others: str, compare: bool = False) -> None:
    """Refuse a folder in which ``write_found`` would replace files of other programs.

    Args:
        folder: of the results.
        others: names of more files that will be written.
        compare: whether the results are those of a comparison.

    Raises:
        UsageError: naming the file.
    """
    if compare:
        check_results(folder, COMPARISON, COMPARISON_KEYS)
        return
    figures = [f"{name}.{kind}" for name in CURVE_STEMS.values() for kind in ("png", "svg")]
    check_results(folder, RESULTS, REPORT_KEYS, [_TABLE, *figures, *others])


def write_found(found: Found, folder: Path) -> list[Path]:
    """Write ``comparison.json``, or ``results.json``, ``results.csv`` and the figures, and return their paths.

    A figure of an earlier probe that these results do not have is removed.
    """
    results = folder / (COMPARISON if isinstance(found, Comparison) else RESULTS)
    files.write_json(results, found.as_dict())
    if isinstance(found, Comparison):
        return [results]
    table = folder / _TABLE
    files.write_text(table, to_csv(({}, row) for row in found.rows))
    return [results, table, *save_curves(found, folder)]


def check_retrieval(run: Run) -> None:
    """Check, before minutes of work, that ``write_retrieval`` can draw the neighbours of a run.

    Raises:
        UsageError: if the run reads no context, or its inputs are not images.
    """
    run.require_context()
    if run_task(run).dataset.modality != "image":
        raise UsageError(f"--retrieval draws images, and the inputs of {run.record.task} are not images: leave it out")


def write_retrieval(run: Run, path: Path, device: torch.device, *, judged_on: Judged = "test", seed: int = 0) -> Path:
    """Draw sources, their views after an action, and the neighbours of the predicted view under each environment.

    Args:
        run: that ``check_retrieval`` accepts.
        path: of the PNG file.
        device: for encoder and world model.
        judged_on: whose images are drawn; contexts come from the samples that the run was trained on.
        seed: of contexts, sources and views.
    """
    evaluator = Evaluator(OpenRun(run, device), probe_config(run_task(run).dataset, judged_on=judged_on, seed=seed))
    conditions = drawn_conditions(evaluator, [evaluator.longest_context])
    found = retrieve(evaluator, [condition for condition in conditions if condition.context])
    save(partial(draw_retrieval, found), path)
    return path


def sort_inputs(paths: Sequence[Path]) -> tuple[list[Path], list[Run]]:
    """Split paths into result files and runs; a folder with neither stands for the runs below it.

    Raises:
        DataMissingError: if a path is neither, and holds no run.
        CorruptFileError: if a run is damaged.
        UsageError: if a path is named twice.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a run or result is named twice")
    results, runs = [], []
    for path in paths:
        if not path.is_dir():
            results.append(files.check_input(path, "a result, or the folder of a run or of results"))
        elif (path / RUN_FILE).is_file():
            runs.append(Run(path))
        elif found := [path / name for name in RESULT_FILES if (path / name).is_file()]:
            results.append(found[0])
        else:
            runs += _runs_in(path)
    return results, runs


def _runs_in(folder: Path) -> list[Run]:
    found = [Run(path.parent) for path in sorted(folder.glob(f"**/{RUN_FILE}"))]
    if not found:
        raise DataMissingError(
            f"{folder} is neither a run nor a result, and holds none: no {RUN_FILE} nor "
            f"{' or '.join(RESULT_FILES)}; contextssl pretrain makes runs, contextssl probe results"
        )
    return found


def gather(results: Sequence[Path], runs: Sequence[Run], device: torch.device) -> list[Found]:
    """Read result files, and probe the runs that have no results of their weights yet.

    Runs that differ in their seeds alone and were trained to the same step are averaged. Runs of one method that are
    conditioned on different action types are compared. Other runs have results of their own.
    """
    found = [one for path in results for one in read_results(path)]
    methods: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        methods.setdefault((run.record.task, run.record.store_hash, run.record.config.method), []).append(run)
    groups = [runs] if comparable(runs) else list(methods.values())
    return [*found, *(one for group in groups for one in _of_group(group, device))]


def _of_group(runs: Sequence[Run], device: torch.device) -> list[Found]:
    """The comparison of runs, or a probe for each configuration and step reached."""
    if comparable(runs):
        return [_measured(runs, device, compare=True)]
    configs: dict[str, list[Run]] = {}
    for run in runs:
        config = run.record.config.model_dump(mode="json", exclude=set(OF_NO_MATTER))
        trained = json.dumps([config, run.reached()[0]], sort_keys=True)
        configs.setdefault(trained, []).append(run)
    return [_measured(group, device, compare=False) for group in configs.values()]


def _measured(runs: Sequence[Run], device: torch.device, *, compare: bool) -> Found:
    """The probe or the comparison of runs: the existing one of their weights, or a new one, written to its folder."""
    if kept := _kept(runs, COMPARISON if compare else RESULTS, compare=compare):
        return kept
    folder = make_folder(result_folder(runs, compare=compare))  # before minutes of work that could not be written
    _log.info("%s %s", "comparing" if compare else "probing", ", ".join(str(run.folder) for run in runs))
    check_place(folder, compare=compare)
    found = compare_runs(runs, device) if compare else probe_runs(runs, device)
    write_found(found, folder)
    return found


def _kept(runs: Sequence[Run], name: str, *, compare: bool) -> Found | None:
    """An existing result of these weights: on the test split, or else on held-out objects.

    Whoever chooses settings by held-out objects must not see the test split without asking for it.
    """
    fingerprints = sorted(run.fingerprint() for run in runs)
    for judged_on in get_args(Judged):
        path = result_folder(runs, compare=compare, judged_on=judged_on) / name
        if not path.is_file():
            continue
        found = read_result(path)
        probed = sorted(run["fingerprint"] for report in reports_of([found]) for run in report.protocol["runs"])
        if probed == fingerprints:
            _log.info("read %s", path)
            return found
        _log.info("%s is of other weights: probing again", path)
    return None
