"""The facts that decide the last bits of the weights are kept with a run, and a resume that changes one warns."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from contextssl_cli.plugin.task import Task
from contextssl_cli.store.dataset import Store
from contextssl_cli.training import runtime
from contextssl_cli.training import start as pretrain
from contextssl_cli.training.run import Run
from contextssl_cli.training.runtime import differences, numerics
from contextssl_cli.training.start import start_run, train
from tests import tiny

CPU = torch.device("cpu")


@pytest.fixture
def own_run(digits_run: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(digits_run.folder, tmp_path / "run")))


def test_a_run_keeps_the_facts_of_its_start(digits_run: Run) -> None:
    (kept,) = json.loads((digits_run.folder / "run.json").read_text())["numerics"]
    assert kept == {"from_step": 0, "facts": numerics(CPU)}
    assert kept["facts"]["threads"] == str(torch.get_num_threads())
    assert kept["facts"]["torch"] == digits_run.record.versions["torch"]
    assert kept["facts"].keys() >= {"device", "processor", "instructions", "interop_threads"}
    assert all(kept["facts"].values())


CHANGES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "threads": lambda patch: patch.setattr(torch, "get_num_threads", lambda: 7),
    "interop_threads": lambda patch: patch.setattr(torch, "get_num_interop_threads", lambda: 7),
    "instructions": lambda patch: patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX7"),
    "processor": lambda patch: patch.setattr(runtime, "_processor", lambda: "another one"),
    "MKL_NUM_THREADS": lambda patch: patch.setenv("MKL_NUM_THREADS", "7"),
    "ATEN_CPU_CAPABILITY": lambda patch: patch.setenv("ATEN_CPU_CAPABILITY", "default"),
    "torch": lambda patch: patch.setattr(runtime.metadata, "version", lambda name: f"{name}-7"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_resume_that_changes_a_fact_warns_once_and_keeps_it(
    name: str, own_run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = own_run.record.numerics
    pretrain._record_numerics(own_run, 10, CPU)
    assert (Run(own_run.folder).record.numerics, caplog.text) == (before, "")
    CHANGES[name](monkeypatch)
    pretrain._record_numerics(own_run, 10, CPU)
    assert name in caplog.text
    assert str(own_run.folder) in caplog.text
    kept = Run(own_run.folder).record.numerics
    assert [entry.from_step for entry in kept] == [0, 10]
    assert name in differences(kept[0].facts, kept[1].facts)
    caplog.clear()
    pretrain._record_numerics(own_run, 15, CPU)
    assert (Run(own_run.folder).record.numerics, caplog.text) == (kept, "")


def test_facts_of_steps_that_a_kill_lost_are_forgotten(
    own_run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for step, threads in ((10, 2), (10, 3), (5, 4)):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        pretrain._record_numerics(own_run, step, CPU)
    kept = Run(own_run.folder).record.numerics
    assert [(entry.from_step, entry.facts["threads"]) for entry in kept] == [(0, "1"), (5, "4")]
    assert caplog.text.count("3 (before: 1)") == 1


def test_facts_differ_by_value_and_by_presence() -> None:
    assert differences({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == {"b": ("2", "3"), "c": ("unset", "4")}
    assert differences({"c": "4"}, {}) == {"c": ("4", "unset")}


def test_a_finished_run_keeps_its_facts(
    digits_task: Task, digits_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    run = tiny.trained(digits_task, digits_store, tmp_path / "run", steps=2)
    before = (run.folder / "run.json").read_bytes()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    train(Run(run.folder), digits_task, digits_store, lambda progress: None, "cpu")
    assert ((run.folder / "run.json").read_bytes(), caplog.text) == (before, "")


def test_training_records_what_it_was_resumed_with(
    digits_task: Task, digits_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(progress: object) -> None:
        if getattr(progress, "step", 0) == 3:
            raise Killed

    settled = tiny.settled(digits_task, steps=4, checkpoint_every=2)
    run = start_run(settled, digits_store, tmp_path / "run")
    with pytest.raises(Killed):
        train(run, digits_task, digits_store, kill, "cpu")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    train(Run(run.folder), digits_task, digits_store, lambda progress: None, "cpu")
    kept = Run(run.folder).record.numerics
    assert [(entry.from_step, entry.facts["threads"]) for entry in kept] == [(0, "1"), (2, "7")]
