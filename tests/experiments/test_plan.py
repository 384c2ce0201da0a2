"""What of an experiment is there: missing, half done, done, or another's."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contextssl_cli.config.resolve import settle
from contextssl_cli.errors import UsageError
from contextssl_cli.experiments import demo
from contextssl_cli.experiments.execute import train_missing
from contextssl_cli.experiments.plan import PlannedRun, check_folder, check_same, grid_points
from contextssl_cli.experiments.sweep import plan_sweep
from contextssl_cli.plugin.task import Task
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.progress import Progress
from contextssl_cli.training.run import Run
from contextssl_cli.training.start import start_run, train
from tests import tiny

SETTINGS = {f"model.{key}": value for key, value in tiny.MODEL.items()} | {
    "batch_size": 16, "steps": 6, "checkpoint_every": 2, "monitor_every": 100,
}  # fmt: skip
TASK = "digits-rotation-color"


class Killed(BaseException):
    """What a test stops a training with."""


def planned(folder: Path, **flags: Any) -> PlannedRun:
    return PlannedRun(folder, settle(TASK, flags=SETTINGS | flags, environ={}))


def half_train(run: PlannedRun, store: Store, after: int) -> None:
    """Train a run and stop it as a kill would, when step ``after`` is done."""

    def stop(progress: Progress) -> None:
        if progress.step == after:
            raise Killed

    with pytest.raises(Killed):
        train(start_run(run.settled, store, run.folder), run.task, store, stop, "cpu")


def test_a_run_is_missing_then_half_done_then_done(digits_task: Task, digits_store: Store, tmp_path: Path) -> None:
    run = planned(tmp_path / "runs" / "point" / "seed-0")
    assert (run.state(), run.step(), run.steps(None)) == ("missing", 0, 6)
    half_train(run, digits_store, after=1)  # no checkpoint yet
    assert (run.state(), run.step()) == ("half done", 0)
    train_missing([run], digits_store, "cpu")
    assert (run.state(), run.step()) == ("done", 6)


@pytest.mark.parametrize("left", [[], [".lock"], [".run.json.0123-7.x.partial", ".lock"]])
def test_a_run_that_was_killed_in_its_first_moment_is_missing_and_is_trained(
    left: list[str], digits_task: Task, digits_store: Store, tmp_path: Path
) -> None:
    run = planned(tmp_path / "runs" / "point" / "seed-0", steps=2)
    run.folder.mkdir(parents=True)
    for name in left:
        (run.folder / name).touch()
    assert run.state() == "missing"
    train_missing([run], digits_store, "cpu")
    assert (run.state(), run.step()) == ("done", 2)


def test_an_experiment_that_was_killed_in_its_first_moment_goes_on(tmp_path: Path) -> None:
    (tmp_path / ".plan.json.0123-7.x.partial").touch()
    check_folder(tmp_path, "plan.json")
    (tmp_path / "run-seed0").mkdir()
    for holds in ("plan.json", "runs"):
        with pytest.raises(UsageError, match="holds something else"):
            check_folder(tmp_path, holds)
    demo._check_folder(tmp_path, force=True)


def test_a_half_trained_run_ends_as_one_that_was_never_stopped(
    digits_task: Task, digits_store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "contextssl_cli")
    whole, stopped = planned(tmp_path / "a" / "seed-0"), planned(tmp_path / "b" / "seed-0")
    half_train(stopped, digits_store, after=5)
    assert (stopped.state(), stopped.step()) == ("half done", 4)
    train_missing([whole, stopped], digits_store, "cpu")
    assert "run 2/2" in caplog.text
    caplog.clear()
    assert Run(whole.folder).fingerprint() == Run(stopped.folder).fingerprint()
    before = (stopped.folder / "metrics.jsonl").stat().st_mtime_ns
    train_missing([whole, stopped], digits_store, "cpu")
    assert caplog.text.count("done before") == 2
    assert (stopped.folder / "metrics.jsonl").stat().st_mtime_ns == before


def test_the_seconds_of_a_resumed_run_count_both_parts(digits_task: Task, digits_store: Store, tmp_path: Path) -> None:
    run = planned(tmp_path / "seed-0", steps=20, checkpoint_every=10)
    half_train(run, digits_store, after=10)
    first = Run(run.folder).training_time()
    assert first.seconds is not None
    assert first.processor_seconds is not None
    train_missing([run], digits_store, "cpu")
    both = Run(run.folder).training_time()
    assert both.seconds is not None
    assert both.processor_seconds is not None
    assert both.seconds > first.seconds > 0
    assert both.processor_seconds > first.processor_seconds > 0


def test_epochs_are_counted_by_the_data(digits_task: Task, digits_store: Store, tmp_path: Path) -> None:
    run = planned(tmp_path, epochs=1, steps=None)
    assert run.steps(None) is None
    held_out = round(len(digits_store.train) * 0.1)
    assert run.steps(digits_store) == -(-(len(digits_store.train) - held_out) // 16)


def test_another_run_is_refused_by_what_differs(digits_run: Run, digits_store: Store, tmp_path: Path) -> None:
    settled = replace(settle(TASK, environ={}), config=digits_run.record.config)
    same = PlannedRun(digits_run.folder, settled)
    check_same(digits_run, same, digits_store)
    changed = settled.config.model_copy(update={"lr": 0.5})
    other = PlannedRun(digits_run.folder, replace(settled, config=changed))
    with pytest.raises(UsageError, match=r"lr = 0\.003, not 0\.5"):
        check_same(digits_run, other, digits_store)
    check_same(digits_run, other, digits_store, free=("lr",))
    elsewhere = cast(Store, SimpleNamespace(content_hash="0" * 64, path="other.h5"))
    with pytest.raises(UsageError, match="other data"):
        check_same(digits_run, same, elsewhere)
    single = settle("digits-rotation", environ={})
    with pytest.raises(UsageError, match="trains digits-rotation-color, not digits-rotation"):
        check_same(digits_run, PlannedRun(digits_run.folder, single), digits_store)


def test_points_are_grid_and_seeds(digits_task: Task, tmp_path: Path) -> None:
    grid = {"context_mask": [0.0, 0.5], "lr": [1e-3, 1e-2, 1e-1]}
    points = grid_points(tmp_path, TASK, grid, seeds=[4, 7], settings=SETTINGS, environ={})
    assert len(points) == 6
    found = {(run.config.context_mask, run.config.lr, run.config.seed) for point in points for run in point.runs}
    assert found == {(mask, lr, seed) for mask in (0.0, 0.5) for lr in (1e-3, 1e-2, 1e-1) for seed in (4, 7)}
    assert len({run.folder for point in points for run in point.runs}) == 12


@pytest.mark.parametrize(
    ("grid", "seeds", "settings", "words"),
    [
        ({}, [0], {}, "name what to vary"),
        ({"context_mask": [0, 0.0]}, [0], {}, "context_mask 0 and context_mask 0.0 are the same"),
        ({"contxt_mask": [0]}, [0], {}, "did you mean 'context_mask'"),
        ({"context_mask": [0, 1]}, [0], {}, "context_mask: Input should be less than 1"),
        ({"equivariant": ["rotation"]}, [0], {"method": "sie"}, "equivariant: expected a list"),
        ({"method_options": [3]}, [0], {"method": "sie"}, "method_options: expected a table"),
        ({"lr": [1e-3]}, [0, 0], {}, "--seeds 0,0"),
        ({"lr": [1e-3]}, [-1], {}, "--seeds -1"),
        ({"lr": [1e-3]}, [], {}, "--seeds (empty): expected"),
        ({"lr": [1e-3]}, [0], {"lr": 1e-2}, "lr is set"),
        ({"lr": [1e-3]}, [0], {"seed": 1}, "seed is a setting"),
        ({"temperature": [0.1]}, [0], {"method": "simclr"}, "temperature has no effect with the method simclr"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(
    digits_task: Task, tmp_path: Path, grid: dict[str, Any], seeds: list[int], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        plan_sweep(tmp_path, TASK, grid, seeds=seeds, settings=settings)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    check_folder(tmp_path / "new", "runs")
    check_folder(tmp_path, "runs")
    (tmp_path / "letter.txt").touch()
    for place in (tmp_path, tmp_path / "letter.txt"):
        with pytest.raises(UsageError, match="holds something else"):
            check_folder(place, "runs")
    (tmp_path / "runs").mkdir()
    check_folder(tmp_path, "runs")
