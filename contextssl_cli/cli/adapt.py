"""``contextssl adapt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contextssl_cli.cli import options
from contextssl_cli.errors import UsageError


def adapt(
    context: Annotated[
        list[Path] | None, typer.Option("--context", help="The context file; several are candidates for --labels.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="Folder of the run; by default the one that the context was made for.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--input", help="A store, an array file or a folder of images; by default the run's test split."),
    ] = None,
    guard: Annotated[
        str | None, typer.Option("--guard", help="A zeroed action type: take out what still tells it.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="CSV of a few labelled inputs, to choose the context by.")
    ] = None,
    candidates: Annotated[
        str | None,
        typer.Option("--candidates", help="all: every environment of the run, and no context, for --labels."),
    ] = None,
    at_most: Annotated[
        list[str] | None,
        typer.Option(
            "--at-most",
            help="A bound on the choice: ATTRIBUTE=ACCURACY at which it is read, or a fairness difference between its "
            "groups: equalized-odds=NUMBER or equal-opportunity=NUMBER.",
        ),
    ] = None,
    skip_corrupt: Annotated[
        bool,
        typer.Option("--skip-corrupt", help="Leave out images of a folder that cannot be read, and name them."),
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="The embeddings file; an older one is replaced.")] = Path(
        "embeddings.h5"
    ),
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Embed data under a context, and say what the embedding is now equivariant and invariant to.

    With --labels, choose the context among several by a few labelled inputs.
    """
    from contextssl_cli.adaptation.adapt import adapt as embed
    from contextssl_cli.report.summary import print_adaptation, print_selection
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.selection.candidates import choose, read_candidates, read_choice
    from contextssl_cli.store.embeddings import KIND
    from contextssl_cli.store.replace import check_replaceable

    if labels is None and (candidates or at_most or len(context or []) != 1):
        raise UsageError("name one --context, or several (or --candidates all) with --labels to choose by")
    check_replaceable(out, KIND, source)
    if out.exists() and not dry_run:
        terminal.note(f"{out} is there and will be replaced")
    found, contexts = read_candidates(context or [], candidates, run, seed, guard=guard)
    if guard and candidates:
        terminal.note(f"candidates are the contexts that zero {guard}: the guard is fitted to their pairs")
    terminal.note(f"run: {found.run.folder} ({found.reason})")
    choice = None
    if labels is not None:
        choice = read_choice(found.run, contexts, labels, source, at_most or [], skip_corrupt=skip_corrupt)
    if dry_run:
        terminal.plan(
            f"would embed {source or 'the test split of the run'} under {' or '.join(contexts)} into {out}",
            as_json=json,
        )
        return
    chosen, about = next(iter(contexts)), None
    if choice is not None:
        selection = choose(found.run, contexts, choice, device, guard=guard, seed=seed)
        if not json:
            print_selection(selection)
        chosen, about = selection.chosen, {"selection": selection.as_dict()}
    adapted = embed(
        found, contexts[chosen], out, source=source, guard=guard, device=device, seed=seed, about=about,
        skip_corrupt=skip_corrupt,
    )  # fmt: skip
    print_adaptation(adapted, as_json=json)
