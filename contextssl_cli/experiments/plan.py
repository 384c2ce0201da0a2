"""Points and runs: what is to be trained, what of it exists, and what is refused before hours of training."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from contextssl_cli import files
from contextssl_cli.config.methods import CONTEXTUAL
from contextssl_cli.config.resolve import Settled, differing_settings, settle
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.holdout import hold_out
from contextssl_cli.data.pairs import PairSource
from contextssl_cli.errors import UsageError
from contextssl_cli.evaluation.protocol import measurable, probe_config
from contextssl_cli.plugin.task import Task
from contextssl_cli.store.dataset import Store
from contextssl_cli.text import settings_text
from contextssl_cli.training.checkpoint import CheckpointState, of_newest
from contextssl_cli.training.run import CHECKPOINTS, Run, holds_run

RUNS = "runs"
"""The folder of the runs in that of a sweep or study: ``runs/POINT/seed-N``."""
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]+((, | )[A-Za-z0-9_.+-]+)*")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.+-]+")
_LONGEST = 80  # characters of a folder's name

State = Literal["missing", "half done", "done"]


@dataclass(frozen=True)
class PlannedRun:
    """A run that an experiment needs.

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
        """The step of the newest checkpoint; 0 without one."""
        return of_newest(self.folder / CHECKPOINTS, lambda path: CheckpointState.read(path).step) or 0

    def steps(self, store: Store | None) -> int | None:
        """The number of steps; None if it depends on data that are missing."""
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
    """Runs that differ in their seeds alone: one row of a table.

    Attributes:
        label: unique in the experiment.
        runs: one per seed.
        values: the settings in which the point differs from others.
        family: shared by points of one method that are conditioned on different action types.
    """

    label: str
    runs: tuple[PlannedRun, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    family: str = ""

    @property
    def config(self) -> TrainConfig:
        """The configuration of the first seed."""
        return self.runs[0].config

    def names(self, runs: Iterable[PlannedRun]) -> list[str]:
        """The names of some of its runs on a page."""
        return [f"{self.label} (seed {run.config.seed})" for run in runs]


def runs_of(points: Sequence[Point]) -> Iterator[PlannedRun]:
    """All runs, point by point."""
    return (run for point in points for run in point.runs)


def run_states(points: Sequence[Point], store: Store | None = None) -> list[dict[str, Any]]:
    """Every run with its state, as JSON objects for ``--dry-run``."""
    return [
        {"point": point.label, "seed": run.config.seed, "state": run.state(store), "step": run.step(),
         "steps": run.steps(store), "folder": str(run.folder)}
        for point in points for run in point.runs
    ]  # fmt: skip


def grid_points(
    out: Path,
    plugin: str,
    grid: Mapping[str, Sequence[Any]],
    *,
    seeds: Sequence[int],
    preset: str | None = None,
    settings: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    label: str = "",
) -> list[Point]:
    """A point for each combination of a grid's values.

    Args:
        out: the folder; runs are in ``out/runs``.
        plugin: ``<dataset>-<action>[-<action>...]``.
        grid: values by key.
        seeds: one run each at every point.
        preset: ``default`` or ``paper``.
        settings: of all runs, by key.
        environ: by default the process environment.
        label: the beginning of every label.

    Raises:
        UsageError: if a key is unknown, a value does not fit, or two points are the same.
    """
    points: list[Point] = []
    for values in combinations(grid):
        name = ", ".join(filter(None, [label, settings_text(values)]))
        runs = []
        for seed in seeds:
            settled = settle(plugin, preset=preset, flags={**settings, **values, "seed": seed}, environ=environ)
            runs.append(PlannedRun(out / RUNS / folder_name(name) / f"seed-{seed}", settled))
        for other in points:
            if other.config == runs[0].config:
                raise UsageError(f"--vary: {settings_text(other.values)} and {settings_text(values)} are the same")
        points.append(Point(name, tuple(runs), values, family=name))
    return points


def combinations(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of a grid's values, the last key's changing fastest; one empty point for an empty grid."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def folder_name(label: str) -> str:
    """A label as the name of a folder, ``context_mask=0.2,lr=0.001``; no two labels share one.

    A label with other characters, or a long one, is shortened and ends in a hash.
    """
    if _PLAIN.fullmatch(label) and len(label) <= _LONGEST:
        return label.replace(", ", ",").replace(" ", "=")
    digest = hashlib.sha256(label.encode()).hexdigest()[:8]
    return f"{_UNSAFE.sub('-', label)[:_LONGEST].strip('-')}~{digest}"


def check_same(run: Run, planned: PlannedRun, store: Store | None, free: Sequence[str] = ()) -> None:
    """Refuse a run that differs from the planned one.

    Args:
        run: that exists.
        planned: the run that should be there.
        store: that it should be trained on, if it is known.
        free: keys of the configuration that may differ, with those below them.

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
        out: of the sweep or experiment.
        holds: the name of a file or folder that every one of its kind has.

    Raises:
        UsageError: if it is a file, or neither empty nor of this kind.
    """
    if not files.folder_exists(out):
        return
    begun = re.compile(rf"\.{re.escape(holds)}\..*\.partial")  # all that a killed start may have left
    if not out.is_dir() or not (all(begun.fullmatch(path.name) for path in out.iterdir()) or (out / holds).exists()):
        raise UsageError(f"{out} exists and holds something else; choose another --out")


def check_probes(points: Sequence[Point], flags: Mapping[str, Any]) -> None:
    """Refuse what ``probe_runs`` would refuse after the training.

    Raises:
        UsageError: if a value does not fit, objects have no views to rank, a method has none of the metrics, or no
            context length fits a model.
    """
    named = flags.get("metrics") or ()
    for point in points:
        task = point.runs[0].task
        config = probe_config(task.dataset, **flags)
        measurable(point.config.method, config.metrics)
        if "mrr" in named and not all(action.recorded for action in task.actions):
            raise UsageError(
                f"mrr ranks the recorded views of an object, and {task.name} has none: leave it out of --metrics"
            )
        longest = point.config.model.max_context
        if point.config.method in CONTEXTUAL and not config.lengths(longest):
            lengths = ",".join(map(str, config.context_lengths))
            raise UsageError(f"--lengths {lengths}: {point.label} reads {longest} tokens at most")
