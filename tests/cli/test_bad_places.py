"""Outputs that are taken, that cannot be written, and disks that are full: the message, and what is left."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command, Made, listing

PRETRAIN = ["pretrain", "--plugin", "digits-color", *TINY]


def commands_with_output(made: Made) -> dict[str, list[str]]:
    return {
        "prepare": ["prepare", "digits"],
        "pretrain": PRETRAIN,
        "context": ["context", "create", "--run", str(made.run), "--action", "color"],
        "adapt": ["adapt", "--context", str(made.context)],
        "probe": ["probe", "--run", str(made.run)],
    }


@pytest.mark.parametrize("place", ["file/below", "/proc/contextssl"])
@pytest.mark.parametrize("command", ["prepare", "pretrain", "context", "adapt", "probe"])
def test_an_output_that_cannot_be_written(fails: Command, made: Made, command: str, place: str) -> None:
    Path("file").write_text("a file is no folder")
    target = f"{place}/out.h5"
    outcome = fails(3, ("cannot", place, "--out"), *commands_with_output(made)[command], "--out", target)
    assert "Errno" not in outcome.message


def test_a_home_that_cannot_be_written(fails: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTEXTSSL_HOME", "/proc/home")
    fails(3, ("/proc/home", "CONTEXTSSL_HOME"), "prepare", "digits")
    fails(3, ("/proc/home", "CONTEXTSSL_HOME"), *PRETRAIN)


def test_a_home_that_cannot_be_written_leaves_no_run(
    fails: Command, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTEXTSSL_HOME", "/proc/home")
    fails(3, "/proc/home", *PRETRAIN, "--store", made.store, "--out", "run")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("notes.txt exists", "--out"), ["context", "create", "--run", "RUN", "--action", "color"]),
        (("notes.txt exists", "contextssl-embeddings", "--out"), ["adapt", "--context", "CONTEXT"]),
        (("notes.txt",), PRETRAIN),
        (("notes.txt",), [*PRETRAIN, "--force"]),
        (("notes.txt",), ["demo"]),
    ],
)
def test_an_output_that_is_something_else(
    fails: Command, made: Made, words: tuple[str, ...], command: list[str]
) -> None:
    Path("notes.txt").write_text("mine")
    names = {"RUN": str(made.run), "CONTEXT": str(made.context)}
    fails(2, words, *(names.get(part, part) for part in command), "--out", "notes.txt")
    assert Path("notes.txt").read_text() == "mine"


@pytest.mark.parametrize("flags", [[], ["--force"]])
@pytest.mark.parametrize("command", [PRETRAIN, ["demo"]])
def test_a_folder_of_something_else_is_never_replaced(fails: Command, command: list[str], flags: list[str]) -> None:
    Path("photos").mkdir()
    Path("photos/one.png").write_text("mine")
    fails(2, "choose another --out", *command, "--out", "photos", *flags)


def test_a_run_is_replaced_only_with_force(fails: Command, cli: Command, own_run: Path) -> None:
    before = listing(own_run)
    for flags in ([], ["--dry-run"]):
        fails(2, ("--resume", "--force"), *PRETRAIN, "--out", own_run, *flags)
    assert listing(own_run) == before
    assert cli(*PRETRAIN, "--out", own_run, "--force").code == 0
    assert cli("info", own_run, "--json").json["task"] == "digits-color"


def test_a_store_that_is_something_else(fails: Command) -> None:
    Path("mine.h5").write_text("mine")
    fails(4, ("mine.h5", "another file"), "prepare", "digits", "--out", "mine.h5")
    fails(2, "mine.h5", "prepare", "digits", "--out", "mine.h5", "--force")


@pytest.mark.parametrize("command", ["pretrain", "context", "adapt", "probe"])
def test_a_full_disk(fails: Command, made: Made, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = listing(made.run)
    with largest_file(400):
        fails(1, "no space", *commands_with_output(made)[command],
              "--out", "out")  # fmt: skip
    assert {name: time for name, time in listing(made.run).items() if "cache" not in name} == {
        name: time for name, time in before.items() if "cache" not in name
    }


@pytest.mark.parametrize("size", [0, 1000, 100_000, 1_300_000])
def test_a_full_disk_while_preparing(fails: Command, size: int) -> None:
    with largest_file(size):
        fails(1, "digits.h5", "prepare", "digits", "--out", "digits.h5")


@pytest.mark.slow
def test_a_full_disk_to_the_end_of_the_process(workplace: Path) -> None:
    # h5py has crashed when it was left with a file that it could not write.
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from contextssl_cli.cli.app import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", program, "prepare", "digits", "--out", "digits.h5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error[E100]: no space" in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert listing(workplace) == {}


def test_a_disk_that_fills_up_keeps_the_older_checkpoint(cli: Command, own_run: Path) -> None:
    run = json.loads((own_run / "run.json").read_text())
    run["config"]["steps"] = 4
    (own_run / "run.json").write_text(json.dumps(run))
    before = listing(own_run / "checkpoint")
    with largest_file(10_000):
        outcome = cli("pretrain", "--resume", "--out", own_run)
    assert outcome.code == 1
    assert "no space left" in outcome.message
    assert listing(own_run / "checkpoint") == before
    assert cli("pretrain", "--resume", "--out", own_run).code == 0


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size`` bytes: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_pages_of_this_process_are_still_written(workplace: Path) -> None:
    Path("after").write_bytes(os.urandom(10_000))
    assert Path("after").stat().st_size == 10_000
