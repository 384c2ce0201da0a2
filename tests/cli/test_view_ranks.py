"""MRR of baselines through the commands: prepare, pretrain and probe, and a recipe's table of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contextssl_cli.plugin.registry import registry
from tests.cli.conftest import QUICK_PROBES, TINY, Command, Made
from tests.places import built_in

TASK = "shapes3d-rotation-color"
VIEWS = ["--objects", "30", "--views", "3", "--size", "16"]
RECIPE = """
title = "Ranks"
summary = "Three models of two steps."

[[published]]
table = "lengths"
source = "nowhere, table 1"
[published.figures]
"sen, given rotation" = { "mrr" = 0.1749, "h@1" = 0.05 }

[[demo]]
name = "shapes3d"
plugin = "shapes3d-rotation-color"
prepare = { objects = 30, views = 3, size = 16 }
seeds = [0, 1]
settings = { batch_size = 8, "model.width" = 16, "model.layers" = 1, "model.heads" = 2, "model.block_size" = 8, \
"model.feature_dim" = 8, "model.encoder_width" = 8, "model.aux_hidden" = 8 }
budget_minutes = 1
budget_from = "a guess"
memory_gib = 1
memory_from = "a guess"
probe = { metrics = ["mrr"], context_lengths = [0, 2] }
tables = ["lengths"]
differs = "everything."
runs = [
    { method = "contextssl", steps = 2 },
    { method = "sen", equivariant = ["rotation"], steps = 2, seeds = [0] },
    { method = "equimod", equivariant = ["rotation"], steps = 2 },
]
"""


@pytest.fixture
def store(made: Made, cli: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Objects with three views each."""
    built_in("shapes3d", "rotation", "color")
    kind = type(registry().dataset("shapes3d"))
    monkeypatch.setattr(kind, "probing", {**kind.probing, **QUICK_PROBES})
    assert cli("prepare", "shapes3d", *VIEWS, "--out", "s.h5").code == 0
    return Path("s.h5")


def pretrain(cli: Command, store: Path, out: str, *flags: str) -> None:
    outcome = cli("pretrain", "--plugin", TASK, "--store", store, *TINY, "--out", out, *flags)
    assert outcome.code == 0, outcome.err


def test_probe_ranks_views_by_a_baselines_predictor(store: Path, cli: Command) -> None:
    pretrain(cli, store, "run", "--method", "sen", "--equivariant", "rotation")
    found = cli("probe", "--run", "run", "--metrics", "mrr", "--json").json
    assert [row["metric"] for row in found["results"]] == ["mrr", "h@1", "h@5", "h@10"]
    assert {(row["environment"], row["context_length"], row["target"]) for row in found["results"]} == {
        ("encoder", 0, "view")
    }
    (probe,) = {row["probe"] for row in found["results"]}
    assert probe == "distance rank among the 3 views of an object, the source included, in its predictor's space"
    assert {Path(path).name for path in found["paths"]} == {"results.json", "results.csv"}
    text = cli("probe", "--run", "run", "--metrics", "all")
    assert text.code == 0, text.err
    assert "The view after an action by distance rank" in text.out
    page = cli("report", "run/probe", "--out", "report.html")
    assert page.code == 0, page.err
    assert "distance rank among the 3 views" in Path("report.html").read_text()


def test_what_predicts_no_view_is_told(store: Path, cli: Command) -> None:
    pretrain(cli, store, "run", "--method", "simclr")
    outcome = cli("probe", "--run", "run", "--metrics", "mrr")
    assert outcome.code == 2
    assert outcome.message == (
        "simclr predicts no view after an action that mrr could rank: ask for other metrics (--metrics) of such a run"
    )
    assert "mrr" not in cli("probe", "--run", "run", "--metrics", "all").out


def test_a_recipe_puts_the_ranks_of_baselines_below_those_by_context_length(
    made: Made, cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in("shapes3d", "rotation", "color")
    recipe = tmp_path / "ranks.toml"
    recipe.write_text(RECIPE)
    monkeypatch.setattr(registry(), "recipes", {"ranks": recipe})
    outcome = cli("reproduce", "ranks", "--out", "out")
    assert outcome.code == 0, outcome.err
    part = json.loads(Path("out", "results.json").read_text())["parts"][0]
    table = part["tables"][0]
    metrics = [column["metric"] for column in table["columns"]]
    rows = {row["labels"][0]: dict(zip(metrics, row["cells"], strict=True)) for row in table["rows"]}
    assert list(rows) == [
        *(f"{context} context, {length} tokens" for context in ("rotation", "color") for length in (0, 2)),
        "sen, given rotation", "equimod, given rotation",
    ]  # fmt: skip
    for label in ("sen, given rotation", "equimod, given rotation"):
        (point,) = [point for point in part["points"] if point["label"] == label]
        means = {row["metric"]: row["mean"] for row in point["report"]["results"]}
        assert {name: cell["mean"] for name, cell in rows[label].items()} == means
        assert point["adaptation_gaps"] == []
    assert [rows[label]["mrr"]["runs"] for label in ("sen, given rotation", "equimod, given rotation")] == [1, 2]
    line = next(text for text in Path("out", "page.md").read_text().splitlines() if text.startswith("| sen, given"))
    assert f"| {rows['sen, given rotation']['mrr']['mean']:.3f} | 0.175 |" in line

    recipe.write_text(RECIPE.replace('"equimod", equivariant = ["rotation"]', '"simclr"'))
    refused = cli("reproduce", "ranks", "--out", "other")
    assert refused.code == 2
    assert "simclr predicts no view after an action" in refused.message
    assert not Path("other").exists()
