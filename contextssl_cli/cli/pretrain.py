"""``contextssl pretrain``."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from contextssl_cli.cli import options
from contextssl_cli.errors import UsageError

if TYPE_CHECKING:
    from contextssl_cli.config.resolve import Settled
    from contextssl_cli.plugin.task import Task
    from contextssl_cli.store.dataset import Store
    from contextssl_cli.training.run import Run


def pretrain_main(
    plugin: Annotated[
        str | None, typer.Option("--plugin", help="<dataset>-<action>[-<action>], for example digits-rotation-color.")
    ] = None,
    out: options.Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint in --out.")] = False,
    store: Annotated[
        Path | None, typer.Option("--store", help="A prepared store; by default the data set's own.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="A TOML file of settings.")] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="default, or paper for the paper's own recipe.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", help="contextssl, simclr, vicreg, simclr+, vicreg+, equimod, sie or sen."),
    ] = None,
    equivariant: Annotated[
        list[str] | None,
        typer.Option(
            "--equivariant", help="An action type that equimod, sie or sen is told, to be repeated; by default all."
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Optimiser steps.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", min=2, help="Pairs a step.")] = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Peak learning rate.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of everything that is drawn.")] = None,
    sensitive: Annotated[
        str | None, typer.Option("--sensitive", help="The attribute that the action type of a table changes.")
    ] = None,
    pairing: Annotated[
        str | None,
        typer.Option("--pairing", help="How it pairs records: alone, counterfactual or matched."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any other setting as key=value; docs/configuration lists them.")
    ] = None,
    device: options.Device = "auto",
    force: options.Force = False,
    dry_run: options.DryRun = False,
) -> None:
    """Train an encoder and its world model, or the encoder of another method."""
    from contextssl_cli.config.resolve import parse_setting, settle
    from contextssl_cli.plugin.task import resolve_task

    named: dict[str, Any] = {"steps": steps, "batch_size": batch_size, "lr": lr, "seed": seed, "method": method}
    named["equivariant"] = equivariant or None
    flags = {key: value for key, value in named.items() if value is not None}
    flags |= dict(parse_setting(text) for text in settings or [])
    chosen = {name: value for name, value in {"sensitive": sensitive, "pairing": pairing}.items() if value is not None}

    def request(task: Task) -> Named:
        return {"preset": preset, "file": config, "flags": flags | _of_actions(task, chosen)}

    if resume:
        if store or force:
            raise UsageError("--resume goes on with the run's own store and replaces nothing: drop --store and --force")
        _resume(out, plugin, request, device, dry_run=dry_run)
        return
    if plugin is None:
        raise UsageError("name what to train on: --plugin <dataset>-<action>; contextssl plugins lists both")
    task = resolve_task(plugin)
    _start(settle(task, **request(task)), store, out, device, force=force, dry_run=dry_run)


def _of_actions(task: Task, chosen: dict[str, str]) -> dict[str, Any]:
    """Flags that are short for an option of an action type, as settings."""
    found: dict[str, Any] = {}
    for option, value in chosen.items():
        names = [action.name for action in task.actions if option in action.options.model_fields]
        if not names:
            known = ", ".join(action.name for action in task.actions)
            raise UsageError(
                f"--{option}: no action type of {task.name} ({known}) has that option; contextssl plugins lists those "
                "that work on tables, such as attribute"
            )
        found |= {f"actions.{name}.{option}": value for name in names}
    return found


class Named(TypedDict):
    """The settings that a command line names."""

    preset: str | None
    file: Path | None
    flags: dict[str, Any]


def _start(settled: Settled, store: Path | None, out: Path | None, device: str, *, force: bool, dry_run: bool) -> None:
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
        config = settled.config.model_dump(mode="json")
        terminal.json({"task": task.name, "out": str(out) if out else None, "config": config})
        return
    data = prepared_store(task.dataset, store)
    terminal.note(f"data: {data.path} ({len(data.train)} training samples)")
    run = start_run(settled, data, out, force=force)
    _train(run, task, data, device)


def _resume(
    out: Path | None, plugin: str | None, named: Callable[[Task], Named], device: str, *, dry_run: bool
) -> None:
    from contextssl_cli.config.resolve import ask
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.training.runs import latest_run
    from contextssl_cli.training.start import check_unchanged, resume_run

    folder = out or latest_run().run.folder
    run, task, data = resume_run(folder, plugin)
    check_unchanged(run, task, ask(**named(task)))
    if dry_run:
        terminal.result(f"would go on with {folder}")
        return
    _train(run, task, data, device)


def _train(run: Run, task: Task, data: Store, device: str) -> None:
    from contextssl_cli.report.progress import training_progress
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.training.start import train

    terminal.note(f"run: {run.folder}")
    terminal.note(f"configuration: {run.record.config.model_dump_json()}", verbosity=1)
    with training_progress(task.name) as report:
        trainer = train(run, task, data, report, device)
    gap = "" if trainer.gap is None else f", {_gap_sentence(trainer.gap, len(task.actions))}"
    terminal.result(f"{run.folder}: {trainer.step} steps{gap}")
    terminal.note(f"next: {shlex.join(['contextssl', 'probe', '--run', str(run.folder)])}")


def _gap_sentence(gap: float, ceiling: int) -> str:
    return f"adaptation gap on held-out training samples {gap:z.2f} (ridge probe, ceiling {ceiling})"
