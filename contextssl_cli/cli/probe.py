"""``contextssl probe``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contextssl_cli.cli import options
from contextssl_cli.errors import UsageError

if TYPE_CHECKING:
    from contextssl_cli.training.run import Run


def probe_main(
    run: Annotated[
        list[Path] | None,
        typer.Option(
            "--run", help="Folder of the run; several runs of one task give mean and spread. Default: the newest."
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", help="Of a folder of runs (--run): those of these seeds, as 0,1,2; mean and spread."),
    ] = None,
    metrics: options.Metrics = None,
    probes: options.Probes = None,
    lengths: options.Lengths = None,
    judge_on: options.JudgeOn = "test",
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="The adaptation gap between runs of one method that were told different action types."
        ),
    ] = False,
    retrieval: Annotated[
        bool,
        typer.Option(
            "--retrieval",
            help="Draw retrieval.png as well: images nearest to predicted views under each context, for the first run.",
        ),
    ] = False,
    out: options.Out = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Measure what the embedding knows under each context, by the paper's protocols."""
    from contextssl_cli.evaluation.comparison import compare_runs
    from contextssl_cli.evaluation.protocol import probe_runs
    from contextssl_cli.evaluation.stored import RESULTS
    from contextssl_cli.paths import make_folder
    from contextssl_cli.report.folder import (
        check_comparison,
        check_probe,
        result_folder,
        write_comparison,
        write_probe,
    )
    from contextssl_cli.report.retrieval import RETRIEVAL, check_retrieval, write_retrieval
    from contextssl_cli.report.summary import print_comparison, print_probe
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.training.device import resolve_device

    chosen = options.measures(metrics, probes, lengths, judge_on)
    runs = _named_runs(run or [], options.seeds(seeds) if seeds else [])
    if retrieval and compare:
        raise UsageError("--retrieval needs a context, and --compare takes runs without one: leave one of them out")
    folder = out or result_folder(runs, compare=compare, judged_on=judge_on)
    if retrieval:
        check_retrieval(runs[0])
    if compare:
        check_comparison(folder)
    else:
        check_probe(folder, *([RETRIEVAL] if retrieval else []))
    if dry_run:
        terminal.plan(f"would probe {', '.join(str(r.folder) for r in runs)} into {folder}", as_json=json)
        return
    make_folder(folder)  # before minutes of work that could not be written
    if not compare and (folder / RESULTS).is_file():
        terminal.note(f"{folder} holds the results of an earlier probe, which are replaced; another --out keeps both")
    terminal.note(f"probing {', '.join(str(r.folder) for r in runs)}, judged on {judge_on}")
    if compare:
        comparison = compare_runs(runs, resolve_device(device), seed=seed, **chosen)
        print_comparison(comparison, write_comparison(comparison, folder), as_json=json)
        return
    report = probe_runs(runs, resolve_device(device), seed=seed, **chosen)
    paths = write_probe(report, folder)
    if retrieval:
        picture = folder / RETRIEVAL
        paths.append(write_retrieval(runs[0], picture, resolve_device(device), judged_on=judge_on, seed=seed))
    print_probe(report, paths, as_json=json)


def _named_runs(folders: Sequence[Path], seeds: Sequence[int]) -> list[Run]:
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.training.run import Run
    from contextssl_cli.training.runs import latest_run, runs_of_seeds

    if seeds and not folders:
        raise UsageError("--seeds picks runs of a folder: name the folder with --run")
    if seeds:
        return [run for folder in folders for run in runs_of_seeds(folder, seeds)]
    if folders:
        return [Run(folder) for folder in folders]
    found = latest_run()
    terminal.note(str(found))
    return [found.run]
