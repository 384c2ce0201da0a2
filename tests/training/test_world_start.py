"""Features that learn alone at first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from contextssl_cli.plugin.task import Task
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.checkpoint import weights_hash
from contextssl_cli.training.pretrain import start_run
from contextssl_cli.training.progress import Progress
from contextssl_cli.training.run import Run
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
    return start_run(digits_task, digits_store, tiny.config(digits_task, **SETTINGS), tmp_path / "run")


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
    now = run.load_model().state_dict()
    moved = {name.partition(".")[0] for name, tensor in now.items() if not torch.equal(tensor, fresh[name])}
    assert moved == {"encoder", "feature_norm", "heads"}


def test_a_run_that_died_before_the_start_goes_on_as_if_nothing_had_happened(
    run: Run, digits_task: Task, digits_store: Store
) -> None:
    whole = tiny.trained(digits_task, digits_store, run.folder.parent / "whole", **SETTINGS)
    killed_after(run, digits_task, digits_store, STOP + 2)
    again = Trainer(run, digits_task, digits_store, CPU)
    again.resume()
    assert again.step == STOP
    again.fit(lambda progress: None)
    assert weights_hash(again.model) == weights_hash(whole.load_model())


def test_metrics_tell_what_was_trained(digits_task: Task, digits_store: Store, tmp_path: Path) -> None:
    run = tiny.trained(digits_task, digits_store, tmp_path / "run", **SETTINGS)
    lines = {line["step"]: line for line in map(json.loads, run.metrics.read_text().splitlines())}
    assert lines[STOP]["loss"] == {}
    assert lines[STOP]["total_loss"] == lines[STOP]["feature_loss"]["contrast"]
    assert lines[STEPS]["loss"].keys() == {"rotation", "color"}
    assert "held_out_gap_ridge" not in lines[STOP]
    assert "held_out_gap_ridge" in lines[STEPS]
