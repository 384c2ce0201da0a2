"""``contextssl reproduce --measured``: figures of runs that are not here stand for them, or are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.plugin.registry import registry
from tests.cli.conftest import Command
from tests.cli.test_reproduce import RECIPE, results

PLAIN = RECIPE.replace("retrieval = true\n", "")
ALL = [
    "contextssl (seed 0)", "contextssl (seed 1)", "simclr (seed 0)", "sie, told rotation (seed 0)",
    "sie, told rotation (seed 1)", "sie, told color (seed 0)", "sie, told color (seed 1)",
]  # fmt: skip


@pytest.fixture(autouse=True)
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny recipe, without the picture that needs its runs."""
    path = tmp_path / "tiny.toml"
    path.write_text(PLAIN)
    monkeypatch.setattr(registry(), "recipes", {"tiny": path})
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("measured") / "tiny"


@pytest.fixture
def there(folder: Path, cli: Command) -> Path:
    """The folder of the experiment on the other machine; the first test that asks for it runs it."""
    if not folder.exists():
        outcome = cli("reproduce", "tiny", "--only", "small", "--out", folder)
        assert outcome.code == 0, outcome.err
    return folder


def small(folder: Path) -> Any:
    return results(folder)["parts"][0]


def test_figures_alone_make_the_same_tables(there: Path, cli: Command, workplace: Path) -> None:
    outcome = cli("reproduce", "tiny", "--only", "small", "--out", "here", "--measured", there / "results.json")
    assert outcome.code == 0, outcome.err
    assert "7 runs were measured elsewhere" in outcome.err
    assert "begins" not in outcome.err
    here, whole = small(workplace / "here"), small(there)
    assert here["tables"] == whole["tables"]
    assert [point["gaps"] for point in here["points"]] == [point["gaps"] for point in whole["points"]]
    for spent in ("seconds", "processor_seconds"):
        assert [point[spent] for point in here["points"]] == [point[spent] for point in whole["points"]]
    assert here["figures"] == whole["figures"]
    assert here["measured_elsewhere"] == ALL
    assert whole["measured_elsewhere"] == []
    page = (workplace / "here/page.md").read_text()
    assert f"Measured elsewhere, and taken from there: {', '.join(ALL)}." in page
    assert "whose content is" not in page
    again = cli("reproduce", "tiny", "--only", "small", "--out", "again", "--measured", "here/results.json")
    assert again.code == 0
    assert small(workplace / "again")["tables"] == whole["tables"]


def test_seeds_of_two_machines_make_one_table(there: Path, cli: Command, workplace: Path) -> None:
    shutil.copytree(there / "small", "here/small")
    for run in Path("here/small/runs").glob("*/seed-0"):
        shutil.rmtree(run)
    first = cli("reproduce", "tiny", "--only", "small", "--out", "one", "--runs", there, "--limit-seeds", 1)
    assert first.code == 0
    command = ["reproduce", "tiny", "--only", "small", "--out", "both", "--runs", "here"]
    lacking = cli(*command, "--no-train", "--dry-run", "--json")
    assert [row["state"] for row in lacking.json["runs"]].count("missing") == 4
    plan = cli(*command, "--measured", "one/results.json", "--dry-run", "--json")
    assert {row["state"] for row in plan.json["runs"]} == {"done", "measured elsewhere"}
    assert plan.json["hours left"] == 0
    outcome = cli(*command, "--measured", "one/results.json")
    assert outcome.code == 0, outcome.err
    assert "begins" not in outcome.err
    assert small(workplace / "both")["tables"] == small(there)["tables"]
    assert small(workplace / "both")["measured_elsewhere"] == [name for name in ALL if "seed 0" in name]


def test_the_file_that_fits_counts(there: Path, cli: Command, workplace: Path) -> None:
    def other_rate(found: Any) -> None:
        for point in found["parts"][0]["points"]:
            for run in point["report"]["protocol"]["runs"]:
                run["config"]["lr"] = 0.5

    files = ["--measured", write(there, other_rate), "--measured", there / "results.json"]
    plan = cli("reproduce", "tiny", "--only", "small", "--out", "new", *files, "--dry-run", "--json")
    assert {row["state"] for row in plan.json["runs"]} == {"measured elsewhere"}


