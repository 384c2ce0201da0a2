"""``contextssl reproduce`` on a tiny recipe: data, runs, probes and page; stopped and gone on with; bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.experiments import execute
from contextssl_cli.experiments.page import page_text
from contextssl_cli.plugin.registry import registry
from tests.cli.conftest import Command
from tests.cli.test_sweep import stop_at
from tests.places import built_in

SIZES = (
    'batch_size = 8, "model.width" = 16, "model.layers" = 1, "model.heads" = 2, "model.block_size" = 8, '
    '"model.feature_dim" = 8, "model.encoder_width" = 8, "model.aux_hidden" = 8'
)
RECIPE = """
title = "A tiny experiment"
summary = "Four models of three steps."
published_note = "The published figures are made up."

[[published]]
table = "methods"
source = "nowhere, table 0"
[published.figures]
"contextssl, rotation context" = { r2 = { rotation = 0.7449 } }
moco = { r2 = { rotation = 0.1239 }, adaptation_gap = 0.4569 }

[[demo]]
name = "small"
plugin = "digits-rotation-color"
seeds = [0, 1]
settings = { checkpoint_every = 1, @SIZES@ }
budget_minutes = 6
budget_from = "a guess"
memory_gib = 0.5
memory_from = "another guess"
probe = { metrics = ["r2", "top1"], action_probes = [], context_lengths = [0, 2] }
tables = ["methods", "lengths"]
retrieval = true
differs = "everything."
runs = [
    { method = "contextssl", steps = 3 },
    { method = "simclr", seeds = [0], steps = 4 },
    { method = "sie", equivariant = ["rotation"], steps = 3 },
    { method = "sie", equivariant = ["color"], steps = 3 },
]

[[demo]]
name = "masks"
plugin = "digits-rotation-color"
seeds = [0]
settings = { @SIZES@ }
budget_minutes = 6
budget_from = "a guess"
memory_gib = 0.5
memory_from = "another guess"
probe = { metrics = ["top1"], action_probes = [], context_lengths = [2] }
tables = ["sweep"]
differs = "everything."
runs = [{ method = "contextssl", steps = 2, vary = { context_mask = [0.0, 0.5] } }]

[[full]]
name = "adult"
plugin = "adult-gender"
seeds = [0]
budget_minutes = 30
budget_from = "a guess"
memory_gib = 2
memory_from = "another guess"
differs = "nothing."
runs = [{ steps = 1000 }, { name = "longer", steps = 2000 }]
""".replace("@SIZES@", SIZES)


@pytest.fixture(autouse=True)
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny recipe, as if a plugin had brought it."""
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    monkeypatch.setattr(registry(), "recipes", {"tiny": path})
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reproduced") / "tiny"


@pytest.fixture
def done(folder: Path, cli: Command) -> Path:
    """The folder of the experiment; the first test that asks for it runs it."""
    if not folder.exists():
        outcome = cli("reproduce", "tiny", "--out", folder)
        assert outcome.code == 0, outcome.err
    return folder


def test_fewer_seeds_are_a_part_of_the_same_runs(done: Path, cli: Command, tmp_path: Path) -> None:
    outcome = cli("reproduce", "tiny", "--out", tmp_path / "one", "--runs", done, "--only", "small", "--limit-seeds", 1)
    assert outcome.code == 0, outcome.err
    assert "begins" not in outcome.err
    points = results(tmp_path / "one")["parts"][0]["points"]
    assert {point["label"]: len(point["seconds"]) for point in points}["contextssl"] == 1
    left_out = ["contextssl (seed 1)", "sie, given rotation (seed 1)", "sie, given color (seed 1)"]
    assert f"Left out by --limit-seeds: {', '.join(left_out)}." in (tmp_path / "one" / "page.md").read_text()
    assert "Left out" not in (done / "page.md").read_text()
    assert len(results(done)["parts"][0]["points"][0]["seconds"]) == 2


