"""``adapt`` with a guard, and with labels to choose by: through the command, with every misuse."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
from torch import Tensor

from contextssl_cli.adaptation.context_encoder import ContextEncoder
from contextssl_cli.adaptation.guard import Guard
from contextssl_cli.store.context import Context
from contextssl_cli.store.dataset import Store
from tests.cli.conftest import TINY, Command, Made

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "selection.py"
BOTH = ["--context", "color.h5", "--context", "CONTEXT"]


@pytest.fixture
def color(cli: Command, made: Made) -> Path:
    assert cli("context", "create", "--run", made.run, "--action", "color", "--out", "color.h5").code == 0
    return Path("color.h5")


@pytest.fixture
def few(made: Made) -> Path:
    labels = Store(made.store).test.labels("digit")
    rows = [int(row) for digit in (0, 1) for row in np.flatnonzero(labels == digit)[:5]]
    Path("few.csv").write_text("row,label\n" + "".join(f"{row},{labels[row]}\n" for row in rows))
    return Path("few.csv")


def test_a_guard_is_recorded_with_its_profile(cli: Command, made: Made) -> None:
    outcome = cli("adapt", "--context", made.context, "--guard", "color")
    assert outcome.code == 0, outcome.err
    assert "Guard against color, by 3 pairs of views: " in outcome.out
    with h5py.File("embeddings.h5") as file:
        about = json.loads(file.attrs["about"])
        lengths = np.linalg.norm(file["embeddings"][:], axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)
    assert about["guard"]["action"] == "color"
    rows = {(row["metric"], row["target"]): row for row in about["guard"]["profile"]}
    assert rows.keys() == {("r2", "color"), ("accuracy", "digit")}
    assert {row["probe"].split(" (")[0] for row in about["guard"]["profile"]} >= {"ridge", "MLP 64"}


def test_a_guard_that_leaves_nothing_says_so(cli: Command, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["adapt", "--context", made.context, "--guard", "color"]
    assert "leaves no direction" not in cli(*command).err
    monkeypatch.setattr(Guard, "fit", partial(Guard.fit, threshold=-1))
    outcome = cli(*command)
    assert outcome.code == 0
    assert "warning: the guard of color leaves no direction" in outcome.err


def test_a_guard_that_has_nothing_to_go_by_says_so(cli: Command, made: Made) -> None:
    shutil.copy(made.context, "still.h5")
    with h5py.File("still.h5", "r+") as file:
        views = file["changes/color"]
        views[:, 1] = views[:, 0]
    outcome = cli("adapt", "--context", "still.h5", "--guard", "color")
    assert outcome.code == 0, outcome.err
    assert "warning: the guard of color removes nothing" in outcome.err


def test_a_context_of_another_run_is_read_with_a_warning(cli: Command, made: Made) -> None:
    other = [*TINY, "--seed", "1"]
    assert cli("pretrain", "--plugin", "digits-rotation-color", "--out", "other", *other).code == 0
    for run, warned in ((made.run, False), ("other", True)):
        outcome = cli("adapt", "--context", made.context, "--run", run, "--dry-run")
        assert outcome.code == 0, outcome.err
        assert ("was made for another run" in outcome.err) == warned


def test_a_context_that_does_not_fit_is_named_with_the_run(fails: Command, made: Made, color: Path) -> None:
    words = ("color.h5", "does not fit the run", str(made.newer))
    fails(4, words, "adapt", "--context", color, "--run", made.newer)


@pytest.mark.parametrize(("guard", "words"), [("rotation", "the context shows rotation"), ("colr", "'color'")])
def test_what_cannot_be_guarded(fails: Command, made: Made, guard: str, words: str) -> None:
    fails(2, words, "adapt", "--context", made.context, "--guard", guard, "--out", "e.h5")


def test_the_context_is_chosen_by_labels(cli: Command, made: Made, color: Path, few: Path) -> None:
    outcome = cli("adapt", "--context", made.context, "--context", color, "--labels", few, "--json")
    assert outcome.code == 0, outcome.err
    selection = outcome.json["selection"]
    assert selection["labels"] == 10
    assert {candidate["name"] for candidate in selection["candidates"]} == {str(made.context), "color.h5"}
    chosen = {str(made.context): "rotation", "color.h5": "color"}[selection["chosen"]]
    assert outcome.json["environment"] == chosen
    text = cli("adapt", "--context", made.context, "--context", color, "--labels", few)
    assert selection["reason"] in text.out


def test_a_bound_is_printed_with_its_error(cli: Command, made: Made, color: Path, few: Path) -> None:
    header, *lines = few.read_text().splitlines()
    grouped = [f"{line},{'xy'[number % 2]}" for number, line in enumerate(lines)]
    Path("grouped.csv").write_text("\n".join([f"{header},group", *grouped]) + "\n")
    command = [
        "adapt",
        "--context",
        made.context,
        "--context",
        color,
        "--labels",
        "grouped.csv",
        "--at-most",
        "group=1",
    ]
    outcome = cli(*command, "--json")
    assert outcome.code == 0, outcome.err
    first = outcome.json["selection"]["candidates"][0]
    assert 0 <= first["bounds"]["group"] <= 1
    assert f"{first['bounds']['group']:.3f} ± {first['bound_errors']['group']:.3f}" in cli(*command).out


def test_the_benchmark_counts_every_draw(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("selection.json").write_text('{"adult": 1}')
    flags = ["--draws", "2", "--labels", "2", "--bins", "2", "--out", "selection.json"]
    monkeypatch.setattr(sys, "argv", [str(BENCHMARK), str(made.run), *flags])
    runpy.run_path(str(BENCHMARK), run_name="__main__")
    values = json.loads(Path("selection.json").read_text())
    assert values["adult"] == 1  # the part of another benchmark
    (run,) = values["digits"]["runs"]
    assert run["counts"].keys() == {"two", "all"}
    for counts in run["counts"]["all"].values():
        assert counts["rotation"] + counts["color"] + counts["no context"] == 2


def test_all_environments_and_no_context_are_candidates(cli: Command, made: Made, few: Path) -> None:
    outcome = cli("adapt", "--candidates", "all", "--run", made.run, "--labels", few, "--json")
    assert outcome.code == 0, outcome.err
    names = {candidate["name"] for candidate in outcome.json["selection"]["candidates"]}
    assert names == {"rotation", "color", "no context"}


def test_an_environment_that_a_file_shows_with_the_same_pairs_is_no_second_candidate(
    cli: Command, made: Made, color: Path, few: Path
) -> None:
    outcome = cli("adapt", "--context", color, "--candidates", "all", "--labels", few, "--json")
    assert outcome.code == 0, outcome.err
    names = {candidate["name"] for candidate in outcome.json["selection"]["candidates"]}
    assert names == {str(color), "rotation", "no context"}


@pytest.mark.filterwarnings("ignore:the context has 6 pairs")
def test_nor_is_one_that_the_model_reads_in_a_longer_file(cli: Command, made: Made, color: Path, few: Path) -> None:
    short = Context.load(color)
    twice = {name: np.concatenate([block, block]) for name, block in short.actions.items()}
    longer = replace(short, x=np.concatenate([short.x] * 2), y=np.concatenate([short.y] * 2), actions=twice)
    longer.save(Path("long.h5"))
    outcome = cli("adapt", "--context", "long.h5", "--candidates", "all", "--labels", few, "--json")
    assert outcome.code == 0, outcome.err
    names = {candidate["name"] for candidate in outcome.json["selection"]["candidates"]}
    assert names == {"long.h5", "rotation", "no context"}


@pytest.mark.parametrize(
    ("code", "words", "arguments"),
    [
        (2, "name one --context", []),
        (2, "name one --context", BOTH),
        (2, "name one --context", ["--candidates", "all", "--run", "RUN"]),
        (2, "expected all", ["--candidates", "some", "--labels", "few.csv"]),
        (2, "nothing to choose from", ["--context", "color.h5", "--labels", "few.csv"]),
        (2, "named twice", ["--context", "color.h5", "--context", "color.h5", "--labels", "few.csv"]),
        (2, "copy.h5",
         ["--context", "color.h5", "--context", "copy.h5", "--labels", "few.csv"]),
        (2, "expected NAME=NUMBER", [*BOTH, "--labels", "few.csv", "--at-most", "x"]),
        (2, "names group twice: 0.1 and 0.9",
         [*BOTH, "--labels", "grouped.csv", "--at-most", "group=0.1", "--at-most", "group=0.9"]),
        (2, "'sex'", [*BOTH, "--labels", "few.csv", "--at-most", "sex=0.5"]),
        (3, "no.csv", [*BOTH, "--labels", "no.csv"]),
        (3, "no.csv", [*BOTH, "--labels", "no.csv", "--dry-run"]),
        (2, "all labels are 0", [*BOTH, "--labels", "same.csv", "--dry-run"]),
        (4, "row '360'", [*BOTH, "--labels", "bad.csv"]),
        (2, "the class 1 has one label", [*BOTH, "--labels", "single.csv"]),
        (2, "all labels are 0", [*BOTH, "--labels", "same.csv"]),
        (2, "no candidate meets the bounds", [*BOTH, "--labels", "grouped.csv", "--at-most", "group=0"]),
        (2, "1 of y", [*BOTH, "--labels", "lonely.csv", "--at-most", "group=0.9"]),
        (2, ("equal-opportunity", "class 1"),
         [*BOTH, "--labels", "lonely.csv", "--at-most", "equal-opportunity=0.1"]),
    ],
)  # fmt: skip
def test_misuse(
    fails: Command, made: Made, color: Path, few: Path, code: int, words: str, arguments: list[str]
) -> None:
    Path("copy.h5").write_bytes(color.read_bytes())
    Path("bad.csv").write_text("row,label\n360,1\n")
    Path("single.csv").write_text("row,label\n0,0\n1,0\n2,1\n")
    Path("same.csv").write_text("row,label\n0,0\n1,0\n")
    halves = [f"{row},{row % 2}" for row in range(20)]
    Path("grouped.csv").write_text(
        "row,label,group\n" + "".join(f"{h},{'xxyy'[n % 4]}\n" for n, h in enumerate(halves))
    )
    Path("lonely.csv").write_text("row,label,group\n0,0,y\n" + "".join(f"{half},x\n" for half in halves[1:]))
    names = {"CONTEXT": str(made.context), "RUN": str(made.run)}
    fails(code, words, "adapt", *(names.get(part, part) for part in arguments), "--out", "e.h5")


def test_what_a_guard_cannot_be_fitted_to_is_no_candidate(cli: Command, fails: Command, made: Made, few: Path) -> None:
    arguments = ["adapt", "--candidates", "all", "--run", made.run, "--labels", few, "--guard", "color", "--dry-run"]
    fails(2, "nothing to choose from", *arguments)
    other = ["--run", made.run, "--action", "rotation", "--seed", "1", "--out", "other.h5"]
    assert cli("context", "create", *other).code == 0
    outcome = cli(*arguments, "--context", "other.h5")
    assert outcome.code == 0, outcome.err
    assert "candidates are the contexts that zero color" in outcome.err
    assert "under other.h5 or rotation into" in outcome.out.replace("\n", " ")


def test_candidates_are_judged_by_what_the_guard_leaves(
    cli: Command, fails: Command, made: Made, color: Path, few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ["--run", made.run, "--action", "rotation", "--seed", "1", "--out", "other.h5"]
    assert cli("context", "create", *other).code == 0
    guards: list[Guard | None] = []
    embed = ContextEncoder.embed_features

    def embed_features(encoder: ContextEncoder, features: Tensor) -> np.ndarray:
        guards.append(encoder.guard_)
        return embed(encoder, features)

    monkeypatch.setattr(ContextEncoder, "embed_features", embed_features)
    arguments = ["adapt", "--context", made.context, "--context", "other.h5", "--labels", few, "--guard", "color"]
    outcome = cli(*arguments)
    assert outcome.code == 0, outcome.err
    assert len(guards) >= 3  # each candidate, and batches of the chosen one's embeddings
    assert all(guards)
    fails(2, ("color.h5", "--guard color"), *arguments, "--context", color)


def test_a_context_of_another_run_is_no_candidate(
    cli: Command, fails: Command, made: Made, color: Path, few: Path
) -> None:
    other = [*TINY, "--seed", "1"]
    assert cli("pretrain", "--plugin", "digits-rotation-color", "--out", "other", *other).code == 0
    assert cli("context", "create", "--run", "other", "--action", "rotation", "--out", "foreign.h5").code == 0
    contexts = ["--context", color, "--context", "foreign.h5"]
    fails(2, "foreign.h5 was made for another run", "adapt", *contexts, "--labels", few, "--out", "e.h5")
