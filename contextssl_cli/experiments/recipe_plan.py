"""A recipe, planned: its studies, their data and runs, and what they take."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from contextssl_cli import files, paths
from contextssl_cli.errors import CorruptFileError, UsageError, suggestion
from contextssl_cli.evaluation.stored import RESULTS
from contextssl_cli.experiments.fairness import attribute_change
from contextssl_cli.experiments.plan import (
    Point,
    check_folder,
    check_probes,
    folder_name,
    grid_points,
    run_states,
    runs_of,
)
from contextssl_cli.experiments.recipe import Recipe, RunRecipe, Scale, Study, find_recipe
from contextssl_cli.plugin.registry import registry
from contextssl_cli.store.dataset import Store
from contextssl_cli.text import settings_text

PLAN = "plan.json"
"""Written first; it marks the folder as an experiment's."""
PAGE = "page.md"


def parse_share(text: str) -> slice:
    """``2/8`` of ``--share``: of each study the second run and every eighth after it, for one task of a job array.

    All runs are counted, whether they are done or not, so that the tasks agree on who trains which run.

    Raises:
        UsageError: if it has another form, or there is no such share.
    """
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    number, of = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= of:
        raise UsageError(f"--share {text}: expected I/N, the I-th of N shares, as 2/8")
    return slice(number - 1, None, of)


@dataclass(frozen=True)
class PlannedStudy:
    """A study, planned.

    Attributes:
        study: of the recipe.
        folder: of its runs.
        points: its rows.
        store: the path of its data, which may not be prepared yet.
        source: that they are prepared from; None for the data set's own.
        left_out: the runs of the recipe that ``--limit-seeds`` leaves out.
        not_trained: the runs that ``--no-train`` leaves out.
    """

    study: Study
    folder: Path
    points: list[Point]
    store: Path
    source: Path | None
    left_out: list[str] = field(default_factory=list)
    not_trained: list[str] = field(default_factory=list)

    @property
    def prepared(self) -> bool:
        """Whether the data exist."""
        return self.store.is_file()

    def limited(self, seeds: int) -> PlannedStudy:
        """The study with the first seeds of every row only."""
        points = [replace(point, runs=point.runs[:seeds]) for point in self.points]
        left_out = [name for point in self.points for name in point.names(point.runs[seeds:])]
        return replace(self, study=self.study.limited(seeds), points=points, left_out=left_out)


@dataclass(frozen=True)
class Experiment:
    """A recipe at one scale, planned.

    Attributes:
        name: of the recipe.
        recipe: the contents of its file.
        scale: ``demo`` or ``full``.
        out: the folder.
        studies: those asked for.
    """

    name: str
    recipe: Recipe
    scale: Scale
    out: Path
    studies: list[PlannedStudy]


def plan_experiment(
    name: str,
    scale: Scale,
    out: Path,
    *,
    runs: Path | None = None,
    sources: Mapping[str, Path] | None = None,
    only: Sequence[str] = (),
    limit_seeds: int | None = None,
) -> Experiment:
    """Resolve every run of an experiment. Environment variables do not change a recipe.

    Args:
        name: of the recipe.
        scale: ``demo`` or ``full``.
        out: the folder.
        runs: the folder of the runs, which several experiments may share; by default ``out``.
        sources: of data sets, by name.
        only: studies; by default all of the scale.
        limit_seeds: how many of a recipe's seeds are run; by default all.

    Raises:
        UsageError: if there is no such recipe, scale, study or data set, a run in ``out`` is another, or ``out``
            holds something else.
        DataMissingError: if a source does not exist.
        PluginError: if a plugin that it needs failed.
    """
    recipe = find_recipe(name)
    studies = recipe.studies(scale, only)
    given = dict(sources or {})
    for dataset, path in given.items():
        known = [study.dataset for study in studies]
        if dataset not in known:
            raise UsageError(f"--source {dataset}={path}: {name} needs no such data set: {suggestion(dataset, known)}")
        files.check_source(path, f"--source {dataset}={path}:")
    _check_out(out, name, scale, studies)
    planned = [_plan_study(study, runs or out, given.get(study.dataset)) for study in studies]
    planned = [one.limited(limit_seeds) for one in planned] if limit_seeds else planned
    for one in planned:
        check_probes(one.points, one.study.probe.asked())
        for run in runs_of(one.points):
            run.check(None)
            if one.study.guarded:
                attribute_change(run.task)
    return Experiment(name, recipe, scale, out, planned)


