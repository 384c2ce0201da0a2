"""``contextssl adapt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from contextssl_cli.cli import options
from contextssl_cli.cli.options import option
from contextssl_cli.errors import UsageError


def adapt_main(
    context: Annotated[
        list[Path] | None,
        option("--context FILE", "Context file (repeatable: --labels chooses between several)."),
    ] = None,
    run: options.FittingRun = None,
    source: Annotated[
        Path | None,
        option(
            "--input PATH", "Store, array file (.npy, .npz, .h5) or folder of images to embed.", "the run's test split"
        ),
    ] = None,
    guard: Annotated[
        str | None,
        option("--guard ACTION", "Also remove the remaining information about an action type that the context zeroes."),
    ] = None,
    labels: Annotated[
        Path | None,
        option("--labels FILE", "CSV file with the labels of a few inputs, to choose the context."),
    ] = None,
    candidates: Annotated[
        str | None,
        option(
            "--candidates all",
            "With --labels, choose between all contexts of the run and the embedding without a context.",
        ),
    ] = None,
    at_most: Annotated[
        list[str] | None,
        option(
            "--at-most NAME=N",
            "Limit for the choice (repeatable): accuracy of predicting a sensitive attribute, such as sex=0.7, or "
            "a difference between its groups, equalized-odds=N or equal-opportunity=N.",
        ),
    ] = None,
    no_profile: Annotated[
        bool,
        option("--no-profile", "Skip the symmetry profile and the probes of the guard, which saves time."),
    ] = False,
    skip_corrupt: Annotated[
        bool,
        option("--skip-corrupt", "Leave out images that cannot be read, and list them."),
    ] = False,
    out: Annotated[Path, option("--out FILE", "Embeddings file to write; an existing one is overwritten.")] = Path(
        "embeddings.h5"
    ),
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Embed data under a context.

    The command also measures which actions the embeddings are now equivariant or invariant to.
    """
    from contextssl_cli.adaptation.adapt import adapt as embed
    from contextssl_cli.adaptation.context_encoder import ContextEncoder
    from contextssl_cli.adaptation.inputs import open_inputs
    from contextssl_cli.evaluation.open_run import OpenRun
    from contextssl_cli.report.summary import print_adaptation, print_selection
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.selection.candidates import read_candidates, read_choice
    from contextssl_cli.selection.select import select_rows
    from contextssl_cli.store.embeddings import EMBEDDINGS_KIND
    from contextssl_cli.store.replace import check_replaceable

    if labels is None and (candidates or at_most or len(context or []) != 1):
        raise UsageError("name one --context, or several (or --candidates all) with --labels to choose by")
    check_replaceable(out, EMBEDDINGS_KIND, source)
    if out.exists() and not dry_run:
        terminal.note(f"{out} exists and will be overwritten")
    found, contexts = read_candidates(context or [], candidates, run, seed, guard=guard)
    if guard and candidates:
        terminal.note(f"candidates are the contexts that zero {guard}: the guard is fitted to their pairs")
    terminal.note(str(found))
    inputs = open_inputs(found.run, source, skip_corrupt=skip_corrupt)
    for what, count in inputs.notes.items():
        terminal.note(f"{what}: {count}")
    if inputs.skipped:
        skipped, first = len(inputs.skipped), inputs.skipped[0]
        terminal.note(f"warning: {skipped} images cannot be read and are left out (first: {first})")
    choice = None if labels is None else read_choice(contexts, labels, inputs, at_most or [])
    if dry_run:
        terminal.plan(
            f"would embed {source or 'the test split of the run'} under {' or '.join(contexts)} into {out}",
            as_json=json,
        )
        return
    opened = OpenRun(found.run, device)
    chosen = next(iter(contexts))
    about: dict[str, Any] = {"chosen": found.reason}
    if choice is not None:
        selection = select_rows(ContextEncoder.of(opened), contexts, choice, guard=guard, seed=seed)
        if not json:
            print_selection(selection)
        chosen, about["selection"] = selection.chosen, selection.as_dict()
    adapted = embed(
        opened, contexts[chosen], out, inputs=inputs, guard=guard, seed=seed, profile=not no_profile, about=about
    )
    print_adaptation(adapted, as_json=json)
