"""Pretraining as the command line and scripts start it."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from contextssl_cli import files
from contextssl_cli.config.methods import EQUIVARIANT
from contextssl_cli.config.resolve import changed_settings
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.actions import ActionSpace
from contextssl_cli.errors import CorruptFileError, DataMissingError, UsageError, suggestion
from contextssl_cli.methods.registry import method_of
from contextssl_cli.plugin.task import Task, resolve_task
from contextssl_cli.store.dataset import Store
from contextssl_cli.text import printable
from contextssl_cli.training.device import resolve_device
from contextssl_cli.training.numerics import differences, numerics
from contextssl_cli.training.progress import Progress
from contextssl_cli.training.run import Numerics, Run, RunRecord, now, versions
from contextssl_cli.training.runs import new_run_folder
from contextssl_cli.training.trainer import Trainer, held_out_count

_log = logging.getLogger(__name__)


def start_run(task: Task, store: Store, config: TrainConfig, out: Path | None = None, *, force: bool = False) -> Run:
    """Make the folder of a new run.

    Args:
        task: data set and action types.
        store: the prepared data.
        config: resolved. Its ``actions`` are those that ``task`` was resolved with, or empty.
        out: the folder; by default one under ``CONTEXTSSL_HOME/runs``.
        force: replace a run that stands there.

    Raises:
        UsageError: if ``out`` is taken, or the configuration or the action types do not fit the data.
        CorruptFileError: if the content of the store differs from its hash.
    """
    store.check()
    config = with_equivariant(_with_options(config, task), task)
    space = _fitting_space(task, store, config)
    record = RunRecord(
        task=task.name,
        config=config,
        space=space,
        schema_=store.schema,
        store=str(files.check_name(store.path.resolve())),
        store_hash=store.content_hash,
        created=now(),
        versions=versions(),
    )
    return Run.create(out or new_run_folder(task.name, config.seed), record, force=force)


def check_start(task: Task, store: Store | None, config: TrainConfig, out: Path | None, *, force: bool) -> None:
    """Refuse what ``start_run`` would refuse, and make nothing.

    Args:
        task: data set and action types.
        store: the prepared data; None if they are not there yet.
        config: resolved.
        out: the folder; None for a new one.
        force: replace a run that stands there.

    Raises:
        UsageError: as ``start_run``.
    """
    if store is not None:
        _fitting_space(task, store, config)
    if out is not None:
        Run.check_free(out, force=force)


def _fitting_space(task: Task, store: Store, config: TrainConfig) -> ActionSpace:
    space = ActionSpace.of(task, store.schema)
    check_fit(config, space, store)
    return space


def _with_options(config: TrainConfig, task: Task) -> TrainConfig:
    """The configuration with all options of the task's action types, as the run keeps them."""
    for name, values in config.actions.items():
        found = task.options.get(name, {})
        for option, value in values.items():
            if found.get(option) != value:
                raise UsageError(
                    f"the configuration has actions.{name}.{option} = {value}, the task has {found.get(option)}: "
                    "resolve the task with the options of the configuration"
                )
    return config.model_copy(update={"actions": task.options})


def with_equivariant(config: TrainConfig, task: Task) -> TrainConfig:
    """The configuration with the action types that an equivariant baseline is told: those named, or all of the task's.

    Raises:
        UsageError: if one that is named is not the task's.
    """
    known = [action.name for action in task.actions]
    for name in config.equivariant:
        if name not in known:
            raise UsageError(f"equivariant: {task.name} has no action type {name!r}: {suggestion(name, known)}")
    if config.method not in EQUIVARIANT or config.equivariant:
        return config
    return config.model_copy(update={"equivariant": tuple(known)})


def check_fit(config: TrainConfig, space: ActionSpace, store: Store) -> None:
    """Refuse what the trainer would refuse, while no folder has been made and no older run replaced.

    Raises:
        UsageError: if the configuration does not fit the data.
    """
    with torch.device("meta"):
        method_of(config).build(config.model, store.schema, space)
    held_out_count(len(np.unique(store.train.objects())), config)


def resume_run(folder: Path, task: str | None, asked: Callable[[Task], Mapping[str, Any]]) -> tuple[Run, Task, Store]:
    """Open a run to go on with it.

    Args:
        folder: of the run.
        task: as the user named it, or None to take the run's own.
        asked: gives the settings that the user asks for now; they must be those of the run.

    Raises:
        UsageError: if task or configuration are not those of the run; the first differing key is named.
        CorruptFileError: if the store is not the one that the run was started on.
    """
    run = Run(folder)
    if task is not None and task != run.record.task:
        raise UsageError(f"{folder} trains {run.record.task}, not {task}; drop --plugin or choose another --out")
    resolved = run_task(run)
    for key, (old, new) in changed_settings(run.record.config, asked(resolved)).items():
        raise UsageError(
            f"--resume with a changed configuration: {key} was {old}, is now {new}; drop the change, or start another "
            "run with another --out"
        )
    return run, resolved, run_store(run)


def run_task(run: Run) -> Task:
    """The task that a run was trained on, its action types with the run's options.

    Raises:
        UsageError: if the run was imported and so has no data set, or the plugin has lost an option of the run.
    """
    if not run.record.task:
        raise UsageError(
            f"{run.folder} was imported and has no data set: it takes adapt --input and context create --from-pairs"
        )
    return resolve_task(run.record.task, options=run.record.config.actions)


def run_store(run: Run, *, verify: bool = False) -> Store:
    """The store that a run was trained on.

    Args:
        run: of a data set.
        verify: compare the content with its hash again, even if this version of the file was compared before.

    Raises:
        DataMissingError: if it is gone.
        CorruptFileError: if it holds other data, or its content differs from its hash.
    """
    path = Path(run.record.store)
    if not path.is_file():
        again = shlex.join(["contextssl", "prepare", run.record.schema_.dataset, "--out", str(path)])
        raise DataMissingError(
            f"{path}, the store that {run.folder} was trained on, is gone; prepare it again: {again}"
        )
    store = Store(path)
    if store.content_hash != run.record.store_hash:
        raise CorruptFileError(
            f"{store.path} is not the data that {run.folder} was trained on (content "
            f"{store.content_hash[:12]}, expected {run.record.store_hash[:12]}); prepare it again as it was"
        )
    if verify:
        store.verify()
    else:
        store.check()
    return store


def train(run: Run, task: Task, store: Store, report: Callable[[Progress], None], device: str = "auto") -> Trainer:
    """Train a run to its last step, from its newest checkpoint if it has one; return the trainer with the final model.

    Raises:
        Interrupted: after SIGINT or SIGTERM, once the state is saved.
        FileInUseError: if another process trains or has replaced the run.
    """
    place = resolve_device(device)
    with run.writing():
        trainer = Trainer(run, task, store, place)
        trainer.resume()
        if trainer.step < trainer.steps:
            _record_numerics(run, trainer.step, place)
        trainer.fit(report)
    return trainer


def _record_numerics(run: Run, step: int, device: torch.device) -> None:
    """Keep the facts that decide how sums are rounded; warn if a resume changes any."""
    before = [entry for entry in run.record.numerics if entry.from_step < step]  # the steps after it are lost
    facts = numerics(device)
    changed = differences(before[-1].facts, facts) if before else {}
    if changed:
        listed = ", ".join(f"{name} {now} (before: {old})" for name, (old, now) in changed.items())
        _log.warning(
            "warning: %s goes on with %s: its weights will differ in their last digits from those of an "
            "uninterrupted run", printable(run.folder), listed
        )  # fmt: skip
    if changed or not before:
        run.add_numerics(Numerics(from_step=step, facts=facts))
