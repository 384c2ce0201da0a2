"""Start, resume and train runs, for the command line and for scripts."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from contextssl_cli import files
from contextssl_cli.config.resolve import Asked, Settled, changed_settings
from contextssl_cli.data.actions import ActionSpace
from contextssl_cli.data.holdout import held_out_count
from contextssl_cli.errors import CorruptFileError, DataMissingError, UsageError
from contextssl_cli.methods.registry import method_of
from contextssl_cli.plugin.task import Task, resolve_task
from contextssl_cli.store.dataset import Store
from contextssl_cli.text import printable
from contextssl_cli.training.progress import Progress
from contextssl_cli.training.run import Numerics, Run, RunRecord, now, versions
from contextssl_cli.training.runs import new_run_folder
from contextssl_cli.training.runtime import differences, numerics, resolve_device
from contextssl_cli.training.trainer import Trainer

_log = logging.getLogger(__name__)


def start_run(settled: Settled, store: Store, out: Path | None = None, *, force: bool = False) -> Run:
    """Create the folder of a new run.

    Args:
        settled: task and configuration.
        store: the prepared data.
        out: the folder; by default one under ``CONTEXTSSL_HOME/runs``.
        force: replace an existing run.

    Raises:
        UsageError: if ``out`` is taken, or the configuration or the action types do not fit the data.
        CorruptFileError: if the content of the store differs from its hash.
    """
    store.check()
    record = RunRecord(
        task=settled.task.name,
        config=settled.config,
        asked=settled.asked,
        space=fitting_space(settled, store),
        schema_=store.schema,
        store=str(files.check_name(store.path.resolve())),
        store_hash=store.content_hash,
        created=now(),
        versions=versions(),
    )
    return Run.create(out or new_run_folder(settled.task.name, settled.config.seed), record, force=force)


def fitting_space(settled: Settled, store: Store) -> ActionSpace:
    """The action blocks of a run on its data, once everything fits: nothing is created or replaced before that.

    Raises:
        UsageError: if the configuration or the action types do not fit the data.
    """
    space, config = ActionSpace.of(settled.task, store.schema), settled.config
    with torch.device("meta"):
        method_of(config).build(config.model, store.schema, space)
    held_out_count(len(np.unique(store.train.objects())), config)
    return space


def resume_run(folder: Path, plugin: str | None = None) -> tuple[Run, Task, Store]:
    """Open a run to continue its training.

    Args:
        folder: of the run.
        plugin: the task as the user named it; by default that of the run.

    Raises:
        UsageError: if the run trains another task.
        CorruptFileError: if the store is not the one that the run was started on.
    """
    run = Run(folder)
    if plugin is not None and plugin != run.record.task:
        raise UsageError(f"{folder} trains {run.record.task}, not {plugin}; drop --plugin or choose another --out")
    return run, run_task(run), run_store(run)


def check_unchanged(run: Run, task: Task, asked: Asked) -> None:
    """Refuse to resume a run with other settings than it was started with.

    Raises:
        UsageError: naming the first setting that differs.
    """
    for key, (old, new) in changed_settings(run.record.config, asked, task.dataset).items():
        raise UsageError(
            f"--resume with a changed configuration: {key} was {old}, is now {new}; drop the change, or start another "
            "run with another --out"
        )


def run_task(run: Run) -> Task:
    """The task of a run; its action types have the options of the run.

    Raises:
        UsageError: if the run was imported and has no data set, or a plugin no longer has an option of the run.
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
        DataMissingError: if it does not exist any more.
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
            f"{store.content_hash[:12]}, expected {run.record.store_hash[:12]}); prepare it again with the same options"
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
    """Record the facts that decide how sums are rounded; warn if they differ from those of the earlier steps."""
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
