"""Every recipe is valid, its plugins and settings exist, and its plan can be read without data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

import contextssl_paper
from contextssl_cli.config.methods import CONTEXTUAL, EQUIVARIANT
from contextssl_cli.experiments.plan import runs_of
from contextssl_cli.experiments.recipe import Scale, read_recipe
from contextssl_cli.experiments.recipe_plan import Experiment, outlook, plan_experiment
from contextssl_cli.plugin.registry import registry
from tests.places import built_in

RECIPES = {path.stem: read_recipe(path) for path in contextssl_paper.contextssl_recipes()}
ASKED = {"figure1", "figure3", "table1-mrr", "mask-ablation", "cifar10", "mimic3", "adult"}
SCALES = [(name, scale) for name, recipe in RECIPES.items() for scale in get_args(Scale) if getattr(recipe, scale)]


def planned(name: str, scale: Scale, out: Path) -> Experiment:
    """The experiment, if the plugins that it needs are there."""
    need(name)
    return plan_experiment(name, scale, out)


def need(*names: str) -> None:
    """Skip the test if a plugin that these recipes name was taken out."""
    studies = [study for name in names for scale in get_args(Scale) for study in getattr(RECIPES[name], scale)]
    built_in("paper", *sorted({word for study in studies for word in study.plugin.split("-")}))


def test_the_recipes_are_those_of_the_paper_and_are_registered() -> None:
    assert set(RECIPES) == ASKED
    own = Path(contextssl_paper.__file__).parent
    assert [name for name in ASKED if registry().recipes[name].parent != own] == []


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_the_plan_can_be_read_without_data(
    name: str, scale: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTEXTSSL_HOME", str(tmp_path / "home"))
    experiment = planned(name, scale, tmp_path / "out")
    plan = outlook(experiment)
    assert plan["runs"]
    assert [row for row in plan["runs"] if row["state"] != "missing" or not row["steps"]] == []
    assert {row["state"] for row in plan["data"]} == {"missing"}
    assert plan["hours_left"] == pytest.approx(sum(estimate["hours"] for estimate in plan["estimates"]), rel=1e-3)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_published_rows_and_columns_are_those_of_our_tables(name: str, scale: Scale, tmp_path: Path) -> None:
    """A row that is misspelt would stand below ours instead of beside it."""
    experiment = planned(name, scale, tmp_path)
    for part in experiment.studies:
        own = set()
        actions = [action.name for action in part.points[0].runs[0].task.actions]
        for point in part.points:
            if point.config.method == "contextssl":
                own |= {f"{point.label}, {action} context" for action in actions}
            elif point.config.method in CONTEXTUAL:
                own |= {f"{point.label}, {place}" for place in ("no context", "with context")}
            else:
                own.add(point.label)
        lengths = {f"{action} context, {length} tokens" for action in actions for length in (0, 2, 14, 30, 126)}
        ranks = "mrr" in (part.study.probe.metrics or ())
        ranked = {point.label for point in part.points if ranks and point.config.method in EQUIVARIANT}
        rows = {"methods": own, "lengths": lengths | ranked}
        columns = {("r2", action) for action in actions}
        columns |= {(metric, "") for metric in ("top1", "adaptation_gap", "mrr", "h@1", "h@5")}
        for published in experiment.recipe.published:
            if part.study.name in (published.studies or (part.study.name,)):
                assert published.table in part.study.tables
                assert published.table != "lengths" or [p.config.method for p in part.points].count("contextssl") == 1
                assert set(published.figures) <= rows[published.table]
                lines = [published.line(label) for label in published.figures]
                assert {(column.metric, column.target) for line in lines for column in line} <= columns


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_every_told_model_has_another_to_be_compared_with(name: str, scale: Scale, tmp_path: Path) -> None:
    for part in planned(name, scale, tmp_path).studies:
        if "r2" not in (part.study.probe.metrics or ("r2",)):  # no gap is asked for
            continue
        told: dict[str, set[tuple[str, ...]]] = {}
        for point in part.points:
            if point.config.method in EQUIVARIANT:
                told.setdefault(point.family, set()).add(point.config.equivariant)
        actions = {(action.name,) for action in part.points[0].runs[0].task.actions}
        assert all(found == actions for found in told.values())


def test_the_published_gaps_are_computed_from_the_published_r2() -> None:
    (figures,) = [p.figures for p in RECIPES["figure3"].published if p.table == "methods"]
    for method in ("equimod", "sie", "sen"):
        _same_gap(figures[f"{method}, given rotation"], figures[f"{method}, given color"])
    _same_gap(figures["contextssl, rotation context"], figures["contextssl, color context"])


def _same_gap(rotation: dict[str, Any], color: dict[str, Any]) -> None:
    gap = rotation["r2"]["rotation"] - color["r2"]["rotation"] + color["r2"]["color"] - rotation["r2"]["color"]
    assert rotation["adaptation_gap"] == color["adaptation_gap"] == pytest.approx(gap)


def test_experiments_may_share_runs(tmp_path: Path) -> None:
    """What is said to be trained once has to be the same run, and its R2 by the same probe."""
    shared = {"table1-mrr": ["shapes3d"], "figure1": ["digits", "shapes3d"], "cifar10": ["cifar10-crop-color"]}
    need("figure3", *shared)
    figure3 = planned("figure3", "demo", tmp_path)
    main = {run.folder: run.config for part in figure3.studies for run in runs_of(part.points)}
    probes = {part.study.name: part.study.probe for part in figure3.studies}
    for name, studies in shared.items():
        for part in planned(name, "demo", tmp_path).studies:
            if part.study.name in studies:
                for run in runs_of(part.points):
                    assert main[run.folder] == run.config, (name, run.folder)
                if "r2" in part.study.probe.metrics and "r2" in probes[part.study.name].metrics:
                    assert part.study.probe.action_epochs == probes[part.study.name].action_epochs, name