@pytest.mark.parametrize(
    "held",
    [
        '{"task": "digits-rotation"}',
        '{"name": "tiny", "scale": "demo", "parts": [7]}',
        '{"name": "tiny", "scale": "demo", "parts": [{"study": {}}]}',
        '{"name": "other", "scale": "demo", "parts": []}',
        "[1]",
    ],
)
def test_another_file_in_the_place_of_the_results_is_told_before_anything_is_done(
    held: str, fails: Command, recipe: Path, workplace: Path
) -> None:
    (workplace / "held").mkdir()
    (workplace / "held" / "plan.json").write_text('{"recipe": "tiny", "scale": "demo"}')
    (workplace / "held" / "results.json").write_text(held)
    fails(4, ("results.json",), "reproduce", "tiny", "--out", "held")
    assert not (workplace / "held" / "small").exists()


def results(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text())


def table_rows(part: Any) -> dict[str, dict[tuple[str, str], Any]]:
    """The rows of a study's first table by label; their cells by metric and target."""
    table = part["tables"][0]
    keys = [(column["metric"], column["target"]) for column in table["columns"]]
    return {
        row["labels"][0]: {key: cell for key, cell in zip(keys, row["cells"], strict=True) if cell}
        for row in table["rows"]
    }


def test_the_page_puts_our_figures_beside_the_published_ones(done: Path) -> None:
    page = (done / "page.md").read_text()
    assert page == page_text(results(done))
    small = results(done)["parts"][0]
    rows = table_rows(small)
    assert list(rows) == [
        "contextssl, encoder", "contextssl, no context", "contextssl, rotation context", "contextssl, color context",
        "simclr", "sie, given rotation", "sie, given color",
    ]  # fmt: skip
    line = next(text for text in page.splitlines() if text.startswith("| contextssl, rotation context |"))
    cell = rows["contextssl, rotation context"]["r2", "rotation"]
    assert f"| {cell['mean']:.3f} ± {cell['std']:.3f} | 0.745 |" in line
    assert "| moco |" in page
    assert "0.457" in page
    for told in (
        "nowhere, table 0",
        "Budget: 6 minutes a run (a guess)",
        "What differs from the paper: everything.",
        "The published figures are made up.",
        "| 0, 1 | 3 steps | 8 |",
    ):
        assert told in page
    for name in small["figures"]:
        assert (done / name).stat().st_size > 1000
    assert "small-retrieval.png" in small["figures"]


def test_the_gaps_are_the_models_own_and_those_between_models(done: Path) -> None:
    points = {point["label"]: point for point in results(done)["parts"][0]["points"]}
    r2 = {
        told: {row["target"]: max(0.0, row["mean"]) for row in points[f"sie, given {told}"]["report"]["results"]
               if row["metric"] == "r2" and row["environment"] == "encoder"}
        for told in ("rotation", "color")
    }  # fmt: skip
    gap = sum(r2[own][own] - r2[other][own] for own, other in (("rotation", "color"), ("color", "rotation")))
    cell = table_rows(results(done)["parts"][0])["sie, given color"]["adaptation_gap", ""]
    assert cell["mean"] == pytest.approx(gap)
    assert cell["runs"] == 2
    assert points["simclr"]["adaptation_gaps"] == []
    assert points["contextssl"]["adaptation_gaps"] == points["contextssl"]["report"]["adaptation_gaps"]


def test_the_runs_are_those_of_the_recipe_and_tell_their_time(done: Path) -> None:
    points = {point["label"]: point for point in results(done)["parts"][0]["points"]}
    configs = {label: [run["config"] for run in p["report"]["protocol"]["runs"]] for label, p in points.items()}
    assert [(c["steps"], c["seed"]) for c in configs["simclr"]] == [(4, 0)]
    assert [(c["equivariant"], c["seed"]) for c in configs["sie, given color"]] == [(["color"], 0), (["color"], 1)]
    for spent in ("seconds", "processor_seconds"):
        assert all(seconds > 0 for point in points.values() for seconds in point[spent])


def test_a_second_call_trains_nothing_and_gives_the_same(done: Path, cli: Command) -> None:
    before = results(done)
    outcome = cli("reproduce", "tiny", "--out", done, "--json")
    assert outcome.code == 0
    assert outcome.err.count("done before") == 9
    assert "encoding" not in outcome.err
    assert outcome.json["parts"] == before["parts"] == results(done)["parts"]


