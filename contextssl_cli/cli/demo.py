"""``contextssl demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from contextssl_cli.cli import options
from contextssl_cli.cli.options import option


def demo_main(
    out: Annotated[Path, option("--out FOLDER", "Folder for runs, contexts, embeddings and the report.")] = Path(
        "contextssl-demo"
    ),
    seed: options.Seed = 0,
    seeds: Annotated[
        str | None,
        option("--seeds N,N,...", "Train a run with each of these seeds, and average them."),
    ] = None,
    steps: Annotated[
        int | None,
        option("--steps N", "Optimiser steps; fewer give a shorter demo.", min=1),
    ] = None,
    device: options.Device = "auto",
    json: options.Json = False,
    force: options.Force = False,
    dry_run: options.DryRun = False,
) -> None:
    """Run every stage on small data, in about five minutes.

    The demo prepares scikit-learn's digits, trains on them, probes the run, creates contexts, embeds the digits under
    each context, and writes a report.
    """
    from contextssl_cli.experiments.demo import run_demo
    from contextssl_cli.report.summary import print_found
    from contextssl_cli.report.terminal import terminal

    chosen = options.seeds(seeds) if seeds else [seed]
    if dry_run:
        terminal.plan(
            f"would train digits-rotation-color with seeds {', '.join(map(str, chosen))} and write a report to {out}",
            as_json=json,
        )
        return
    report, paths = run_demo(out, chosen, steps=steps, device=device, force=force)
    print_found(report, paths, as_json=json)
