"""``contextssl reproduce``: run the experiment of a recipe, from its data to a page of results."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from contextssl_cli import files
from contextssl_cli.data.prepare import prepare
from contextssl_cli.errors import CorruptFileError, UsageError
from contextssl_cli.evaluation.stored import RESULTS
from contextssl_cli.experiments.execute import probe_points, train_missing
from contextssl_cli.experiments.fairness import measure_fairness, sensitive_attribute
from contextssl_cli.experiments.page import draw_study, page_text
from contextssl_cli.experiments.plan import runs_of
from contextssl_cli.experiments.probe import write_retrieval
from contextssl_cli.experiments.recipe import Recipe, Study
from contextssl_cli.experiments.recipe_plan import PAGE, PLAN, Experiment, PlannedStudy
from contextssl_cli.experiments.tables import TABLES
from contextssl_cli.paths import make_folder
from contextssl_cli.plugin.registry import registry
from contextssl_cli.report.progress import parts_progress
from contextssl_cli.report.tables import Labels, ResultTable, TableColumn
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.run import Run, versions
from contextssl_cli.training.runtime import resolve_device

_log = logging.getLogger(__name__)


def run_experiment(experiment: Experiment, device: str, *, train: bool = True) -> tuple[dict[str, Any], list[Path]]:
    """Prepare, train and probe what is missing, and write results and page after each study.

    Args:
        experiment: planned.
        device: for training and probes.
        train: ``False`` trains and prepares nothing: the page then has the runs that are done, and names the others.

    Returns:
        The contents of ``results.json``, and the paths written.

    Raises:
        DataMissingError: before anything is trained, if data are missing.
        CorruptFileError: before that, if ``results.json`` in the folder is not one of ``reproduce``.
        UsageError: if nothing may be trained and no run is done.
    """
    place = resolve_device(device)
    found, fair = _load(experiment)
    studies = _opened(experiment) if train else _done(experiment)
    _begin(experiment)
    drawn: list[Path] = []
    for planned, store in studies:
        _log.info("%s: %s (%d training samples)", planned.study.name, store.path, len(store.train))
        if train:
            train_missing(list(runs_of(planned.points)), store, device)
        found[planned.study.name], figures = _measured(planned, store, experiment, place)
        drawn += figures
        results = _write(experiment, found)
        if planned.study.guarded:
            table = measure_fairness(planned.points, store, fair.get(planned.study.name))
            found[planned.study.name]["fairness"] = table
            results = _write(experiment, found)
    return results, [experiment.out / PAGE, experiment.out / RESULTS, *drawn]


def train_share(experiment: Experiment, device: str, share: slice) -> int:
    """Prepare what is missing and train one share of every study's runs; no probe, no page.

    Returns:
        How many runs are still not trained.

    Raises:
        DataMissingError: before anything is trained, if data are missing.
    """
    studies = _opened(experiment)
    _begin(experiment)
    for planned, store in studies:
        own = list(runs_of(planned.points))[share]
        _log.info("%s: %s: %d runs of this share", planned.study.name, store.path, len(own))
        train_missing(own, store, device)
    states = [run.state(store) for planned, store in studies for run in runs_of(planned.points)]
    return sum(state in ("missing", "half done") for state in states)


def _begin(experiment: Experiment) -> None:
    """Mark the folder as the experiment's."""
    make_folder(experiment.out)
    files.write_json(experiment.out / PLAN, {"recipe": experiment.name, "scale": experiment.scale})


def _write(experiment: Experiment, found: Mapping[str, Any]) -> dict[str, Any]:
    """Write what was found so far, and return the contents of ``results.json``."""
    results = _results(experiment, found)
    files.write_json(experiment.out / RESULTS, results)
    files.write_text(experiment.out / PAGE, page_text(results))
    return results


def _opened(experiment: Experiment) -> list[tuple[PlannedStudy, Store]]:
    """Every study with its data, prepared now if they are missing, and its runs checked against them."""
    found = [(planned, _prepared(planned)) for planned in experiment.studies]
    for planned, store in found:
        _check(planned, store)
    return found


def _done(experiment: Experiment) -> list[tuple[PlannedStudy, Store]]:
    """The studies with the runs that are done, and the names of the others; studies without any are left out."""
    found = []
    for planned in experiment.studies:
        if not planned.prepared:
            if any(run.exists for run in runs_of(planned.points)):
                _log.info(
                    "%s: its runs are left out, because its data are not prepared: contextssl prepare %s",
                    planned.study.name, planned.study.dataset,
                )  # fmt: skip
            continue
        store = _prepared(planned)
        points, missing = [], []
        for point in planned.points:
            runs = tuple(run for run in point.runs if run.state(store) == "done")
            missing += point.names(run for run in point.runs if run not in runs)
            points += [replace(point, runs=runs)] if runs else []
        if points:
            done = replace(planned, points=points, not_trained=missing)
            _check(done, store)
            found.append((done, store))
    if not found:
        raise UsageError(f"no run of {experiment.name} is done yet; leave out --no-train")
    return found


