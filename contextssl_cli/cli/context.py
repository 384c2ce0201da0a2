"""``contextssl context create`` and ``contextssl context inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contextssl_cli.cli import options
from contextssl_cli.cli.options import option
from contextssl_cli.errors import UsageError


def create_main(
    run: options.RunFolder = None,
    action: Annotated[
        list[str] | None,
        option("--action ACTION", "Action type to follow (repeatable); all others are zeroed. Write none to zero all."),
    ] = None,
    pairs: Annotated[
        int | None,
        option("--pairs N", "Pairs to draw.", "as many as the model reads"),
    ] = None,
    from_pairs: Annotated[
        Path | None,
        option("--from-pairs FILE", "Your own pairs: HDF5 or .npz with x, y and actions/ACTION."),
    ] = None,
    out: Annotated[Path, option("--out FILE", "Context file to write.")] = Path("ctx.h5"),
    seed: options.Seed = 0,
    force: options.Force = False,
    dry_run: options.DryRun = False,
) -> None:
    """Create a context.

    Its pairs come from the training split of a run, or from your own file.
    """
    from contextssl_cli.adaptation.context_files import context_from_pairs, context_from_run
    from contextssl_cli.plugin.task import environment_name
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.store.context import CONTEXT_KIND
    from contextssl_cli.store.replace import check_replaceable
    from contextssl_cli.training.run import Run
    from contextssl_cli.training.runs import FoundRun, latest_run

    check_replaceable(out, CONTEXT_KIND, from_pairs)
    if out.exists() and not force:
        raise UsageError(f"{out} exists; choose another --out or add --force")
    if from_pairs and pairs is not None:
        raise UsageError("--pairs counts pairs drawn from the run; with --from-pairs the file decides")
    found = FoundRun(Run(run), "named with --run") if run else latest_run(reads_contexts=True)
    terminal.note(str(found))
    if from_pairs:
        made = context_from_pairs(found.run, from_pairs, action or [])
    else:
        made = context_from_run(found.run, action or [], pairs, seed)
    summary = f"{len(made)} pairs, active: {environment_name(made.environment)}, for the run {found.run.folder}"
    if dry_run:
        terminal.result(f"would write {out}: {summary}")
        return
    made.save(out)
    terminal.result(f"{out}: {summary}")


def inspect_main(
    context: Annotated[Path, typer.Argument(metavar="FILE", help="Context file.")],
    run: options.FittingRun = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Inspect a context.

    Measure its effect by the number of pairs, how many pairs are enough, and which pairs lower the score.
    """
    from contextssl_cli.evaluation.evaluator import Evaluator
    from contextssl_cli.evaluation.inspection import inspect_context
    from contextssl_cli.evaluation.open_run import OpenRun
    from contextssl_cli.evaluation.protocol import probe_config
    from contextssl_cli.report.summary import print_inspection
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.store.context import Context
    from contextssl_cli.training.run import Run
    from contextssl_cli.training.runs import FoundRun, check_context, find_run

    pairs = Context.load(context)
    found = FoundRun(Run(run), "named with --run") if run else find_run(pairs, str(context))
    check_context(found.run, pairs, str(context), foreign="warn")
    terminal.note(str(found))
    opened = OpenRun(found.run, device)
    evaluator = Evaluator(opened, probe_config(opened.task.dataset, seed=seed))
    print_inspection(inspect_context(evaluator, pairs), as_json=json)
