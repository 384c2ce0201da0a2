"""``contextssl reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from contextssl_cli.cli import options
from contextssl_cli.cli.options import option


def reproduce_main(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Recipe; contextssl plugins lists them.")],
    scale: Annotated[
        Literal["demo", "full"],
        option("--scale", "demo takes hours on two CPU cores; full is the paper's size."),
    ] = "demo",
    out: Annotated[
        Path | None,
        option("--out FOLDER", "Folder for runs, results and page.", "contextssl-NAME-SCALE"),
    ] = None,
    runs: Annotated[
        Path | None,
        option("--runs FOLDER", "Folder of runs, which experiments can share.", "--out"),
    ] = None,
    source: Annotated[
        list[str] | None,
        option("--source NAME=PATH", "Source of a data set, such as adult=FOLDER (repeatable)."),
    ] = None,
    only: Annotated[
        list[str] | None,
        option("--only PART", "Part of the experiment (repeatable).", "all parts"),
    ] = None,
    limit_seeds: Annotated[
        int | None,
        option("--limit-seeds N", "Use only the first N seeds.", "all seeds", min=1),
    ] = None,
    no_train: Annotated[
        bool,
        option("--no-train", "Train nothing: write the page from finished runs, and list the others."),
    ] = False,
    share: Annotated[
        str | None,
        option("--share I/N", "Train only the I-th of N shares of the runs, without a page."),
    ] = None,
    device: options.Device = "auto",
    json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Repeat an experiment of the paper.

    Missing runs are trained, and a page shows their results next to the published values.
    """
    from contextssl_cli.errors import UsageError
    from contextssl_cli.experiments.recipe_plan import outlook, parse_share, parse_sources, plan_experiment
    from contextssl_cli.experiments.reproduce import run_experiment, train_share
    from contextssl_cli.report.summary import print_experiment, print_experiment_plan, print_share

    if share is not None and no_train:
        raise UsageError("--share trains runs and --no-train trains none; use one of the two")
    part = slice(None) if share is None else parse_share(share)
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
        print_share(share, train_share(experiment, device, part), as_json=json)
        return
    results, paths = run_experiment(experiment, device, train=not no_train)
    print_experiment(results, paths, as_json=json)
