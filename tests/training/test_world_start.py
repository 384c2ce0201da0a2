"""Features that learn alone at first."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from contextssl_cli.errors import CorruptFileError, UsageError
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.plugin.task import EVERY_ENVIRONMENT, Task
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.checkpoint import OPTIMIZER_FILE
from contextssl_cli.training.progress import Progress
from contextssl_cli.training.run import Run
from contextssl_cli.training.start import start_run
from contextssl_cli.training.trainer import Trainer
from tests import tiny

STEPS, STOP, START = 20, 10, 15
SETTINGS = {
    "steps": STEPS,
    "feature_weight": 1.0,
    "world_start": START / STEPS,
    "checkpoint_every": STOP,
    "monitor_every": 5,
}
CPU = torch.device("cpu")


@pytest.fixture
def run(digits_task: Task, digits_store: Store, tmp_path: Path) -> Run:
    return start_run(tiny.settled(digits_task, **SETTINGS), digits_store, tmp_path / "run")


class KilledError(Exception):
    """Stands for a death of the process."""


def killed_after(run: Run, task: Task, store: Store, step: int) -> None:
    def watch(progress: Progress) -> None:
        if progress.step == step:
            raise KilledError

    with pytest.raises(KilledError):
        Trainer(run, task, store, CPU).fit(watch)


def test_the_world_model_stands_still_until_its_start(run: Run, digits_task: Task, digits_store: Store) -> None:
    fresh = Trainer(run, digits_task, digits_store, CPU).model.state_dict()
    killed_after(run, digits_task, digits_store, STOP + 2)
    now = OpenRun(run).model.state_dict()
    moved = {name.partition(".")[0] for name, tensor in now.items() if not torch.equal(tensor, fresh[name])}
    assert moved == {"encoder", "feature_norm", "heads"}


def test_a_world_model_that_was_not_trained_reads_no_context(run: Run, digits_task: Task, digits_store: Store) -> None:
    killed_after(run, digits_task, digits_store, STOP + 2)
    with pytest.raises(UsageError, match=r"has not begun to train its world model.*--resume"):
        run.require_context()
    Trainer(run, digits_task, digits_store, CPU).fit(lambda progress: None)
    run.require_context()


@pytest.mark.parametrize("start", [5, 9.5, 10, 15])
def test_a_run_that_died_goes_on_as_if_nothing_had_happened(
    start: float, digits_task: Task, digits_store: Store, tmp_path: Path
) -> None:
    """With the start of the world model before the checkpoint at step 10, at it, and after it."""
    settings = SETTINGS | {"world_start": start / STEPS}
    whole = tiny.trained(digits_task, digits_store, tmp_path / "whole", **settings)
    run = start_run(tiny.settled(digits_task, **settings), digits_store, tmp_path / "run")
    killed_after(run, digits_task, digits_store, STOP + 2)
    again = Trainer(run, digits_task, digits_store, CPU)
    again.resume()
    assert again.step == STOP
    again.fit(lambda progress: None)
    assert tiny.weights_hash(again.model) == tiny.weights_hash(OpenRun(whole).context_model)


@pytest.mark.parametrize(("start", "lost"), [(5, "world"), (15, "encoder")])
def test_a_state_of_the_optimiser_that_lacks_a_trained_parameter_is_refused(
    start: int, lost: str, digits_task: Task, digits_store: Store, tmp_path: Path
) -> None:
    settings = SETTINGS | {"world_start": start / STEPS}
    run = start_run(tiny.settled(digits_task, **settings), digits_store, tmp_path / "run")
    killed_after(run, digits_task, digits_store, STOP + 2)
    trainer = Trainer(run, digits_task, digits_store, CPU)
    names = [name for name, _ in trainer.model.named_parameters()]
    place = next(place for place, name in enumerate(names) if name.startswith(lost))
    path = run.newest(Path) / OPTIMIZER_FILE
    kept = {name: tensor for name, tensor in load_file(path).items() if not name.startswith(f"{place}.")}
    save_file(kept, path)
    with pytest.raises(CorruptFileError, match="does not hold the state"):
        trainer.resume()


def test_metrics_tell_what_was_trained(digits_task: Task, digits_store: Store, tmp_path: Path) -> None:
    run = tiny.trained(digits_task, digits_store, tmp_path / "run", **SETTINGS)
    lines = {line["step"]: line for line in tiny.logged(run)}
    assert lines[STOP]["terms"] == {"features": {EVERY_ENVIRONMENT: lines[STOP]["total_loss"]}}
    assert lines[STEPS]["terms"]["contrast"].keys() == {"rotation", "color"}
    assert "held_out_gap_ridge" not in lines[STOP]
    assert "held_out_gap_ridge" in lines[STEPS]