def test_without_the_data_the_page_is_made_of_the_file(
    there: Path, cli: Command, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTEXTSSL_HOME", str(workplace / "empty"))
    command = ["reproduce", "tiny", "--only", "small", "--out", "new", "--measured", there / "results.json"]
    plan = cli(*command, "--dry-run", "--json")
    assert {row["state"] for row in plan.json["runs"]} == {"measured elsewhere"}
    outcome = cli(*command, "--no-train")
    assert outcome.code == 0, outcome.err
    new, old = small(workplace / "new"), small(there)
    assert new["tables"] == old["tables"]
    assert new["measured_elsewhere"] == ALL
    assert new["store"] == old["store"] | {"path": None}
    assert not (workplace / "empty/stores").exists()


def test_runs_that_are_here_need_their_data(
    there: Path, cli: Command, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTEXTSSL_HOME", str(workplace / "empty"))
    shutil.copytree(there, "here")
    outcome = cli("reproduce", "tiny", "--only", "small", "--out", "here", "--no-train")
    assert outcome.code == 2
    assert "their data are not prepared: contextssl prepare digits" in " ".join(outcome.err.split())


def test_a_run_that_is_not_asked_for_is_named(there: Path, cli: Command, workplace: Path, recipe: Path) -> None:
    recipe.write_text(PLAIN.replace('method = "simclr"', 'name = "plain", method = "simclr"'))
    outcome = cli("reproduce", "tiny", "--only", "small", "--out", "new", "--measured", there / "results.json",
                  "--no-train")  # fmt: skip
    assert outcome.code == 0
    assert "simclr (seed 0): not taken: no such run is asked for" in " ".join(outcome.err.split())


def test_runs_that_are_here_are_measured_here(there: Path, cli: Command, workplace: Path) -> None:
    outcome = cli(
        "reproduce", "tiny", "--only", "small", "--out", "own", "--runs", there, "--measured", there / "results.json"
    )
    assert outcome.code == 0
    assert small(workplace / "own")["measured_elsewhere"] == []


def write(there: Path, change: Callable[[Any], None]) -> Path:
    """A changed copy of the other machine's file."""
    found = results(there)
    change(found)
    path = Path("changed.json")
    path.write_text(json.dumps(found))
    return path


def other_content(found: Any) -> None:
    for point in found["parts"][0]["points"][:2]:
        for run in point["report"]["protocol"]["runs"]:
            run["store_hash"] = "0123456789abcdef"
            run["versions"] |= {"torch": "1.0", "platform": "another"}


def test_data_of_other_content_and_other_versions_are_named(there: Path, cli: Command, workplace: Path) -> None:
    path = write(there, other_content)
    assert cli("reproduce", "tiny", "--only", "small", "--out", "new", "--measured", path).code == 0
    page = (workplace / "new/page.md").read_text()
    assert f"whose content is 0123456789ab: {', '.join(ALL[:3])}." in page
    assert f"By torch 1.0: {', '.join(ALL[:3])}." in page


def forget_values(found: Any) -> None:
    for point in found["parts"][0]["points"]:
        for row in point["report"]["results"]:
            del row["values"]


def test_means_of_an_earlier_version_are_not_taken_but_single_runs_are(
    there: Path, cli: Command, workplace: Path
) -> None:
    path = write(there, forget_values)
    outcome = cli("reproduce", "tiny", "--only", "small", "--out", "new", "--measured", path, "--no-train")
    assert outcome.code == 0
    assert "contextssl: 2 runs not taken: only means over the seeds were kept" in " ".join(outcome.err.split())
    assert small(workplace / "new")["measured_elsewhere"] == ["simclr (seed 0)"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("batch_size = 8", "batch_size = 16", "it was trained with batch_size = 8, not 16"),
        ("context_lengths = [0, 2]", "context_lengths = [0]", "its probes had context_lengths = (0, 2), not (0,)"),
        ('plugin = "digits-rotation-color"\nseeds = [0, 1]', 'plugin = "digits-color-rotation"\nseeds = [0, 1]',
         "it is of digits-rotation-color, not of digits-color-rotation"),
    ],
)  # fmt: skip
def test_what_is_not_of_the_recipe_is_not_taken(
    there: Path, cli: Command, workplace: Path, recipe: Path, old: str, new: str, words: str
) -> None:
    assert old in PLAIN
    recipe.write_text(PLAIN.replace(old, new))
    outcome = cli("reproduce", "tiny", "--only", "small", "--out", "new", "--measured", there / "results.json",
                  "--no-train")  # fmt: skip
    assert words in " ".join(outcome.err.split())
    assert outcome.code == 2
    assert "no run of tiny is done yet" in outcome.err


def no_seconds(found: Any) -> None:
    found["parts"][0]["points"][0]["seconds"] = [1.0]


def no_tables(found: Any) -> None:
    del found["parts"][0]["store"]


def no_seed(found: Any) -> None:
    del found["parts"][0]["points"][0]["report"]["protocol"]["runs"][0]["config"]["seed"]


def one_seed_twice(found: Any) -> None:
    found["parts"][0]["points"][0]["report"]["protocol"]["runs"][1]["config"]["seed"] = 0


def lost_gap(found: Any) -> None:
    found["parts"][0]["points"][0]["report"]["adaptation_gaps"].pop()


def a_value_too_many(found: Any) -> None:
    found["parts"][0]["points"][0]["report"]["results"][0]["values"].append(0.5)


def no_r2(found: Any) -> None:
    report = found["parts"][0]["points"][2]["report"]
    report["results"] = [row for row in report["results"] if row["metric"] != "r2"]


def fewer_samples(found: Any) -> None:
    found["parts"][0]["store"]["train"] = 7


def odd_config(found: Any) -> None:
    found["parts"][0]["points"][0]["report"]["protocol"]["runs"][0]["config"]["steps"] = -1


def other_name(found: Any) -> None:
    found["name"] = "other"


@pytest.mark.parametrize(
    ("code", "words", "change"),
    [
        (4, "a run without seconds", no_seconds),
        (4, "parts.0.store", no_tables),
        (4, "contextssl: steps", odd_config),
        (4, "contextssl: seed", no_seed),
        (4, "a seed stands twice", one_seed_twice),
        (4, "a run without an adaptation gap", lost_gap),
        (4, "not one value for each run", a_value_too_many),
        (4, "sie, told rotation: an R2 is missing", no_r2),
        (2, "it holds other --scale demo, not tiny --scale demo", other_name),
    ],
)
def test_a_file_that_cannot_stand_for_runs_is_refused(
    there: Path, fails: Command, workplace: Path, code: int, words: str, change: Callable[[Any], None]
) -> None:
    fails(code, words, "reproduce", "tiny", "--out", "new", "--measured", write(there, change))
    assert not Path("new").exists()


def test_data_of_another_size_are_other_data(there: Path, cli: Command, workplace: Path) -> None:
    outcome = cli("reproduce", "tiny", "--only", "small", "--out", "new", "--no-train",
                  "--measured", write(there, fewer_samples))  # fmt: skip
    assert outcome.code == 2
    assert "its data have 7 training and 360 test samples, not 1437 training" in " ".join(outcome.err.split())


def test_a_missing_file_and_a_part_that_needs_its_runs_are_refused(
    there: Path, fails: Command, recipe: Path, workplace: Path
) -> None:
    fails(3, "nowhere.json", "reproduce", "tiny", "--measured", "nowhere.json")
    fails(3, "it is a folder; name its results.json", "reproduce", "tiny", "--measured", there)
    recipe.write_text(RECIPE)
    fails(2, "small makes a picture of neighbours of the runs themselves",
          "reproduce", "tiny", "--measured", there / "results.json")  # fmt: skip
