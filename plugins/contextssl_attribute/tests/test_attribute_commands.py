"""The options of the action type through the commands: flags, settings, files, the run and --resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from attribute_tables import crowd, schema

from contextssl_cli.plugin import Dataset, Options, Prepared, Samples
from contextssl_cli.plugin.registry import registry
from contextssl_cli.training.run import Run
from contextssl_cli.training.start import run_task
from tests.cli.conftest import TINY
from tests.places import built_in
from tests.walk import command, refusal

TABLE = schema(("female", "male", "other"), tasks={"rich": ("no", "yes")})


class People(Dataset):
    """Random people; pairs are matched unless the user says otherwise."""

    name, summary, modality, licence, needs_source = "people", "people", "table", "none", False
    training: ClassVar = {
        "model": {"encoder": "mlp"},
        "actions": {"attribute": {"pairing": "matched"}, "of_another_task": {"x": 1}},
    }

    def prepare(self, source: Path | None, options: Options) -> Prepared:
        return Prepared(TABLE, [self._samples("train", 60), self._samples("test", 20)])

    def _samples(self, split: str, count: int) -> Samples:
        inputs = crowd(TABLE, count).numpy()
        sex = inputs[:, 1:4].argmax(1)
        return Samples(split, inputs, labels={"rich": np.arange(count) % 2}, attributes={"sex": sex})


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTEXTSSL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(registry().datasets, "people", People())


def settled(capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
    """The options that a run would have."""
    outcome = command(capsys, "pretrain", "--plugin", "people-attribute", "--dry-run", "--json", *flags)
    assert outcome.code == 0, outcome.err
    return outcome.json["config"]["actions"]["attribute"]


def test_each_place_goes_over_those_below_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settled(capsys) == {"pairing": "matched", "sensitive": None}
    Path("c.toml").write_text('[actions.attribute]\nsensitive = "town"\npairing = "alone"\n')
    assert settled(capsys, "--config", "c.toml") == {"pairing": "alone", "sensitive": "town"}
    monkeypatch.setenv("CONTEXTSSL_ACTIONS", '{attribute = {pairing = "counterfactual"}}')
    assert settled(capsys, "--config", "c.toml") == {"pairing": "counterfactual", "sensitive": "town"}
    flags = ("--config", "c.toml", "--set", "actions.attribute.sensitive=role")
    assert settled(capsys, *flags) == {"pairing": "counterfactual", "sensitive": "role"}
    assert settled(capsys, *flags, "--pairing", "matched", "--sensitive", "sex") == {
        "pairing": "matched",
        "sensitive": "sex",
    }


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--set", "actions.attribut.pairing=alone"], ("actions.attribut",)),
        (["--set", "actions.attribute.paring=alone"], ("'paring'", "'pairing'")),
        (["--set", "actions.attribute=alone"], ("configuration actions.attribute",)),
        (["--pairing", "random"], ("pairing", "alone", "counterfactual", "matched")),
        (["--set", "actions.attribute.pairing.x=1"], ("pairing",)),
    ],
)
def test_an_option_that_is_not_one(
    flags: list[str], words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    message = refusal(capsys, 2, "pretrain", "--plugin", "people-attribute", "--dry-run", "--json", *flags)
    assert all(word in message for word in words)


def test_flags_need_an_action_type_that_has_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    built_in("digits", "rotation")
    message = refusal(capsys, 2, "pretrain", "--plugin", "digits-rotation", "--dry-run", "--sensitive", "race")
    assert all(name in message for name in ("--sensitive", "digits-rotation", "(rotation)"))


def test_a_wrong_column_stops_before_a_run_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    start = ("pretrain", "--plugin", "people-attribute", "--out", "run", *TINY)
    assert "did you mean 'role'" in refusal(capsys, 2, *start, "--sensitive", "rôle")
    assert "holds numbers" in refusal(capsys, 2, *start, "--sensitive", "age")
    assert not Path("run").exists()


def test_a_run_keeps_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    start = ("pretrain", "--plugin", "people-attribute", "--out", "run", *TINY)
    outcome = command(capsys, *start, "--sensitive", "town", "--pairing", "alone")
    assert outcome.code == 0, outcome.err
    record = json.loads(Path("run/run.json").read_text())
    assert record["config"]["actions"] == {"attribute": {"pairing": "alone", "sensitive": "town"}}
    assert record["space"]["blocks"] == [{"name": "attribute", "width": 1}]
    (action,) = run_task(Run(Path("run"))).actions
    assert action.chosen.model_dump() == {"pairing": "alone", "sensitive": "town"}
    resume = ("pretrain", "--resume", "--out", "run")
    assert command(capsys, *resume, "--sensitive", "town").code == 0
    message = refusal(capsys, 2, *resume, "--pairing", "matched")
    assert all(name in message for name in ("actions.attribute.pairing", "alone", "matched"))
    assert "actions.other.x was None" in refusal(capsys, 2, *resume, "--set", "actions.other.x=1")


@pytest.mark.parametrize("pairing", ["alone", "counterfactual", "matched"])
def test_every_pairing_goes_the_whole_way(pairing: str, capsys: pytest.CaptureFixture[str]) -> None:
    start = ("pretrain", "--plugin", "people-attribute", "--out", "run", *TINY, "--pairing", pairing)
    assert command(capsys, *start).code == 0
    assert command(capsys, "context", "create", "--run", "run", "--action", "attribute").code == 0
    adapted = command(capsys, "adapt", "--run", "run", "--context", "ctx.h5", "--json")
    assert adapted.json["embeddings"] == [20, 8]


def test_a_profile_names_the_attribute_that_changes(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["prepare", "people"],
        ["pretrain", "--plugin", "people-attribute", "--out", "run", *TINY],
        ["context", "create", "--run", "run", "--action", "none"],
    ):
        assert command(capsys, *words).code == 0
    outcome = command(capsys, "adapt", "--context", "ctx.h5", "--run", "run", "--json")
    assert outcome.code == 0, outcome.err
    (row,) = outcome.json["profile"]
    assert (row["action"], row["target"]) == ("attribute", "sex")
    assert "sex" in row["verdict"]
