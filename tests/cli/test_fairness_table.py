"""``benchmarks/fairness.py``: the whole table from a small file, on runs that the real commands trained."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from contextssl_cli.report.fairness import UNDEFINED, fairness_tables
from contextssl_cli.store.dataset import Store
from tests.cli.conftest import TINY, Command
from tests.places import built_in

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fairness.py"


@pytest.fixture
def people(cli: Command, workplace: Path) -> list[str]:
    """The arguments of the script: a prepared store, and runs in a folder."""
    built_in("table", "attribute")
    draw = np.random.default_rng(0)
    sexes, ages = draw.choice(["female", "male"], 300), draw.integers(18, 80, 300)
    rich = (ages + 15 * (sexes == "male") + draw.normal(0, 8, 300)) > 55
    rows = [f"{age},{sex},{'high' if high else 'low'}" for age, sex, high in zip(ages, sexes, rich, strict=True)]
    Path("people.csv").write_text("\n".join(["age,sex,income", *rows]) + "\n")
    flags = ["--label", "income", "--sensitive", "sex", "--out", "out/table.h5"]
    assert cli("prepare", "table", "--source", "people.csv", *flags).code == 0
    train = ["pretrain", "--plugin", "table-attribute", "--store", "out/table.h5", *TINY]
    for name, flags in {"simclr": ["--method", "simclr"], "matched": ["--pairing", "matched"]}.items():
        assert cli(*train, *flags, "--out", f"runs/{name}-0").code == 0
    return ["--task", "table-attribute", "--source", "people.csv", "--out", "out", "--runs", "runs", "--seeds", "0"]


def execute(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_the_whole_table(
    people: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(monkeypatch, *people, "--of", "simclr", "matched", "--max-iter", "5")
    printed = capsys.readouterr().out
    values = json.loads(Path("out", "fairness-table.json").read_text())
    assert values["attribute"] == "sex"
    assert list(dict.fromkeys(row["representation"] for row in values["rows"])) == [
        "raw columns", "raw columns without sex", "raw columns, reduction", "simclr, feature",
        "matched, attribute context", "matched, empty context", "matched, empty context, guard attribute",
    ]  # fmt: skip
    assert values["reduction"]["income"]["max_iter"] == 5

    store = Store(Path("out", "table.h5"))
    plain = make_pipeline(StandardScaler(), LogisticRegression()).fit(
        store.train.inputs(), store.train.labels("income")
    )
    expected = plain.score(store.test.inputs(), store.test.labels("income"))
    assert row(values, "raw columns", "accuracy", "income")["mean"] == pytest.approx(expected)
    assert row(values, "raw columns", "accuracy", "sex")["mean"] == 1
    assert row(values, "raw columns without sex", "accuracy", "sex")["mean"] < 0.9
    counted = values["support"]["income"]["test"]
    assert sum(sum(kinds.values()) for kinds in counted.values()) == len(store.test)

    figures, support = fairness_tables(values)
    assert figures.markdown() in printed
    assert support.markdown() in printed
    cell = figures.rows[0][figures.header.index("equalized odds difference")]
    assert cell == f"{row(values, 'raw columns', 'equalized_odds_difference', 'income')['mean']:.3f}"
    assert figures.rows[2][figures.header.index("income: accuracy") + 1] == ""  # no probe reads a predictor


def test_a_run_that_is_not_what_its_name_says(people: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("runs", "matched-0").rename(Path("runs", "counterfactual-0"))
    with pytest.raises(SystemExit, match="is not a run of counterfactual-0"):
        execute(monkeypatch, *people, "--of", "counterfactual")


def test_undefined_is_told() -> None:
    row = {"representation": "a", "metric": "equalized_odds_difference", "target": "t", "probe": "p"}
    values: dict[str, Any] = {"attribute": "sex", "tasks": ["t"], "support": {"t": {"test": {}}}}
    values["rows"] = [
        row | {"values": [], "mean": None, "std": 0.0},
        row | {"representation": "b", "metric": "accuracy", "values": [0.5, 1.0], "mean": 0.75, "std": 0.3536},
    ]
    table = fairness_tables(values)[0]
    assert table.rows[0][table.header.index("equalized odds difference")] == UNDEFINED
    assert table.rows[1][table.header.index("t: accuracy")] == "0.750 ± 0.354"


def row(values: dict[str, Any], representation: str, metric: str, target: str) -> dict[str, Any]:
    found = [
        r for r in values["rows"] if (r["representation"], r["metric"], r["target"]) == (representation, metric, target)
    ]
    return dict(found[0])
