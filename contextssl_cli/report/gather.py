"""What a report is made of: results that are there, and runs, which are probed where they have not been."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch

from contextssl_cli import files
from contextssl_cli.config.probe import Judged
from contextssl_cli.config.train import OF_NO_MATTER
from contextssl_cli.errors import DataMissingError, UsageError
from contextssl_cli.evaluation.comparison import Comparison, comparable, compare_runs
from contextssl_cli.evaluation.protocol import probe_runs
from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.evaluation.stored import COMPARISON, RESULT_FILES, RESULTS, read_result, read_results
from contextssl_cli.paths import make_folder
from contextssl_cli.report.folder import check_comparison, check_probe, result_folder, write_comparison, write_probe
from contextssl_cli.report.terminal import terminal
from contextssl_cli.training.run import RUN_FILE, Run

Found = ProbeReport | Comparison

GENERATOR = "contextssl"
"""What the head of a page names, and what tells it from a page of another program."""
_HEAD = 1000  # bytes


def sort_out(paths: Sequence[Path]) -> tuple[list[Path], list[Run]]:
    """Which of what the user names are files of results, and which are runs; a folder without either gives its runs.

    Raises:
        DataMissingError: if one is neither, and holds no run.
        CorruptFileError: if a run is damaged.
        UsageError: if one is named twice.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a run or result is named twice")
    results, runs = [], []
    for path in paths:
        if not path.is_dir():
            results.append(files.check_input(path, "a result, or the folder of a run or of results"))
        elif (path / RUN_FILE).is_file():
            runs.append(Run(path))
        elif (found := _result_file(path)) is not None:
            results.append(found)
        else:
            runs += _runs_in(path)
    return results, runs


def check_page(path: Path) -> Path:
    """A place that a page can be written to, looked at before minutes of work.

    Raises:
        UsageError: if it is not named as a page, or is anything but a page of contextssl.
        DataMissingError: if its folder cannot be written to.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {path}: expected the name of a page, such as report.html")
    if path.is_dir():
        raise UsageError(f"--out {path} is a folder; name a page in it, such as {path / 'report.html'}")
    make_folder(path.parent)
    files.check_output(path)
    head = files.read_head(path, _HEAD) if path.exists() else b""
    if head and f'<meta name="generator" content="{GENERATOR} '.encode() not in head:
        raise UsageError(f"{path} is no page of contextssl report and is not replaced; choose another --out")
    return path


def gather(results: Sequence[Path], runs: Sequence[Run], device: torch.device) -> list[Found]:
    """The results as they are, and the runs' own.

    Runs that differ in their seeds alone are averaged, if they have come to the same step. Runs of one method that were
    told different action types are compared, also beside other methods' runs. Others stand one after another.
    """
    found = [one for path in results for one in read_results(path)]
    if comparable(runs):
        return [*found, _comparison(runs, device)]
    methods: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        methods.setdefault((run.record.task, run.record.store_hash, run.record.config.method), []).append(run)
    return [*found, *(one for group in methods.values() for one in _of_method(group, device))]


def _of_method(runs: Sequence[Run], device: torch.device) -> list[Found]:
    """Of one method's runs on one data set: their comparison, or a probe for each configuration and step reached."""
    if comparable(runs):
        return [_comparison(runs, device)]
    configs: dict[str, list[Run]] = {}
    for run in runs:
        config = run.record.config.model_dump(mode="json", exclude=set(OF_NO_MATTER))
        trained = json.dumps([config, run.reached()[0]], sort_keys=True)
        configs.setdefault(trained, []).append(run)
    return [_probe(group, device) for group in configs.values()]


def reports_of(found: Sequence[Found]) -> list[ProbeReport]:
    """Every report, those inside comparisons too."""
    return [report for one in found for report in (one.reports if isinstance(one, Comparison) else [one])]


def _result_file(folder: Path) -> Path | None:
    return next((folder / name for name in RESULT_FILES if (folder / name).is_file()), None)


def _runs_in(folder: Path) -> list[Run]:
    """The runs below a folder."""
    found = [Run(path.parent) for path in sorted(folder.glob(f"**/{RUN_FILE}"))]
    if not found:
        raise DataMissingError(
            f"{folder} is neither a run nor a result, and holds none: no {RUN_FILE} nor "
            f"{' or '.join(RESULT_FILES)}; contextssl pretrain makes runs, contextssl probe results"
        )
    return found


def _probe(runs: Sequence[Run], device: torch.device) -> Found:
    kept = _kept(runs, RESULTS, compare=False)
    if kept:
        return kept
    folder = make_folder(result_folder(runs, compare=False))  # before minutes of work that could not be written
    check_probe(folder)
    terminal.note(f"probing {', '.join(str(run.folder) for run in runs)}")
    report = probe_runs(runs, device)
    write_probe(report, folder)
    return report


def _comparison(runs: Sequence[Run], device: torch.device) -> Found:
    kept = _kept(runs, COMPARISON, compare=True)
    if kept:
        return kept
    folder = make_folder(result_folder(runs, compare=True))
    check_comparison(folder)
    terminal.note(f"comparing {', '.join(str(run.folder) for run in runs)}")
    comparison = compare_runs(runs, device)
    write_comparison(comparison, folder)
    return comparison


def _kept(runs: Sequence[Run], name: str, *, compare: bool) -> Found | None:
    """The result of these runs that is there; where there is none on the test split, that on held-out objects.

    Whoever chooses settings by the latter must not be shown the test split unasked.
    """
    for judged_on in get_args(Judged):
        found = _of_weights(result_folder(runs, compare=compare, judged_on=judged_on) / name, runs)
        if found is not None:
            return found
    return None


def _of_weights(path: Path, runs: Sequence[Run]) -> Found | None:
    """The result that stands at ``path``, if it is of these runs' weights."""
    if not path.is_file():
        return None
    found = read_result(path)
    of = sorted(run["fingerprint"] for report in reports_of([found]) for run in report.protocol["runs"])
    if of != sorted(run.fingerprint() for run in runs):
        terminal.note(f"{path} is of other weights: probing again")
        return None
    terminal.note(f"read {path}")
    return found
