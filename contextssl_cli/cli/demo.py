"""``contextssl demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contextssl_cli.cli import options


def demo_main(
    out: Annotated[Path, typer.Option("--out", help="The report's folder.")] = Path("contextssl-demo"),
    seed: options.Seed = 0,
    seeds: Annotated[
        str | None, typer.Option("--seeds", help="Several seeds, as 0,1,2: one run each, mean and spread.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Optimiser steps, to shorten the demo.")] = None,
    device: options.Device = "auto",
    json: options.Json = False,
    force: options.Force = False,
    dry_run: options.DryRun = False,
) -> None:
    """The whole path on scikit-learn's digits: prepare, pretrain, probe, contexts, adapt, and a report."""
    from contextssl_cli.experiments.demo import run_demo
    from contextssl_cli.report.summary import print_probe
    from contextssl_cli.report.terminal import terminal

    chosen = options.seeds(seeds) if seeds else [seed]
    if dry_run:
        terminal.plan(
            f"would train digits-rotation-color with the seeds {chosen} and write the report to {out}", as_json=json
        )
        return
    report, paths = run_demo(out, chosen, steps=steps, device=device, force=force)
    print_probe(report, paths, as_json=json)
