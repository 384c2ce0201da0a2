"""``contextssl sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from contextssl_cli.cli import options
from contextssl_cli.cli.options import option


def sweep_main(
    plugin: Annotated[str, option("--plugin TASK", "Data set and actions, as for pretrain.")],
    vary: Annotated[
        list[str],
        option(
            "--vary KEY=VALUE,...",
            "Setting and its values, such as context-mask=0,0.5,0.9 (repeatable: all combinations).",
        ),
    ],
    out: Annotated[Path, option("--out FOLDER", "Folder for runs, table and plot.")] = Path("contextssl-sweep"),
    seeds: Annotated[str, option("--seeds N,N,...", "Seeds of the runs at each point.")] = "0",
    store: options.StoreFile = None,
    preset: options.PresetName = None,
    steps: Annotated[
        int | None,
        option("--steps N", "Optimiser steps of each run.", "decided by the data set", min=1),
    ] = None,
    settings: Annotated[
        list[str] | None,
        option("--set KEY=VALUE", "Setting of all runs (repeatable; contextssl pretrain --dry-run lists the keys)."),
    ] = None,
    metrics: options.Metrics = None,
    probes: options.Probes = None,
    lengths: options.Lengths = None,
    judge_on: options.JudgeOn = "test",
    device: options.Device = "auto",
    json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Train and compare runs with different settings.

    There is one run for each combination of values and each seed. A sweep that was stopped continues.
    """
    from contextssl_cli.config.resolve import parse_setting
    from contextssl_cli.experiments.plan import run_states
    from contextssl_cli.experiments.sweep import parse_vary, plan_sweep, run_sweep
    from contextssl_cli.report.summary import print_sweep, print_sweep_plan

    asked = options.measures(metrics, probes, lengths, judge_on)
    flags: dict[str, Any] = {"steps": steps} if steps else {}
    flags |= dict(parse_setting(text) for text in settings or [])
    grid, chosen = parse_vary(vary), options.seeds(seeds)
    planned = plan_sweep(out, plugin, grid, seeds=chosen, preset=preset, settings=flags, store=store)
    if dry_run:
        print_sweep_plan(out, run_states(planned.points), as_json=json)
        return
    found, paths = run_sweep(planned, store, device, **asked)
    print_sweep(found, paths, as_json=json)
