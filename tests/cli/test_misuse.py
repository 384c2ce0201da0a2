"""Runs and contexts used in ways that nobody planned: the wrong run, twice, at once, read-only, without its data."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contextssl_cli import files
from contextssl_cli.errors import DataMissingError
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.methods.base import StepLoss
from contextssl_cli.methods.contextual import ContextSSLMethod
from contextssl_cli.store.context import Context
from contextssl_cli.training import import_official
from contextssl_cli.training.progress import Progress
from contextssl_cli.training.run import Run, exclusive
from tests.cli.conftest import TINY, Command, Made
from tests.cli.test_bad_places import largest_file


def test_the_folder_that_a_context_names_goes_before_another_run_of_equal_weights(
    cli: Command, made: Made, tmp_path: Path
) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(made.run, twin)
    Context.load(made.context).save(Path("first.h5"))
    replace(Context.load(made.context), run=str(twin)).save(Path("second.h5"))
    for file, folder in (("first.h5", made.run), ("second.h5", twin)):
        outcome = cli("adapt", "--context", file, "--dry-run")
        assert f"run: {folder} " in outcome.err


def test_a_context_whose_run_is_gone_says_which(fails: Command, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    replace(Context.load(made.context), run="/gone/run").save(Path("orphan.h5"))
    monkeypatch.setattr("contextssl_cli.training.runs.known_runs", list)
    fails(3, "/gone/run", "adapt", "--context", "orphan.h5")


@pytest.mark.parametrize("flags", [["--resume"], ["--plugin", "digits-rotation-color", "--force", *TINY]])
def test_a_run_in_use_is_neither_resumed_nor_replaced(fails: Command, own_run: Path, flags: list[str]) -> None:
    with exclusive(own_run):
        outcome = fails(3, own_run.name, "pretrain", "--out", own_run, *flags)
    assert outcome.error_code == "E301"
    assert list((own_run / "checkpoint").glob("step-*"))


def test_force_keeps_what_a_user_has_put_into_the_run(cli: Command, own_run: Path) -> None:
    (own_run / "mine.txt").write_text("kept")
    ours = ["probe", "probe-held-out", "probe-3-runs", "comparison"]
    for name in (*ours, "probe-of-mine"):
        (own_run / name).mkdir()
    assert cli("pretrain", "--plugin", "digits-rotation-color", "--force", "--out", own_run, *TINY).code == 0
    assert (own_run / "mine.txt").read_text() == "kept"
    assert (own_run / "probe-of-mine").is_dir()
    assert [name for name in ours if (own_run / name).exists()] == []


FORCE = ["pretrain", "--plugin", "digits-rotation-color", "--force", *TINY]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("at", [1, 2])
def test_a_new_run_that_fails_at_once_leaves_the_run_that_it_was_to_replace(
    at: int, fails: Command, own_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, true_loss, calls = contents(own_run), ContextSSLMethod.loss, []

    def broken(*args: Any, **kwargs: Any) -> StepLoss:
        calls.append(1)
        loss = true_loss(*args, **kwargs)
        return replace(loss, total=loss.total * (math.nan if len(calls) == at else 1.0))

    monkeypatch.setattr(ContextSSLMethod, "loss", broken)
    fails(1, ("not finite", str(own_run)), *FORCE, "--out", own_run, "--set", "checkpoint_every=2")
    assert contents(own_run) == before


@pytest.mark.parametrize("size", [0, 400, 3000])
def test_a_disk_that_is_full_leaves_the_run_that_was_to_be_replaced(size: int, fails: Command, own_run: Path) -> None:
    before = contents(own_run)
    with largest_file(size):
        fails(1, "no space left", *FORCE, "--out", own_run)
    assert contents(own_run) == before


@contextmanager
def interrupt(label: str) -> Iterator[Callable[[Progress], None]]:
    """A display that presses Ctrl-C after the first step."""
    yield lambda progress: os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_before_the_first_checkpoint_makes_it_and_replaces_the_run(
    cli: Command, own_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("contextssl_cli.report.progress.training_progress", interrupt)
        outcome = cli(*FORCE, "--seed", "7", "--out", own_run)
    assert outcome.code == 130
    assert (Run(own_run).record.config.seed, Run(own_run).reached()[0]) == (7, 1)
    assert not list(own_run.glob(".*"))
    assert cli("pretrain", "--resume", "--out", own_run).code == 0


def test_an_import_that_is_stopped_leaves_the_run_that_it_was_to_replace(
    own_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, run = contents(own_run), Run(own_run)

    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_official, "load_official", lambda *_: (OpenRun(run).model, run.record.schema_, []))
    arguments = (own_run, 2, run.record.space, 8, 16, ((), ()), own_run)
    save = Run.save
    monkeypatch.setattr(Run, "save", stopped)
    with pytest.raises(KeyboardInterrupt):
        import_official.import_run(*arguments, force=True)
    monkeypatch.setattr(Run, "save", save)
    assert contents(own_run) == before
    imported, _ = import_official.import_run(*arguments, force=True)
    assert (imported.record.task, imported.reached()) == ("", (0, 0))
    assert Run(own_run).record == imported.record


@pytest.mark.parametrize("flag", ["--force", "--store"])
def test_resume_refuses_what_it_would_ignore(fails: Command, own_run: Path, made: Made, flag: str) -> None:
    extra = [flag] if flag == "--force" else [flag, made.store]
    fails(2, "--store and --force", "pretrain", "--resume", "--out", own_run, *extra)


def test_a_run_named_twice_is_no_spread(fails: Command, made: Made) -> None:
    fails(2, "named twice", "probe", "--run", made.run, "--run", made.run)


@pytest.mark.parametrize(("key", "value"), [("model.block_size", "16"), ("temperature", "0.5")])
def test_runs_that_differ_in_a_setting_are_not_averaged(
    fails: Command, cli: Command, made: Made, key: str, value: str
) -> None:
    other = [*TINY, "--set", f"{key}={value}"]
    assert cli("pretrain", "--plugin", "digits-rotation-color", "--out", "other", *other).code == 0
    fails(2, f"in {key}", "probe", "--run", made.run, "--run", "other")


def test_a_cache_that_cannot_be_written_costs_time_only(
    cli: Command, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    atomic = files.atomic

    def guarded(path: Path):  # type: ignore[no-untyped-def]
        if path.parent.name == "cache":
            raise DataMissingError(f"cannot write {path}")
        return atomic(path)

    monkeypatch.setattr(files, "atomic", guarded)
    outcome = cli("adapt", "--context", made.context, "--run", made.run, "--seed", "7")
    assert outcome.code == 0, outcome.err
    assert Path("embeddings.h5").is_file()


def test_arrays_are_embedded_without_the_training_store(
    cli: Command, fails: Command, own_run: Path, made: Made
) -> None:
    record = json.loads((own_run / "run.json").read_text())
    (own_run / "run.json").write_text(json.dumps(record | {"store": "/gone/digits.h5"}))
    np.save("mine.npy", np.zeros((2, 16, 16, 3), np.uint8))
    outcome = cli("adapt", "--context", made.context, "--run", own_run, "--input", "mine.npy")
    assert outcome.code == 0, outcome.err
    assert "no symmetry profile" in outcome.err
    fails(3, ("/gone/digits.h5", "contextssl prepare digits"), "adapt", "--context", made.context, "--run", own_run)


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ("finite", ["--lr", "inf"]),
        ("group of settings", ["--set", "model=5", "--set", "model.width=16"]),
    ],
)
def test_settings_of_no_sense(fails: Command, words: str, flags: list[str]) -> None:
    fails(2, words, "pretrain", "--plugin", "digits-rotation-color", "--out", "x", *flags)


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ("above 0", ["--std", "0,0,0"]),
        ("three numbers", ["--mean", "nan,0,0"]),
        ("name=width", ["--blocks", "rotation=-1,color=7"]),
        ("name=width", ["--blocks", "rotation=4,rotation=2"]),
    ],
)
def test_imports_of_no_sense(fails: Command, words: str, flags: list[str]) -> None:
    fails(2, words, "import-official", "any.pt", *flags)


@pytest.mark.parametrize("text", ["hello", "a,b\n1,2"])
def test_a_text_is_no_checkpoint(fails: Command, text: str) -> None:
    Path("text.pt").write_text(text)
    fails(4, "not a PyTorch state_dict", "import-official", "text.pt")
