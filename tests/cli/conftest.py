"""The commands in process: a home of their own, tiny runs, and what every failure owes the user."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.cli.app import run
from contextssl_cli.plugin.registry import registry
from contextssl_cli.report.terminal import terminal

TINY = [
    "--steps", "3", "--batch-size", "8", "--set", "model.width=16", "--set", "model.layers=1", "--set", "model.heads=2",
    "--set", "model.block_size=8", "--set", "model.feature_dim=8", "--set", "model.encoder_width=8",
    "--set", "model.aux_hidden=8",
]  # fmt: skip
QUICK_PROBES = {"action_epochs": 1, "label_epochs": 1, "hidden": 8, "views": 1, "context_lengths": (0, 2)}


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def message(self) -> str:
        """The error message without its code; it is the last thing on stderr."""
        return re.split(r"error\[E\d+\]: ", self.err, maxsplit=1)[1].rstrip("\n")

    @property
    def error_code(self) -> str:
        """The stable code of the error, such as E200."""
        (found,) = re.findall(r"^error\[(E\d+)\]: ", self.err, flags=re.MULTILINE)
        return str(found)


Command = Callable[..., Outcome]


@pytest.fixture(scope="session")
def cli_home(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``CONTEXTSSL_HOME`` for the commands of this folder alone."""
    return tmp_path_factory.mktemp("cli-home")


@pytest.fixture(autouse=True)
def workplace(made: Made, cli_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to stand in; probes train for one epoch. The runs of a test are forgotten after it."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("CONTEXTSSL_HOME", str(cli_home))
    monkeypatch.setattr(terminal, "verbosity", 0)
    for name in ("digits", "adult"):
        kind = type(registry().dataset(name))
        monkeypatch.setattr(kind, "probing", {**kind.probing, **QUICK_PROBES})
    index = cli_home / "runs.txt"
    known = index.read_text()
    yield tmp_path / "work"
    index.write_text(known)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run one command."""

    def command(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return command


@pytest.fixture
def fails(cli: Command, cli_home: Path, workplace: Path) -> Command:
    """Run a command that must fail: exit code, one message with the given words, no traceback, nothing left behind."""

    def command(code: int, words: str | tuple[str, ...], *arguments: str | Path) -> Outcome:
        before = listing(cli_home), listing(workplace)
        outcome = cli(*arguments)
        assert outcome.code == code, outcome.err
        assert outcome.out == ""
        assert outcome.error_code.startswith(f"E{code}")
        assert len(outcome.message.splitlines()) <= 2
        assert "Traceback" not in outcome.err
        for word in (words,) if isinstance(words, str) else words:
            assert word in outcome.message
        assert (listing(cli_home), listing(workplace)) == before
        return outcome

    return command


def listing(folder: Path) -> dict[str, int]:
    """Every file below a folder but the cache, and when it was changed."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and folder / "cache" not in path.parents)
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


@dataclass(frozen=True)
class Made:
    """What the commands made once, for all tests; not to be written to."""

    store: Path
    run: Path
    """Of digits-rotation-color."""
    newer: Path
    """Of digits-rotation, made after ``run``; it reads rotation contexts too."""
    context: Path
    """Rotation, for ``run``."""


@pytest.fixture(scope="session")
def made(cli_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A store, two runs and a context, all by commands."""
    folder = tmp_path_factory.mktemp("made")
    things = Made(cli_home / "stores" / "digits.h5", folder / "both", folder / "rotation", folder / "rotation.h5")
    commands = [
        ["prepare", "digits"],
        ["pretrain", "--plugin", "digits-rotation-color", "--out", str(things.run), *TINY],
        ["context", "create", "--run", str(things.run), "--action", "rotation", "--out", str(things.context)],
        ["pretrain", "--plugin", "digits-rotation", "--out", str(things.newer), *TINY],
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTEXTSSL_HOME", str(cli_home))
        assert [run([*command, "-q"]) for command in commands] == [0] * len(commands)
    return things


@pytest.fixture
def own_run(made: Made, tmp_path: Path) -> Path:
    """A copy of the run, to be damaged; without results that another test's probe may have left in it."""
    return Path(shutil.copytree(made.run, tmp_path / "run", ignore=shutil.ignore_patterns("probe*", "report.html")))
