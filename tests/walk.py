"""A data set's whole way through the commands, at the smallest size."""

from __future__ import annotations

from pathlib import Path

import pytest

from contextssl_cli.cli.app import run
from contextssl_cli.plugin.registry import registry
from tests.cli.conftest import QUICK_PROBES, TINY, Outcome


def command(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Outcome:
    """Run one command in this process."""
    capsys.readouterr()
    code = run([str(argument) for argument in arguments])
    return Outcome(code, *capsys.readouterr())


def refusal(capsys: pytest.CaptureFixture[str], code: int, *arguments: str | Path) -> str:
    """The message of a command that must fail with an exit code: one or two lines, and no traceback."""
    outcome = command(capsys, *arguments)
    assert outcome.code == code, outcome.err
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert len(outcome.message.splitlines()) <= 2
    return outcome.message


def walk(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path, task: str, *prepare: str | Path
) -> tuple[Outcome, Outcome, Outcome]:
    """What prepare, probe and adapt say; a run and a context of the first action type are made between them."""
    dataset, action, *_ = task.split("-")
    kind = type(registry().dataset(dataset))
    monkeypatch.setattr(kind, "probing", {**kind.probing, **QUICK_PROBES})
    store, made, context = folder / "store.h5", folder / "run", folder / "ctx.h5"

    def must(*arguments: str | Path) -> Outcome:
        outcome = command(capsys, *arguments)
        assert outcome.code == 0, outcome.err
        return outcome

    prepared = must("prepare", dataset, *prepare, "--out", store)
    must("pretrain", "--plugin", task, "--store", store, "--out", made, *TINY)
    probed = must("probe", "--run", made, "--json")
    must("context", "create", "--run", made, "--action", action, "--out", context)
    return prepared, probed, must("adapt", "--context", context, "--run", made, "--out", folder / "e.h5", "--json")