def _check_out(out: Path, name: str, scale: Scale, studies: Sequence[Study]) -> None:
    check_folder(out, PLAN)
    figures = [path for study in studies for kind in ("png", "svg") for path in out.glob(f"{study.name}-*.{kind}")]
    for path in (out / PLAN, out / RESULTS, out / PAGE, *figures):
        files.check_output(path)
    if (out / PLAN).is_file():
        plan = files.read_json(out / PLAN)
        if (plan.get("recipe"), plan.get("scale")) != (name, scale):
            held = f"{plan.get('recipe')} --scale {plan.get('scale')}"
            raise UsageError(f"{out} holds {held}, not {name} --scale {scale}; choose another --out")


def _plan_study(study: Study, runs: Path, source: Path | None) -> PlannedStudy:
    folder = runs / study.name
    points = [point for run in study.runs for point in _points(study, run, folder)]
    if len({point.label for point in points}) < len(points):
        raise CorruptFileError(f"the recipe's study {study.name} has two runs of one name; give them names")
    return PlannedStudy(study, folder, points, _store_path(study), source)


def _store_path(study: Study) -> Path:
    """The default store of the data set; with other options a store of its own next to it."""
    default = paths.store_path(study.dataset)
    if not study.prepare:
        return default
    return default.with_name(f"{study.dataset},{folder_name(settings_text(dict(sorted(study.prepare.items()))))}.h5")


def _points(study: Study, run: RunRecipe, folder: Path) -> list[Point]:
    condition = f"given {'+'.join(run.equivariant)}" if run.equivariant else ""
    label = run.name or ", ".join(filter(None, [run.method, condition]))
    settings: dict[str, Any] = {**study.settings, **run.settings, "method": run.method}
    settings |= {"equivariant": list(run.equivariant)} if run.equivariant else {}
    settings |= {"steps": run.steps} if run.steps else {}
    points = grid_points(
        folder, study.plugin, run.vary, seeds=run.seeds or study.seeds, preset=study.preset, settings=settings,
        environ={}, label=label,
    )  # fmt: skip
    if run.vary:
        return points
    family = f"{run.method}, {settings_text(run.settings)}" if condition else label
    return [replace(point, family=family) for point in points]


def outlook(experiment: Experiment, share: slice = slice(None)) -> dict[str, Any]:
    """What an experiment, or a share of its runs, takes, as one JSON object. Nothing is made or written.

    The hours are the budget of a run times the fraction of its steps that is missing; the recipe says how it knows
    budget and memory.
    """
    rows = [row for one in experiment.studies for row in _runs(one)[share]]
    return {
        "recipe": experiment.name,
        "scale": experiment.scale,
        "out": str(experiment.out),
        "data": [_data(one) for one in experiment.studies],
        "runs": rows,
        "estimates": [_estimate(one, rows) for one in experiment.studies],
        "hours_left": sum(row["minutes_left"] for row in rows) / 60,
    }


def _data(planned: PlannedStudy) -> dict[str, Any]:
    dataset = registry().dataset(planned.study.dataset)
    own = f"--source {dataset.name}=DIR" if dataset.needs_source else "downloaded or included"
    return {
        "study": planned.study.name,
        "dataset": dataset.name,
        "summary": dataset.summary,
        "state": "prepared" if planned.prepared else "missing",
        "store": str(planned.store),
        "options": planned.study.prepare,
        "source": str(planned.source) if planned.source else own,
    }


def _runs(planned: PlannedStudy) -> list[dict[str, Any]]:
    store = Store(planned.store) if planned.prepared else None
    budget = planned.study.budget_minutes
    return [
        {"study": planned.study.name, **row}
        | {"minutes_left": round(budget * (max(0.0, 1 - row["step"] / row["steps"]) if row["steps"] else 1.0), 1)}
        for row in run_states(planned.points, store)
    ]


def _estimate(planned: PlannedStudy, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    study = planned.study
    own = [row for row in rows if row["study"] == study.name]
    return {
        "study": study.name,
        "hours": len(own) * study.budget_minutes / 60,
        "hours_left": sum(row["minutes_left"] for row in own) / 60,
        "hours_from": study.budget_from,
        "memory_gib": study.memory_gib,
        "memory_from": study.memory_from,
    }


def parse_sources(texts: Sequence[str]) -> dict[str, Path]:
    """``DATASET=PATH`` of ``--source`` flags.

    Raises:
        UsageError: if one has another form, or a data set is named twice.
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or not name or not path:
            raise UsageError(f"--source {text}: expected DATASET=PATH")
        if name in found:
            raise UsageError(f"--source names {name} twice")
        found[name] = Path(path)
    return found