def _check(planned: PlannedStudy, store: Store) -> None:
    """Refuse runs of other data, and data without the attribute of a fairness table."""
    if planned.study.guarded:
        sensitive_attribute(planned.points, store.schema)
    for run in runs_of(planned.points):
        run.check(store)


def _measured(
    planned: PlannedStudy, store: Store, experiment: Experiment, place: torch.device
) -> tuple[dict[str, Any], list[Path]]:
    """The results of a study whose runs are trained, and the figures drawn."""
    study = planned.study
    probed = probe_points(planned.points, place, **study.probe.asked())
    tables = [
        _with_published(table, study, experiment.recipe) for name in study.tables for table in TABLES[name](probed)
    ]
    figures = draw_study(study, probed, tables, experiment.out)
    own = [run for run in runs_of(planned.points) if run.config.method == "contextssl"]
    if study.retrieval and own:
        path = experiment.out / f"{study.name}-retrieval.png"
        figures.append(write_retrieval(Run(own[0].folder), path, torch.device("cpu")))
    results = {
        "study": study.model_dump(mode="json"),
        "store": {
            "path": str(store.path),
            "hash": store.content_hash,
            "train": len(store.train),
            "test": len(store.test),
        },
        "tables": [table.as_dict() for table in tables],
        "figures": [path.name for path in figures],
        "points": [point.as_dict() for point in probed],
        "left_out": planned.left_out,
        "not_trained": planned.not_trained,
    }
    return results, figures


def _prepared(planned: PlannedStudy) -> Store:
    """The data of a study, prepared now if they are missing."""
    dataset = registry().dataset(planned.study.dataset)
    if not planned.prepared:
        _log.info("preparing %s from %s", dataset.name, planned.source or "its own source")
    with parts_progress(dataset.name) as report:
        return prepare(dataset, planned.source, planned.store, options=planned.study.prepare, report=report)


def _load(experiment: Experiment) -> tuple[dict[str, Any], dict[str, Any]]:
    """The results of studies that were run before with the same recipe, and the fairness tables of any, by name.

    Raises:
        CorruptFileError: if the file holds something else.
    """
    path = experiment.out / RESULTS
    if not path.is_file():
        return {}, {}
    studies = {study.name: study for study in experiment.recipe.studies(experiment.scale)}
    try:
        written = files.read_json(path)
        if (written["name"], written["scale"]) != (experiment.name, experiment.scale):
            raise ValueError("of another experiment")
        parts = {part["study"]["name"]: part for part in written["parts"]}
        same = {name: part for name, part in parts.items() if _is_study(part["study"], studies.get(name))}
        page_text(_results(experiment, same))  # raises if what is kept cannot be written again
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise CorruptFileError(
            f"{path} is not a result of contextssl reproduce {experiment.name} --scale {experiment.scale}, or is "
            "damaged; move it away: what is trained and probed is not done again"
        ) from error
    return same, {name: part["fairness"] for name, part in parts.items() if "fairness" in part}


def _is_study(written: Mapping[str, Any], study: Study | None) -> bool:
    """Whether a study is the written one, whatever the number of its seeds."""
    try:
        return study is not None and Study.model_validate(written).limited(1) == study.limited(1)
    except ValidationError:
        return False


def _with_published(table: ResultTable, study: Study, recipe: Recipe) -> ResultTable:
    """The table with the published figures that belong to it.

    A published figure without a target belongs to the first column of its metric, whatever the label is called.
    """
    first = {column.metric: column for column in reversed(table.columns())}
    figures: dict[Labels, dict[TableColumn, float]] = {}
    sources = []
    for published in recipe.published:
        if published.table == table.name and study.name in (published.studies or (study.name,)):
            sources.append(published.source)
            for label in published.figures:
                line = published.line(label).items()
                named = {column if column.target else first.get(column.metric, column): value for column, value in line}
                figures.setdefault((label,), {}).update(named)
    return replace(table, published=figures, sources=sources)


def _results(experiment: Experiment, found: Mapping[str, Any]) -> dict[str, Any]:
    recipe = experiment.recipe
    names = [study.name for study in recipe.studies(experiment.scale)]
    return {
        "name": experiment.name,
        "scale": experiment.scale,
        "title": recipe.title,
        "summary": recipe.summary,
        "published_note": recipe.published_note,
        "parts": [found[name] for name in names if name in found],
        "not_run": [name for name in names if name not in found],
        "versions": versions(),
    }
