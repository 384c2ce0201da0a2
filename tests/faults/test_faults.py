"""The harness sees the faults that it is for; and a bounded run of it finds none."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import command_lines, kills, mutations, running
from tests.faults.runner import counted, summary
from tests.faults.sandbox import Outcome, Sandbox, Verdict, changed, faults_of
from tests.places import ROOT

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="limits and process numbers are Linux's"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]
REFUSED = "error[E400]: store.h5 is damaged; write it again\n"


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(0, "done\n", ""),
        Outcome(4, "", REFUSED),
        Outcome(2, "", f"a note\n{REFUSED}"),
        Outcome(130, "", "error[E130]: interrupted\n"),
        Outcome(4, "", "error[E400]: two\nlines\n"),
    ],
)
def test_a_documented_outcome_has_no_fault(outcome: Outcome) -> None:
    assert faults_of(outcome) == []


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(4, "", ""),
        Outcome(4, "", REFUSED * 2),
        Outcome(0, "", REFUSED),
        Outcome(7, "", REFUSED),
        Outcome(1, "", "error[E101]: KeyError: 'x'\n"),
        Outcome(4, "", f"Traceback (most recent call last):\n  x\nKeyError: 'x'\n{REFUSED}"),
        Outcome(0, "\x1b[31mred", ""),
        Outcome(0, "left\u202eright", ""),
        Outcome(4, "", "error[E400]: three\nlines\nof it\n"),
        Outcome(-11, "", ""),
        Outcome(0, "", "", timed_out=True),
        Outcome(0, "", "", left=True),
    ],
)
def test_any_other_outcome_has_one(outcome: Outcome) -> None:
    assert len(faults_of(outcome)) == 1


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    found = Sandbox(tmp_path)
    found.make()
    return found


def fail_softly() -> None:
    os.abort()


def wait() -> None:
    time.sleep(60)


def work() -> None:
    while True:
        pass


def swallow() -> None:
    bytearray(running.MEMORY + (1 << 30))


@pytest.mark.parametrize(("prepared", "code"), [(fail_softly, -signal.SIGABRT), (swallow, 99)])
def test_a_command_that_ends_badly_ends_alone(sandbox: Sandbox, prepared: Callable[[], object], code: int) -> None:
    assert running.forked(sandbox, ["--version"], prepared).code == code


@pytest.mark.parametrize("prepared", [wait, work])
def test_a_command_that_does_not_end_is_ended(
    sandbox: Sandbox, prepared: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "PATIENCE", 0.2)
    assert running.forked(sandbox, ["--version"], prepared).timed_out


def test_every_change_outside_the_outputs_is_seen(sandbox: Sandbox) -> None:
    kept, gone, mode = (sandbox.work / name for name in ("kept", "gone", "mode"))
    for path in (kept, gone, mode):
        path.write_text("old")
    before = sandbox.listing()
    kept.write_text("new")
    gone.unlink()
    mode.chmod(0o600)
    (sandbox.work / "link").symlink_to("kept")
    (sandbox.root / "tmp" / "left").mkdir()
    os.mkfifo(sandbox.work / "out")
    found = changed(before, sandbox.listing(), ["work/out"])
    assert found == ["tmp/left", "work/gone", "work/kept", "work/link", "work/mode"]


def test_cases_are_the_same_again() -> None:
    for module in (kills, mutations, command_lines):
        assert module.cases(300)[:200] == module.cases(200)
        assert len(set(module.cases(300))) == 300


def test_every_command_is_among_the_command_lines() -> None:
    import typer

    from contextssl_cli.cli.app import app

    names = set()
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        names |= {f"{name} {inner}" for inner in getattr(command, "commands", {})} or {name}
    assert {name for name in names if not any(line.startswith(name) for line in command_lines.COMMANDS)} == set()


def test_counts_are_by_kind_format_and_outcome() -> None:
    verdicts = [
        Verdict("mutation:store:00000", "", "refused (4)"),
        Verdict("mutation:store:00001", "", "refused (4)"),
        Verdict("mutation:run.json:00000", "", "same result", ("left a process behind",)),
    ]
    assert counted(verdicts) == {"mutation": {"store": {"refused (4)": 2}, "run.json": {"fault": 1}}}
    assert summary(verdicts).endswith("3 cases, 1 with faults")


def test_what_keeps_each_promise_is_there() -> None:
    page = (ROOT / "docs" / "explanation" / "reliability.txt").read_text()
    named = re.findall(r"`((?:tests|plugins)/[^`]*)`", page)
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.slow
def test_a_bounded_run_finds_no_fault(tmp_path: Path) -> None:
    """In a process of its own: a fork of this one would lack the threads that other tests have started."""
    counts = ["--kills", "14", "--mutations", "81", "--command-lines", "48"]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults", *counts, "--findings", str(tmp_path / "found")],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "143 cases, 0 with faults" in ended.stdout
