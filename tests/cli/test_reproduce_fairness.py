"""``contextssl reproduce`` with a fairness table: the whole table from a small file, on runs that it trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from contextssl_cli.experiments import fairness
from contextssl_cli.plugin.registry import registry
from contextssl_cli.report.probe_tables import study_fairness_tables
from contextssl_cli.store.dataset import Store
from tests.cli.conftest import Command
from tests.cli.test_reproduce import SIZES
from tests.places import built_in

RECIPE = """
title = "People"
summary = "Income, by sex."

[[demo]]
name = "people"
plugin = "@PLUGIN@"
prepare = { label = ["income"], sensitive = ["sex"] }
seeds = [0]
settings = { @SIZES@ }
budget_minutes = 1
budget_from = "a guess"
memory_gib = 1
memory_from = "a guess"
probe = { metrics = ["top1"], context_lengths = [2], label_epochs = 1 }
tables = ["fairness"]
guarded = true
differs = "everything."
runs = [
    { method = "simclr", steps = 2 },
    { name = "matched", steps = 2, settings = { "actions.attribute.pairing" = "matched" } },
]
""".replace("@SIZES@", SIZES)
SOURCE = ("--source", "table=people.csv", "--out", "out")


@pytest.fixture
def recipe(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe that the registry has, and its data."""
    built_in("table", "attribute")
    draw = np.random.default_rng(0)
    sexes, ages = draw.choice(["female", "male"], 300), draw.integers(18, 80, 300)
    rich = (ages + 15 * (sexes == "male") + draw.normal(0, 8, 300)) > 55
    rows = [f"{age},{sex},{'high' if high else 'low'}" for age, sex, high in zip(ages, sexes, rich, strict=True)]
    Path("people.csv").write_text("\n".join(["age,sex,income", *rows]) + "\n")
    path = workplace / "people.toml"
    path.write_text(RECIPE.replace("@PLUGIN@", "table-attribute"))
    monkeypatch.setenv("CONTEXTSSL_HOME", str(workplace / "home"))  # a store of its own data
    monkeypatch.setitem(registry().recipes, "people", path)
    monkeypatch.setattr(fairness, "REDUCTION_ROUNDS", 5)
    return path


def test_the_whole_table(recipe: Path, cli: Command) -> None:
    printed = cli("reproduce", "people", *SOURCE)
    assert printed.code == 0, printed.err
    (part,) = json.loads(Path("out", "results.json").read_text())["parts"]
    values = part["fairness"]
    assert values["attribute"] == "sex"
    assert list(dict.fromkeys(row["representation"] for row in values["rows"])) == [
        "raw columns", "raw columns without sex", "raw columns, reduction", "simclr, feature",
        "matched, attribute context", "matched, empty context", "matched, empty context, guard attribute",
    ]  # fmt: skip
    assert values["reduction"]["income"]["max_iter"] == 5

    store = Store(Path(part["store"]["path"]))
    plain = make_pipeline(StandardScaler(), LogisticRegression()).fit(
        store.train.inputs(), store.train.labels("income")
    )
    expected = plain.score(store.test.inputs(), store.test.labels("income"))
    assert row(values, "raw columns", "accuracy", "income")["mean"] == pytest.approx(expected)
    assert row(values, "raw columns", "accuracy", "sex")["mean"] == 1
    assert row(values, "raw columns without sex", "accuracy", "sex")["mean"] < 0.9
    counted = values["support"]["income"]["test"]
    assert sum(sum(kinds.values()) for kinds in counted.values()) == len(store.test)

    figures, support = study_fairness_tables(values)
    page = Path("out", "page.md").read_text()
    assert figures.markdown() in page
    assert support.markdown() in page
    assert "guard attribute" in printed.out
    cell = figures.rows[0][figures.header.index("income: equalized odds difference")]
    assert cell == f"{row(values, 'raw columns', 'equalized_odds_difference', 'income')['mean']:.3f}"
    assert figures.rows[2][figures.header.index("income: accuracy") + 1] == ""  # no probe reads a predictor


