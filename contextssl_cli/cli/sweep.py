"""``contextssl sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from contextssl_cli.cli import options


def sweep(
    plugin: Annotated[str, typer.Option("--plugin", help="<dataset>-<action>[-<action>], as for pretrain.")],
    vary: Annotated[
        list[str], typer.Option("--vary", help="A setting and its values, as context-mask=0,0.5,0.9; several: a grid.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder of runs, table and plot.")] = Path("contextssl-sweep"),
    seeds: Annotated[str, typer.Option("--seeds", help="One run for each at every point, as 0,1,2.")] = "0",
    store: Annotated[
        Path | None, typer.Option("--store", help="A prepared store; by default the data set's own.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="default, or paper for the paper's own recipe.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Optimiser steps of each run.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of all runs as key=value; docs/configuration lists them."),
    ] = None,
    metrics: options.Metrics = None,
    probes: options.Probes = None,
    lengths: options.Lengths = None,
    judge_on: options.JudgeOn = "test",
    device: options.Device = "auto",
    json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Train a run for each value of a setting, or each point of a grid, and compare them; goes on where it stopped."""
    from contextssl_cli.config.resolve import parse_setting
    from contextssl_cli.experiments.plan import run_states
    from contextssl_cli.experiments.sweep import check_data, parse_vary, plan_sweep, run_sweep
    from contextssl_cli.report.summary import print_sweep, print_sweep_plan

    asked = options.measures(metrics, probes, lengths, judge_on)
    flags: dict[str, Any] = {"steps": steps} if steps else {}
    flags |= dict(parse_setting(text) for text in settings or [])
    planned = plan_sweep(out, plugin, parse_vary(vary), seeds=options.seeds(seeds), preset=preset, settings=flags)
    if dry_run:
        check_data(planned, store)
        print_sweep_plan(out, run_states(planned.points), as_json=json)
        return
    found, paths = run_sweep(planned, store, device, **asked)
    print_sweep(found, paths, as_json=json)
