"""Which run a command takes when none is named: finished, with the action types of the context, and always named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from contextssl_cli.store.context import Context
from contextssl_cli.training.runs import add_to_index
from tests.cli.conftest import Command, Made
from tests.cli.test_probe_options import set_steps


@pytest.fixture
def anonymous(made: Made) -> Path:
    """A rotation context without views of colour, which names no run."""
    drawn = Context.load(made.context)
    Context(drawn.x, drawn.y, drawn.actions).save(Path("rotation.h5"))
    return Path("rotation.h5")


@pytest.fixture
def both(made: Made) -> Path:
    """The same context with views of colour: it shows rotation and zeroes colour."""
    drawn = Context.load(made.context)
    Context(drawn.x, drawn.y, drawn.actions, changes=drawn.changes).save(Path("both.h5"))
    return Path("both.h5")


def copied(run: Path, name: str, created: str, **steps: int) -> Path:
    """Another run, created at another time, and perhaps trained in part."""
    folder = Path(shutil.copytree(run, Path(name).resolve(), ignore=shutil.ignore_patterns("cache", "probe*")))
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"created": created}))
    set_steps(folder, **steps)
    add_to_index(folder)
    return folder


def taken(cli: Command, *command: str | Path) -> tuple[str, str]:
    """The line that says which run a command takes, up to the choice of others, and the rest of it."""
    outcome = cli(*command, "--dry-run")
    assert outcome.code == 0, outcome.err
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("run: ")]
    first, _, others = line.partition("--run: ")
    return first, others


def test_a_run_with_exactly_the_types_of_the_context_goes_before_a_newer_one(
    cli: Command, made: Made, anonymous: Path, both: Path
) -> None:
    newest = copied(made.run, "newest", "2999-01-01T00:00:00Z")
    first, others = taken(cli, "adapt", "--context", anonymous)
    assert first.startswith(f"run: {made.newer} (")
    assert str(newest) in others
    assert str(made.run) in others
    first, others = taken(cli, "adapt", "--context", both)
    assert first.startswith(f"run: {newest} (")
    assert str(made.run) in others


def test_a_finished_run_goes_before_a_newer_one_trained_in_part(
    cli: Command, made: Made, anonymous: Path, both: Path
) -> None:
    half = copied(made.newer, "half", "2999-01-01T00:00:00Z", step=1, steps=3)
    first, others = taken(cli, "adapt", "--context", anonymous)
    assert first.startswith(f"run: {made.newer} (")
    assert str(half) in others
    first, _ = taken(cli, "context", "create", "--action", "rotation")
    assert str(half) not in first


def test_a_run_trained_in_part_is_never_taken_silently(
    cli: Command, cli_home: Path, made: Made, anonymous: Path
) -> None:
    (cli_home / "runs.txt").write_text("")
    half = copied(made.newer, "half", "2999-01-01T00:00:00Z", step=1, steps=3)
    for command in (["adapt", "--context", anonymous], ["context", "create", "--action", "rotation"], ["probe"]):
        first, _ = taken(cli, *command)
        assert first.startswith(f"run: {half} (")
        assert "step 1 of 3" in first
    outcome = cli("adapt", "--context", anonymous, "--no-profile")
    assert outcome.code == 0, outcome.err
    assert f"contextssl pretrain --resume --out {half}" in outcome.err


def test_the_run_that_a_context_was_made_for_is_taken_even_if_half_trained(cli: Command, made: Made) -> None:
    half = copied(made.run, "half", "2999-01-01T00:00:00Z", step=1, steps=3)
    made_for = Context.load(made.context)
    Context(made_for.x, made_for.y, made_for.actions, made_for.fingerprint, str(half)).save(Path("own.h5"))
    first, _ = taken(cli, "adapt", "--context", "own.h5")
    assert first.startswith(f"run: {half} (")
    assert "step 1 of 3" in first


def test_probe_says_which_run_it_takes_before_it_starts(
    cli: Command, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("contextssl_cli.evaluation.protocol.probe_runs", stop)
    outcome = cli("probe")
    assert outcome.code == 130
    assert f"run: {made.newer} (" in outcome.err
    assert "run: " not in cli("probe", "--run", made.run).err.replace("--run: ", "")
