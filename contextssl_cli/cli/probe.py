"""``contextssl probe``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from contextssl_cli.cli import options
from contextssl_cli.cli.options import option
from contextssl_cli.errors import UsageError

if TYPE_CHECKING:
    from contextssl_cli.training.run import Run


def probe_main(
    run: Annotated[
        list[Path] | None,
        option("--run FOLDER", "Folder of the run (repeatable: runs of one task are averaged).", "the newest run"),
    ] = None,
    seeds: Annotated[
        str | None,
        option("--seeds N,N,...", "Average the runs with these seeds in the folder --run."),
    ] = None,
    metrics: options.Metrics = None,
    probes: options.Probes = None,
    lengths: options.Lengths = None,
    judge_on: options.JudgeOn = "test",
    compare: Annotated[
        bool,
        option(
            "--compare",
            "Compare runs of a method without contexts: measure the adaptation gap between runs that were conditioned "
            "on different action types.",
        ),
    ] = False,
    retrieval: Annotated[
        bool,
        option("--retrieval", "Also draw retrieval.png: the nearest neighbours of predicted views under each context."),
    ] = False,
    out: Annotated[
        Path | None,
        option("--out FOLDER", "Folder for results.", "probe in the folder of the run"),
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Measure what embeddings contain under each context."""
    from contextssl_cli.evaluation.comparison import compare_runs
    from contextssl_cli.evaluation.protocol import probe_runs
    from contextssl_cli.evaluation.stored import RESULTS
    from contextssl_cli.experiments.probe import (
        RETRIEVAL,
        check_place,
        check_retrieval,
        result_folder,
        write_found,
        write_retrieval,
    )
    from contextssl_cli.paths import make_folder
    from contextssl_cli.report.summary import print_found
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.training.runtime import resolve_device

    chosen = options.measures(metrics, probes, lengths, judge_on)
    runs = _named_runs(run or [], options.seeds(seeds) if seeds else [])
    if retrieval and compare:
        raise UsageError("--retrieval needs contexts, and --compare takes runs without them; use one of the two")
    folder = out or result_folder(runs, compare=compare, judged_on=judge_on)
    if retrieval:
        check_retrieval(runs[0])
    check_place(folder, *([RETRIEVAL] if retrieval else []), compare=compare)
    if dry_run:
        terminal.plan(f"would probe {', '.join(str(r.folder) for r in runs)} into {folder}", as_json=json)
        return
    make_folder(folder)  # before minutes of work that could not be written
    if not compare and (folder / RESULTS).is_file():
        terminal.note(f"{folder} has earlier results, which will be overwritten; choose another --out to keep both")
    terminal.note(f"probing {', '.join(str(r.folder) for r in runs)}, judged on {judge_on}")
    place = resolve_device(device)
    flags = {**chosen, "seed": seed}
    found = compare_runs(runs, place, **flags) if compare else probe_runs(runs, place, **flags)
    paths = write_found(found, folder)
    if retrieval:
        paths.append(write_retrieval(runs[0], folder / RETRIEVAL, place, judged_on=judge_on, seed=seed))
    print_found(found, paths, as_json=json)


def _named_runs(folders: Sequence[Path], seeds: Sequence[int]) -> list[Run]:
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.training.run import Run
    from contextssl_cli.training.runs import latest_run, runs_of_seeds

    if seeds and not folders:
        raise UsageError("--seeds selects runs in a folder; name the folder with --run")
    if seeds:
        return [run for folder in folders for run in runs_of_seeds(folder, seeds)]
    if folders:
        return [Run(folder) for folder in folders]
    found = latest_run()
    terminal.note(str(found))
    return [found.run]
