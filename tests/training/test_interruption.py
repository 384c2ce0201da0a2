"""A run that is killed or stopped goes on as if nothing had happened."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.cli.app import run as command
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.checkpoint import OPTIMIZER_FILE, CheckpointState
from contextssl_cli.training.run import Run
from tests import tiny

STEPS = 150
SETTINGS = {f"model.{key}": value for key, value in tiny.MODEL.items()} | {"checkpoint_every": 37, "monitor_every": 50}
FLAGS = ["--steps", str(STEPS), "--batch-size", "16", "--device", "cpu", "--seed", "3",
         *(word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}"))]  # fmt: skip
PRETRAIN = ["pretrain", "--plugin", "digits-rotation-color", *FLAGS]


def lines(run: Run) -> list[dict[str, Any]]:
    """The metrics, less what depends on the clock."""
    found = tiny.logged(run)
    return [{key: value for key, value in line.items() if key not in tiny.CLOCK} for line in found]


def files(run: Run) -> tuple[str, bytes]:
    """The fingerprint of the weights, and the state of the optimiser."""
    return run.fingerprint(), (run.newest(Path) / OPTIMIZER_FILE).read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(digits_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert command([*PRETRAIN, "--store", str(digits_store.path), "--out", str(folder)]) == 0
    return Run(folder)


def stopped(store: Store, folder: Path, number: signal.Signals, after: int) -> int:
    """Start the same run in another process, stop it by a signal once it logged step ``after``; its exit code."""
    program = "from contextssl_cli.cli.app import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *PRETRAIN, "--store", str(store.path), "--out", str(folder)],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    metrics = folder / "metrics.jsonl"
    while process.poll() is None and not (metrics.is_file() and f'"step": {after},' in metrics.read_text()):
        time.sleep(0.002)
    process.send_signal(number)
    process.communicate(timeout=60)
    return process.returncode


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 60])
def test_a_killed_run_resumes_to_the_weights_and_metrics_of_an_uninterrupted_one(
    after: int, uninterrupted: Run, digits_store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    assert stopped(digits_store, folder, signal.SIGKILL, after) == -signal.SIGKILL
    assert lines(Run(folder))[-1]["step"] < STEPS
    assert command(["pretrain", "--resume", "--out", str(folder), "--device", "cpu"]) == 0
    assert files(Run(folder)) == files(uninterrupted)
    assert lines(Run(folder)) == lines(uninterrupted)


def test_ctrl_c_saves_exits_with_130_and_the_run_resumes(
    uninterrupted: Run, digits_store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "stopped"
    assert stopped(digits_store, folder, signal.SIGINT, 60) == 130
    step = CheckpointState.read(Run(folder).newest(Path)).step
    assert 60 <= step < STEPS
    assert lines(Run(folder))[-1]["step"] <= step
    assert command(["pretrain", "--resume", "--out", str(folder), "--device", "cpu"]) == 0
    assert files(Run(folder)) == files(uninterrupted)
    assert lines(Run(folder)) == lines(uninterrupted)


def test_resuming_a_finished_run_changes_nothing(uninterrupted: Run) -> None:
    before, written = files(uninterrupted), lines(uninterrupted)
    assert command(["pretrain", "--resume", "--out", str(uninterrupted.folder), "--device", "cpu"]) == 0
    assert (files(uninterrupted), lines(uninterrupted)) == (before, written)


def test_a_line_cut_off_by_a_kill_is_dropped(uninterrupted: Run, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "cut", uninterrupted.record)
    whole = uninterrupted.metrics_log.path.read_text()
    run.metrics_log.path.write_text(whole + '{"step": 1')
    run.metrics_log.drop_after(STEPS)
    assert run.metrics_log.path.read_text() == whole
