"""``contextssl context create`` and ``contextssl context inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contextssl_cli.cli import options
from contextssl_cli.errors import UsageError


def create(
    run: options.Run = None,
    action: Annotated[
        list[str] | None,
        typer.Option("--action", help="An active action type, to be repeated; none for the empty environment."),
    ] = None,
    pairs: Annotated[int | None, typer.Option("--pairs", help="Default: as many as the model takes.")] = None,
    from_pairs: Annotated[
        Path | None,
        typer.Option("--from-pairs", help="Your own pairs: HDF5 or NPZ with x, y and actions/<action type>."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The context file.")] = Path("ctx.h5"),
    seed: options.Seed = 0,
    force: options.Force = False,
    dry_run: options.DryRun = False,
) -> None:
    """Write a context file from a run's training split, or from your own pairs."""
    from contextssl_cli.adaptation.context_files import context_from_pairs, context_from_run
    from contextssl_cli.plugin.task import environment_name
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.store.context import KIND
    from contextssl_cli.store.replace import check_replaceable
    from contextssl_cli.training.run import Run
    from contextssl_cli.training.runs import latest_run

    check_replaceable(out, KIND, from_pairs)
    if out.exists() and not force:
        raise UsageError(f"{out} exists; choose another --out or add --force")
    if from_pairs and pairs is not None:
        raise UsageError("--pairs counts pairs drawn from the run; with --from-pairs the file decides")
    opened = Run(run) if run else latest_run(reads_contexts=True)
    if from_pairs:
        made = context_from_pairs(opened, from_pairs, action or [])
    else:
        made = context_from_run(opened, action or [], pairs, seed)
    summary = f"{len(made)} pairs, active: {environment_name(made.environment)}, for the run {opened.folder}"
    if dry_run:
        terminal.result(f"would write {out}: {summary}")
        return
    made.save(out)
    terminal.result(f"{out}: {summary}")


def inspect(
    context: Annotated[Path, typer.Argument(help="The context file.")],
    run: Annotated[
        Path | None, typer.Option("--run", help="Folder of the run; by default the one that the context was made for.")
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Say what a context brings: symmetries by its length, how many pairs suffice, and which of them hurt."""
    from contextssl_cli.evaluation.evaluator import Evaluator
    from contextssl_cli.evaluation.inspection import inspect_context
    from contextssl_cli.evaluation.protocol import probe_config
    from contextssl_cli.report.summary import print_inspection
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.store.context import Context
    from contextssl_cli.training.device import resolve_device
    from contextssl_cli.training.run import Run
    from contextssl_cli.training.runs import (
        FoundRun,
        check_named_context,
        find_run,
        warn_of_another_run,
    )
    from contextssl_cli.training.start import run_task

    pairs = Context.load(context)
    found = FoundRun(Run(run), "named with --run") if run else find_run(pairs, str(context))
    check_named_context(found.run, pairs, str(context))
    terminal.note(f"run: {found.run.folder} ({found.reason})")
    warn_of_another_run(pairs, found.run, str(context))
    config = probe_config(run_task(found.run).dataset, seed=seed)
    print_inspection(inspect_context(Evaluator(found.run, config, resolve_device(device)), pairs), as_json=json)
