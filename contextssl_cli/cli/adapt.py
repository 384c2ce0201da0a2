"""``contextssl adapt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contextssl_cli.cli import options


def adapt(
    context: Annotated[Path, typer.Option("--context", help="The context file.")],
    run: Annotated[
        Path | None, typer.Option("--run", help="Folder of the run; by default the one that the context was made for.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--input", help="A store, an array file or a folder of images; by default the run's test split."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The embeddings file.")] = Path("embeddings.h5"),
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
    force: options.Force = False,
    dry_run: options.DryRun = False,
) -> None:
    """Embed data under a context, and say what the embedding is now equivariant and invariant to."""
    from contextssl_cli.adaptation.adapt import adapt as embed
    from contextssl_cli.adaptation.adapt import check_output
    from contextssl_cli.adaptation.find_run import FoundRun, check_context, find_run
    from contextssl_cli.report.summary import print_adaptation
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.store.context import Context
    from contextssl_cli.training.run import Run

    pairs = Context.load(context)
    check_output(out, force=force)
    found = FoundRun(Run(run), "named with --run") if run else find_run(pairs)
    check_context(found.run, pairs)
    terminal.note(f"run: {found.run.folder} ({found.reason})")
    if dry_run:
        terminal.result(f"would embed {source or 'the test split of the run'} under {context} into {out}")
        return
    print_adaptation(embed(found, pairs, out, source=source, device=device, seed=seed), as_json=json)