def test_what_was_measured_is_kept_until_a_run_changes(
    recipe: Path, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("reproduce", "people", *SOURCE).code == 0
    first = json.loads(Path("out", "results.json").read_text())
    with monkeypatch.context() as patch:
        patch.setattr(fairness, "FairnessTable", lambda *_: pytest.fail("measured again"))
        assert cli("reproduce", "people", *SOURCE).code == 0
    assert json.loads(Path("out", "results.json").read_text()) == first
    results = json.loads(Path("out", "results.json").read_text())
    results["parts"][0]["fairness"]["fingerprints"]["simclr, seed 0"] = "of other weights"
    Path("out", "results.json").write_text(json.dumps(results))
    assert cli("reproduce", "people", *SOURCE).code == 0
    assert json.loads(Path("out", "results.json").read_text()) == first
    recipe.write_text(recipe.read_text().replace('{ method = "simclr", steps = 2 },', ""))
    assert cli("reproduce", "people", *SOURCE).code == 0
    (part,) = json.loads(Path("out", "results.json").read_text())["parts"]
    assert not any("simclr" in row["representation"] for row in part["fairness"]["rows"])


def test_another_budget_measures_nothing_again(recipe: Path, cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("reproduce", "people", *SOURCE).code == 0
    recipe.write_text(recipe.read_text().replace('budget_from = "a guess"', 'budget_from = "a better guess"'))
    monkeypatch.setattr(fairness, "FairnessTable", lambda *_: pytest.fail("measured again"))
    assert cli("reproduce", "people", *SOURCE).code == 0


def test_the_other_tables_are_written_before_the_fairness_table(
    recipe: Path, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fairness, "FairnessTable", interrupted)
    assert cli("reproduce", "people", *SOURCE).code != 0
    assert "income: accuracy" in Path("out", "page.md").read_text()


REFUSED = {
    "another column": (
        [('"actions.attribute.pairing" = "matched"', '"actions.attribute.sensitive" = "level"')],
        "the runs change level and sex",
    ),
    "no sensitive attribute": (
        [
            ('{ method = "simclr", steps = 2 },', ""),
            ('"actions.attribute.pairing" = "matched"', '"actions.attribute.sensitive" = "level"'),
        ],
        "level is not a sensitive attribute of table",
    ),
    "three classes": ([('label = ["income"]', 'label = ["level"]')], "no task of two classes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_data_of_which_no_table_can_be_made_are_refused_before_training(recipe: Path, cli: Command, case: str) -> None:
    lines = Path("people.csv").read_text().splitlines()
    levels = ["level", *(("low", "middle", "high")[number % 3] for number in range(len(lines) - 1))]
    Path("people.csv").write_text("\n".join(f"{line},{level}" for line, level in zip(lines, levels, strict=True)))
    changes, words = REFUSED[case]
    text = recipe.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    recipe.write_text(text)
    refused = cli("reproduce", "people", *SOURCE)
    assert refused.code == 2, refused.err
    assert words in refused.err
    assert not list(Path("out").glob("**/run.json"))


def test_a_task_without_an_attribute_is_refused_before_training(recipe: Path, cli: Command) -> None:
    built_in("digits", "rotation")
    other = RECIPE.replace("@PLUGIN@", "digits-rotation").replace("prepare =", "# prepare =")
    recipe.write_text(other.replace('{ "actions.attribute.pairing" = "matched" }', "{}"))
    refused = cli("reproduce", "people", "--out", "out")
    assert refused.code == 2
    assert "whose one action type changes an attribute" in refused.err
    assert not Path("out").exists()


def test_undefined_is_told() -> None:
    row = {"representation": "a", "metric": "equalized_odds_difference", "target": "t", "probe": "p"}
    values: dict[str, Any] = {"attribute": "sex", "tasks": ["t"], "support": {"t": {"test": {}}}}
    values["rows"] = [
        row | {"values": [], "mean": None, "std": 0.0},
        row | {"representation": "b", "metric": "accuracy", "values": [0.5, 1.0], "mean": 0.75, "std": 0.3536},
    ]
    table = study_fairness_tables(values)[0]
    assert table.rows[0][table.header.index("t: equalized odds difference")] == "undefined"
    assert table.rows[1][table.header.index("t: accuracy")] == "0.750 ± 0.354"


def row(values: dict[str, Any], representation: str, metric: str, target: str) -> dict[str, Any]:
    found = [
        r for r in values["rows"] if (r["representation"], r["metric"], r["target"]) == (representation, metric, target)
    ]
    return dict(found[0])
