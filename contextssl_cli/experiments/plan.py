"""What an experiment consists of, what of it is there, and what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from contextssl_cli.config.resolve import Settled, differing_settings
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.holdout import hold_out
from contextssl_cli.data.pairs import PairSource
from contextssl_cli.errors import UsageError
from contextssl_cli.plugin.task import Task
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.checkpoint import CheckpointState, of_newest
from contextssl_cli.training.run import CHECKPOINTS, Run, holds_run

RUNS = "runs"
"""The folder of the runs, in that of the experiment: ``runs/POINT/seed-N``."""

State = Literal["missing", "half done", "done"]


@dataclass(frozen=True)
class PlannedRun:
    """A run that the experiment needs.

    Attributes:
        folder: of the run, which may not exist yet.
        settled: task and configuration.
    """

    folder: Path
    settled: Settled

    @property
    def task(self) -> Task:
        """Data set and action types."""
        return self.settled.task

    @property
    def config(self) -> TrainConfig:
        """The settled configuration."""
        return self.settled.config

    @property
    def exists(self) -> bool:
        """Whether it was begun."""
        return holds_run(self.folder)

    def step(self) -> int:
        """Of the newest checkpoint; 0 without one."""
        return of_newest(self.folder / CHECKPOINTS, lambda path: CheckpointState.read(path).step) or 0

    def steps(self, store: Store | None) -> int | None:
        """Steps in all; None where only the data could tell, and they are not there."""
        if self.config.steps is not None:
            return self.config.steps
        if store is None:
            return None
        train, _ = hold_out(PairSource.of(self.task, store.schema, store.train), self.config)
        return self.config.total_steps(len(train))

    def state(self, store: Store | None = None) -> State:
        """Whether it is trained to its end."""
        if not self.exists:
            return "missing"
        total = self.steps(store)
        return "done" if total is not None and self.step() >= total else "half done"

    def check(self, store: Store | None) -> None:
        """Refuse another run in its folder.

        Raises:
            UsageError: naming what differs.
        """
        if self.exists:
            check_same(Run(self.folder), self, store)


@dataclass(frozen=True)
class Point:
    """Runs that differ in their seeds alone, and stand for one row of a table.

    Attributes:
        label: unique in the experiment.
        runs: one for each seed.
        values: the settings that set the point apart.
        family: points of one method, told different action types, share it.
    """

    label: str
    runs: tuple[PlannedRun, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    family: str = ""

    @property
    def config(self) -> TrainConfig:
        """Of the first seed."""
        return self.runs[0].config

    def names(self, runs: Iterable[PlannedRun]) -> list[str]:
        """What a page calls some of its runs."""
        return [f"{self.label} (seed {run.config.seed})" for run in runs]


def runs_of(points: Sequence[Point]) -> Iterator[PlannedRun]:
    """All runs, point by point."""
    return (run for point in points for run in point.runs)


def check_same(run: Run, planned: PlannedRun, store: Store | None, free: Sequence[str] = ()) -> None:
    """Refuse a run that is not the planned one.

    Args:
        run: that stands there.
        planned: what it should be.
        store: that it should be trained on, if it is known.
        free: keys of the configuration that may differ, with what is below them.

    Raises:
        UsageError: naming what differs.
    """
    again = "choose another --out"
    if run.record.task != planned.task.name:
        raise UsageError(f"{run.folder} trains {run.record.task}, not {planned.task.name}; {again}")
    for key, (old, new) in differing_settings(run.record.config, planned.config).items():
        if not any(key == name or key.startswith(f"{name}.") for name in free):
            raise UsageError(f"{run.folder} was trained with {key} = {old}, not {new}; {again}")
    if store is not None and run.record.store_hash != store.content_hash:
        raise UsageError(
            f"{run.folder} was trained on other data ({run.record.store}) than {store.path}; {again}, or name "
            "that store"
        )


def check_folder(out: Path, holds: str) -> None:
    """Refuse a folder that holds something else.

    Args:
        out: of the experiment.
        holds: a name that one of its kind has in it.

    Raises:
        UsageError: if it is a file, or neither empty nor of this kind.
    """
    if not out.exists():
        return
    begun = re.compile(rf"\.{re.escape(holds)}\..*\.partial")  # all that a start that was killed may have left
    if not out.is_dir() or not (all(begun.fullmatch(path.name) for path in out.iterdir()) or (out / holds).exists()):
        raise UsageError(f"{out} exists and holds something else; choose another --out")
