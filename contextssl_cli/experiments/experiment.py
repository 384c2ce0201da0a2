"""An experiment of a recipe, planned: its data, its rows and its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from contextssl_cli import files, paths
from contextssl_cli.errors import CorruptFileError, UsageError, suggestion
from contextssl_cli.evaluation.stored import RESULTS
from contextssl_cli.experiments.execute import check_probes
from contextssl_cli.experiments.fairness import attribute_change
from contextssl_cli.experiments.grid import folder_name
from contextssl_cli.experiments.page import PAGE
from contextssl_cli.experiments.plan import Point, check_folder, runs_of
from contextssl_cli.experiments.recipe import Recipe, RunRecipe, Scale, Study, find_recipe
from contextssl_cli.experiments.sweep import grid_points
from contextssl_cli.report.settings import describe, show

PLAN = "plan.json"
"""Written first; it marks the folder as an experiment's."""


@dataclass(frozen=True)
class Part:
    """A study, planned.

    Attributes:
        study: of the recipe.
        folder: of its runs.
        points: its rows.
        store: where its data stand, or will.
        source: that they are prepared from; None for the data set's own.
        left_out: the recipe's runs that are not asked for.
    """

    study: Study
    folder: Path
    points: list[Point]
    store: Path
    source: Path | None
    left_out: list[str] = field(default_factory=list)

    @property
    def prepared(self) -> bool:
        """Whether the data are there."""
        return self.store.is_file()

    def limited(self, seeds: int) -> Part:
        """The part with the first seeds of every row only."""
        points = [replace(point, runs=point.runs[:seeds]) for point in self.points]
        left_out = [name for point in self.points for name in point.names(point.runs[seeds:])]
        return replace(self, study=self.study.limited(seeds), points=points, left_out=left_out)


@dataclass(frozen=True)
class Experiment:
    """A recipe at one scale, planned.

    Attributes:
        name: of the recipe.
        recipe: its file's contents.
        scale: ``demo`` or ``full``.
        out: the folder.
        parts: one for each study that is asked for.
    """

    name: str
    recipe: Recipe
    scale: Scale
    out: Path
    parts: list[Part]


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
    """Settle every run of an experiment. Variables of the environment do not change a recipe.

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
    parts = [_plan_part(study, runs or out, given.get(study.dataset)) for study in studies]
    parts = [part.limited(limit_seeds) for part in parts] if limit_seeds else parts
    for part in parts:
        if part.study.guarded:
            for run in runs_of(part.points):
                attribute_change(run.task)
        check_probes(part.points, part.study.probe.asked())
        for run in runs_of(part.points):
            run.check(None)
    return Experiment(name, recipe, scale, out, parts)


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


def _plan_part(study: Study, runs: Path, source: Path | None) -> Part:
    folder = runs / study.name
    points = [point for run in study.runs for point in _points(study, run, folder)]
    if len({point.label for point in points}) < len(points):
        raise CorruptFileError(f"the recipe's study {study.name} has two runs of one name; give them names")
    return Part(study, folder, points, _store_path(study), source)


def _store_path(study: Study) -> Path:
    """The data set's usual store; with other options a store of its own beside it."""
    usual = paths.store_path(study.dataset)
    if not study.prepare:
        return usual
    label = ", ".join(f"{key} {show(value)}" for key, value in sorted(study.prepare.items()))
    return usual.with_name(f"{study.dataset},{folder_name(label)}.h5")


def _points(study: Study, run: RunRecipe, folder: Path) -> list[Point]:
    told = ", ".join(f"told {name}" for name in run.equivariant)
    label = run.name or ", ".join(filter(None, [run.method, told]))
    settings: dict[str, Any] = {**study.settings, **run.settings, "method": run.method}
    settings |= {"equivariant": list(run.equivariant)} if run.equivariant else {}
    settings |= {"steps": run.steps} if run.steps else {}
    points = grid_points(
        folder, study.plugin, run.vary, seeds=run.seeds or study.seeds, preset=study.preset, settings=settings,
        environ={}, label=label,
    )  # fmt: skip
    if run.vary:
        return points
    family = f"{run.method}, {describe(run.settings)}" if told else label  # what it is told apart
    return [Point(point.label, point.runs, point.values, family) for point in points]


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
