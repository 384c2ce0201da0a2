"""``contextssl reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from contextssl_cli.cli import options


def reproduce(
    name: Annotated[str, typer.Argument(help="Name of the experiment; contextssl plugins lists the recipes.")],
    scale: Annotated[
        Literal["demo", "full"], typer.Option("--scale", help="What 2 cores do in hours, or the paper's own size.")
    ] = "demo",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="The folder of runs, results and page; by default contextssl-NAME-SCALE.", show_default=False
        ),
    ] = None,
    runs: Annotated[
        Path | None,
        typer.Option("--runs", help="The folder of the runs, which experiments may share; by default --out."),
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option("--source", help="Where a data set's source files are, as adult=DIR.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="A part of the experiment, to be repeated; by default all.")
    ] = None,
    limit_seeds: Annotated[
        int | None,
        typer.Option("--limit-seeds", min=1, help="How many of a recipe's seeds to run; by default all.", metavar="N"),
    ] = None,
    no_train: Annotated[
        bool,
        typer.Option("--no-train", help="Train nothing; the page has the runs that are done, and names the rest."),
    ] = False,
    share: Annotated[
        str | None,
        typer.Option("--share", help="Train every Nth run, from the Ith on, and make no page.", metavar="I/N"),
    ] = None,
    device: options.Device = "auto",
    json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Run an experiment of the paper, or what is missing of it, and put our figures beside the published ones."""
    from contextssl_cli.errors import UsageError
    from contextssl_cli.experiments.recipe_plan import EVERYTHING, Share, outlook, parse_sources, plan_experiment
    from contextssl_cli.experiments.reproduce import run_experiment, train_share
    from contextssl_cli.report.summary import print_experiment, print_experiment_plan, print_share

    if share is not None and no_train:
        raise UsageError("--share trains a part of the runs: leave out --no-train")
    part = EVERYTHING if share is None else Share.parse(share)
    folder = out or Path(f"contextssl-{name}-{scale}")
    experiment = plan_experiment(
        name,
        scale,
        folder,
        runs=runs,
        sources=parse_sources(source or []),
        only=only or [],
        limit_seeds=limit_seeds,
    )
    if dry_run:
        print_experiment_plan(outlook(experiment, part), as_json=json)
        return
    if share is not None:
        print_share(str(part), train_share(experiment, device, part), as_json=json)
        return
    results, paths = run_experiment(experiment, device, train=not no_train)
    print_experiment(results, paths, as_json=json)