def test_one_part_leaves_the_results_of_the_others(done: Path, cli: Command) -> None:
    before = results(done)["parts"]
    outcome = cli("reproduce", "tiny", "--out", done, "--only", "masks")
    assert outcome.code == 0
    assert "small/" not in outcome.err
    assert results(done)["parts"] == before


def test_fewer_seeds_of_one_part_leave_the_results_of_the_others(done: Path, cli: Command, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "part")
    outcome = cli("reproduce", "tiny", "--out", tmp_path / "part", "--only", "masks", "--limit-seeds", 1)
    assert outcome.code == 0, outcome.err
    assert results(tmp_path / "part")["parts"][0] == results(done)["parts"][0]
    assert results(tmp_path / "part")["not_run"] == []


def test_a_stopped_experiment_goes_on_and_another_may_share_its_runs(
    cli: Command, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["reproduce", "tiny", "--only", "masks"]
    with monkeypatch.context() as patch:
        patch.setattr(execute, "training_progress", stop_at(1))
        assert cli(*command, "--out", "one").code == 130
    assert cli(*command, "--out", "one").code == 0
    assert results(workplace / "one")["not_run"] == ["small"]
    outcome = cli(*command, "--out", "two", "--runs", "one")
    assert outcome.err.count("done before") == 2
    assert results(workplace / "two")["parts"][0]["tables"] == results(workplace / "one")["parts"][0]["tables"]


def test_without_training_the_page_has_what_is_done_and_names_the_rest(
    done: Path, cli: Command, tmp_path: Path
) -> None:
    shutil.copytree(done, tmp_path / "part")
    shutil.rmtree(tmp_path / "part/small/runs/sie,given=color")
    shutil.rmtree(tmp_path / "part/small/runs/contextssl/seed-1")
    outcome = cli("reproduce", "tiny", "--out", tmp_path / "part", "--only", "small", "--no-train")
    assert outcome.code == 0, outcome.err
    small = results(tmp_path / "part")["parts"][0]
    rows = table_rows(small)
    assert "sie, given color" not in rows
    assert ("adaptation_gap", "") not in rows["sie, given rotation"]
    whole = results(done)["parts"][0]
    assert rows["simclr"] == table_rows(whole)["simclr"]
    assert small["not_trained"] == ["contextssl (seed 1)", "sie, given color (seed 0)", "sie, given color (seed 1)"]
    assert whole["not_trained"] == []
    told = "Not trained yet: contextssl (seed 1), sie, given color (seed 0), sie, given color (seed 1)."
    assert told in (tmp_path / "part/page.md").read_text()
    assert not (tmp_path / "part/small/runs/sie,given=color").exists()


def test_shares_train_every_run_once_and_the_page_comes_last(done: Path, cli: Command, workplace: Path) -> None:
    command = ["reproduce", "tiny", "--only", "small", "--out", "shared"]
    plans = [cli(*command, "--share", f"{number}/3", "--dry-run", "--json").json["runs"] for number in (1, 2, 3)]
    assert [len(plan) for plan in plans] == [3, 2, 2]
    assert len({(row["point"], row["seed"]) for plan in plans for row in plan}) == 7
    first = cli(*command, "--share", "1/3")
    assert first.code == 0, first.err
    assert first.err.count("begins") == 3
    assert "share 1/3" in first.out
    assert first.out.strip().endswith(": 4")
    assert [path.name for path in Path("shared").iterdir() if path.is_file()] == ["plan.json"]
    second = cli(*command, "--share", "2/3", "--json")
    assert second.json == {"share": "2/3", "not_trained": 2}
    last = cli(*command, "--share", "3/3")
    assert last.err.count("begins") == 2
    assert "leave out --share" in last.out
    outcome = cli(*command)
    assert outcome.code == 0
    assert "begins" not in outcome.err
    assert results(workplace / "shared")["parts"][0]["tables"] == results(done)["parts"][0]["tables"]


def test_without_training_and_without_a_run_there_is_no_page(cli: Command, workplace: Path) -> None:
    outcome = cli("reproduce", "tiny", "--out", "nothing", "--no-train")
    assert outcome.code == 2
    assert "no run of tiny is done yet" in outcome.err
    assert not Path("nothing").exists()


def test_the_plan_tells_data_runs_hours_and_memory(done: Path, cli: Command, cli_home: Path) -> None:
    plan = cli("reproduce", "tiny", "--out", done, "--dry-run", "--json").json
    assert {row["state"] for row in plan["runs"]} == {"done"}
    assert plan["hours_left"] == 0
    fresh = cli("reproduce", "tiny", "--out", "fresh", "--dry-run", "--json").json
    assert {row["state"] for row in fresh["runs"]} == {"missing"}
    assert fresh["hours_left"] == pytest.approx(9 * 6 / 60)
    assert [(row["dataset"], row["state"]) for row in fresh["data"]] == [("digits", "prepared")] * 2
    assert not Path("fresh").exists()


def test_the_plan_of_what_is_not_here_can_be_read(cli: Command) -> None:
    built_in("adult", "gender")
    outcome = cli("reproduce", "tiny", "--scale", "full", "--dry-run")
    assert outcome.code == 0
    for told in ("missing", "1000", "longer", "1.0 of 1.0 hours", "2 GiB (another guess)"):
        assert told in outcome.out


@pytest.mark.parametrize(
    ("code", "words", "arguments"),
    [
        (2, "did you mean 'tiny'", ["tinny"]),
        (2, ("--only smal", "did you mean 'small'?"), ["tiny", "--only", "smal"]),
        (2, "expected DATASET=PATH", ["tiny", "--source", "adult"]),
        (2, "names adult twice", ["tiny", "--source", "adult=.", "--source", "adult=."]),
        (2, "--share 4/3: expected I/N", ["tiny", "--share", "4/3"]),
        (2, ("--share half", "I/N"), ["tiny", "--share", "half"]),
        (2, "--no-train", ["tiny", "--share", "1/2", "--no-train"]),
        (2, "--share", ["tiny", "--share", ""]),
        (2, ("tiny", "adult=nowhere"), ["tiny", "--source", "adult=nowhere"]),
        (3, "does not exist", ["tiny", "--source", "digits=nowhere"]),
        (3, "adult.data", ["tiny", "--scale", "full", "--source", "adult=."]),
    ],
)
def test_what_cannot_be_reproduced_is_refused(
    fails: Command, code: int, words: str | tuple[str, ...], arguments: list[str]
) -> None:
    fails(code, words, "reproduce", *arguments)


def test_the_folder_of_another_experiment_is_refused(done: Path, fails: Command, recipe: Path) -> None:
    registry().recipes["other"] = recipe
    fails(2, ("tiny --scale demo", "other --scale demo"), "reproduce", "other", "--out", done)
    recipe.write_text(RECIPE.replace("batch_size = 8", "batch_size = 16"))
    fails(2, "batch_size = 8, not 16", "reproduce", "tiny", "--out", done)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('title = "A', 'titel = "A', "titel"),
        ("budget_minutes = 6", "budget_minutes = 0", "demo.0.budget_minutes"),
        ('tables = ["sweep"]', 'tables = ["swept"]', "demo.1.tables.0"),
        ('name = "masks"', 'name = "small"', "two studies of a scale are called small"),
        ("seeds = [0, 1]", "seeds = [1, 1]", "a seed is named twice"),
        ("runs = [{ steps = 1000 }", "runs = [{ steps = 1000 }, { steps = 5 }", "two runs of one name"),
        ("[[demo]]", "[[demo]", "not valid TOML"),
        ('source = "nowhere, table 0"', 'source = "x"\nstudies = ["smal"]', "did you mean 'small'?"),
        ("vary = { context_mask", "vary = { seed", "have keys of their own"),
    ],
)
def test_a_broken_recipe_is_told_by_its_key(fails: Command, recipe: Path, old: str, new: str, words: str) -> None:
    assert old in RECIPE
    recipe.write_text(RECIPE.replace(old, new))
    fails(4, words, "reproduce", "tiny", "--scale", "full" if "steps = 1000" in old else "demo", "--dry-run")


def test_without_recipes_that_is_said(fails: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry(), "recipes", {})
    fails(2, "figure3", "reproduce", "figure3")
