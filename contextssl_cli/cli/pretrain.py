"""``contextssl pretrain``."""

from __future__ import annotations

import shlex
from json import dumps as to_json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from contextssl_cli.cli import options
from contextssl_cli.cli.options import option
from contextssl_cli.errors import UsageError

if TYPE_CHECKING:
    from contextssl_cli.config.resolve import Settled
    from contextssl_cli.plugin.task import Task
    from contextssl_cli.store.dataset import Store
    from contextssl_cli.training.run import Run


def pretrain_main(
    plugin: Annotated[
        str | None,
        option("--plugin TASK", "Data set and actions, such as digits-rotation-color; contextssl plugins lists both."),
    ] = None,
    out: Annotated[
        Path | None,
        option("--out FOLDER", "Folder of the run.", "a new folder in CONTEXTSSL_HOME"),
    ] = None,
    resume: Annotated[
        bool,
        option("--resume", "Continue the run in --out, or the newest run, from its newest checkpoint."),
    ] = False,
    store: options.StoreFile = None,
    config: Annotated[Path | None, option("--config FILE", "TOML file of settings.")] = None,
    preset: options.PresetName = None,
    method: Annotated[
        str | None,
        option("--method NAME", "contextssl, simclr, vicreg, simclr+, vicreg+, equimod, sie or sen.", "contextssl"),
    ] = None,
    equivariant: Annotated[
        list[str] | None,
        option("--equivariant ACTION", "Action type that equimod, sie or sen is conditioned on (repeatable).", "all"),
    ] = None,
    steps: Annotated[
        int | None,
        option("--steps N", "Optimiser steps.", "decided by the data set", min=1),
    ] = None,
    batch_size: Annotated[
        int | None,
        option("--batch-size N", "Pairs per step.", "decided by the data set", min=2),
    ] = None,
    lr: Annotated[
        float | None,
        option("--lr X", "Peak learning rate.", "decided by the data set"),
    ] = None,
    seed: Annotated[int | None, option("--seed N", "Seed of all random numbers.", "0", min=0)] = None,
    sensitive: Annotated[
        str | None,
        option("--sensitive NAME", "Attribute of a table that its action type changes."),
    ] = None,
    pairing: Annotated[
        str | None,
        option(
            "--pairing NAME", "How that action type pairs records: alone, counterfactual or matched.", "counterfactual"
        ),
    ] = None,
    settings: options.AnySetting = None,
    device: options.Device = "auto",
    force: options.Force = False,
    dry_run: Annotated[
        bool, option("--dry-run", "Print all settings with their values and origins, and stop.")
    ] = False,
    json: Annotated[bool, option("--json", "With --dry-run: print one JSON object instead of text.")] = False,
) -> None:
    """Train an encoder on a data set.

    Each setting comes from the first of these that names it: a flag, a CONTEXTSSL_* variable, the file --config,
    --preset, the defaults of the data set, the general defaults.
    """
    from contextssl_cli.config.resolve import ask, parse_setting, settle
    from contextssl_cli.plugin.task import resolve_task
    from contextssl_cli.report.terminal import terminal

    named: dict[str, Any] = {"steps": steps, "batch_size": batch_size, "lr": lr, "seed": seed, "method": method}
    named["equivariant"] = equivariant or None
    flags = {key: value for key, value in named.items() if value is not None}
    flags |= dict(parse_setting(text) for text in settings or [])
    chosen = {name: value for name, value in {"sensitive": sensitive, "pairing": pairing}.items() if value is not None}
    if resume:
        if store or force:
            raise UsageError("--resume uses the store of the run and overwrites nothing; leave out --store and --force")
        from contextssl_cli.training.runs import latest_run
        from contextssl_cli.training.start import check_unchanged, resume_run

        folder = out or latest_run().run.folder
        run, task, data = resume_run(folder, plugin)
        flags |= _of_actions(task, chosen)
        check_unchanged(run, task, ask(flags=flags, file=config, preset=preset))
        if dry_run:
            terminal.result(f"would continue {folder}")
        else:
            _train(run, task, data, device)
        return
    if plugin is None:
        raise UsageError(
            "--plugin is missing: name a data set and its actions, such as digits-rotation-color; contextssl plugins "
            "lists both"
        )
    task = resolve_task(plugin)
    flags |= _of_actions(task, chosen)
    settled = settle(task, flags=flags, file=config, preset=preset)
    _start(settled, store, out, device, force=force, dry_run=dry_run, json=json)


def _of_actions(task: Task, chosen: dict[str, str]) -> dict[str, Any]:
    """Turn flags that are short for options of action types into settings."""
    found: dict[str, Any] = {}
    for name, value in chosen.items():
        owners = [action.name for action in task.actions if name in action.options.model_fields]
        if not owners:
            known = ", ".join(action.name for action in task.actions)
            raise UsageError(
                f"--{name}: no action type of {task.name} ({known}) has this option; action types for tables, such as "
                "attribute, have it"
            )
        found |= {f"actions.{owner}.{name}": value for owner in owners}
    return found


def _start(
    settled: Settled, store: Path | None, out: Path | None, device: str, *, force: bool, dry_run: bool, json: bool
) -> None:
    from contextssl_cli.data.prepare import prepared_store, store_if_made
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.training.run import Run
    from contextssl_cli.training.runtime import resolve_device
    from contextssl_cli.training.start import fitting_space, start_run

    task = settled.task
    resolve_device(device)  # before an older run is replaced
    if dry_run and (made := store_if_made(task.dataset, store)) is not None:
        fitting_space(settled, made)
    if out is not None:
        Run.check_free(out, force=force)  # before data are prepared
    if dry_run:
        _print_plan(settled, out, as_json=json)
        return
    data = prepared_store(task.dataset, store)
    terminal.note(f"data: {data.path} ({len(data.train)} training samples)")
    run = start_run(settled, data, out, force=force)
    _train(run, task, data, device)


def _print_plan(settled: Settled, out: Path | None, *, as_json: bool) -> None:
    """Print every setting with its value and where that comes from, in the form that ``--set`` takes."""
    from contextssl_cli.config.resolve import flat_settings
    from contextssl_cli.report.terminal import terminal

    config, origins = settled.config.model_dump(mode="json"), settled.origins()
    if as_json:
        terminal.json(
            {"task": settled.task.name, "out": str(out) if out else None, "config": config, "origins": origins}
        )
        return
    terminal.result(f"would train {settled.task.name} into {out or 'a new folder'} with these settings:")
    for key, value in flat_settings(config).items():
        text = "none" if value is None else value if isinstance(value, str) else to_json(value)
        terminal.result(f"{f'{key}={text}':<50}  {origins[key]}")


def _train(run: Run, task: Task, data: Store, device: str) -> None:
    from contextssl_cli.report.progress import training_progress
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.training.start import train

    terminal.note(f"run: {run.folder}")
    terminal.note(f"configuration: {run.record.config.model_dump_json()}", verbosity=1)
    with training_progress(task.name) as report:
        trainer = train(run, task, data, report, device)
    result = f"{run.folder}: {trainer.step} steps"
    if trainer.gap is not None:
        ceiling = len(task.actions)
        result += f", adaptation gap on held-out training samples {trainer.gap:z.2f} (ridge probe, ceiling {ceiling})"
    terminal.result(result)
    terminal.note(f"next: {shlex.join(['contextssl', 'probe', '--run', str(run.folder)])}")
