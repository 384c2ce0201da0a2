"""``contextssl context create``."""

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
    from contextssl_cli.adaptation.contexts import context_from_pairs, context_from_run
    from contextssl_cli.adaptation.find_run import latest_run
    from contextssl_cli.plugin.task import environment_name
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.training.run import Run

    if out.exists() and not force:
        raise UsageError(f"{out} exists; choose another --out or add --force")
    if from_pairs and pairs is not None:
        raise UsageError("--pairs counts pairs drawn from the run; with --from-pairs the file decides")
    opened = Run(run) if run else latest_run()
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
