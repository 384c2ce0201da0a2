"""``contextssl reproduce``: an experiment of a recipe, from its data to a page of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from contextssl_cli import files
from contextssl_cli.data.prepare import prepare
from contextssl_cli.errors import CorruptFileError, UsageError
from contextssl_cli.evaluation.stored import RESULTS
from contextssl_cli.experiments.drawing import draw_part
from contextssl_cli.experiments.execute import Probed, Share, probe_points, train_missing
from contextssl_cli.experiments.experiment import PLAN, Experiment, Part
from contextssl_cli.experiments.fairness import measure_fairness, sensitive_attribute
from contextssl_cli.experiments.page import PAGE, page_text
from contextssl_cli.experiments.plan import runs_of
from contextssl_cli.experiments.recipe import Published, Recipe, Study
from contextssl_cli.experiments.tables import TABLES
from contextssl_cli.paths import make_folder
from contextssl_cli.plugin.registry import registry
from contextssl_cli.report.progress import parts_progress
from contextssl_cli.report.result_table import ResultTable
from contextssl_cli.report.terminal import terminal
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.run import versions
from contextssl_cli.training.runtime import resolve_device


def run_experiment(experiment: Experiment, device: str, *, train: bool = True) -> tuple[dict[str, Any], list[Path]]:
    """Prepare, train and probe what is missing, and write results and page after each study.

    Args:
        experiment: planned.
        device: for training and probes.
        train: ``False`` trains and prepares nothing: the page then has the runs that are done, and names the others.

    Returns:
        What ``results.json`` holds, and the paths written.

    Raises:
        DataMissingError: before anything is trained, if data cannot be had.
        CorruptFileError: before that, if ``results.json`` in the folder is not one of ``reproduce``.
        UsageError: if nothing may be trained and no run is done.
    """
    place = resolve_device(device)
    found, fair = _load(experiment)
    parts = _opened(experiment) if train else _done(experiment)
    _begin(experiment)
    drawn: list[Path] = []
    for part, store, missing in parts:
        terminal.note(f"{part.study.name}: {store.path} ({len(store.train)} training samples)")
        if train:
            train_missing(part.points, store, device)
        measured, figures = _measured(part, store, experiment, place)
        found[part.study.name] = measured | {"not_trained": missing}
        drawn += figures
        results = _write(experiment, found)
        if part.study.guarded:
            found[part.study.name]["fairness"] = measure_fairness(part.points, store, fair.get(part.study.name))
            results = _write(experiment, found)
    return results, [experiment.out / PAGE, experiment.out / RESULTS, *drawn]


def train_share(experiment: Experiment, device: str, share: Share) -> int:
    """Prepare what is missing and train one share of every part's runs, and nothing else: no probe, no page.

    Returns:
        How many runs are still not trained.

    Raises:
        DataMissingError: before anything is trained, if data cannot be had.
    """
    parts = _opened(experiment)
    _begin(experiment)
    for part, store, _ in parts:
        own = len(share.take(list(runs_of(part.points))))
        terminal.note(f"{part.study.name}: {store.path}, share {share}: {own} runs")
        train_missing(part.points, store, device, share)
    states = [run.state(store) for part, store, _ in parts for run in runs_of(part.points)]
    return sum(state in ("missing", "half done") for state in states)


def _begin(experiment: Experiment) -> None:
    """Mark the folder as the experiment's."""
    make_folder(experiment.out)
    files.write_json(experiment.out / PLAN, {"recipe": experiment.name, "scale": experiment.scale})


def _write(experiment: Experiment, found: Mapping[str, Any]) -> dict[str, Any]:
    """Write what was found so far, and return what ``results.json`` holds."""
    results = _results(experiment, found)
    files.write_json(experiment.out / RESULTS, results)
    files.write_text(experiment.out / PAGE, page_text(results))
    return results


def _opened(experiment: Experiment) -> list[tuple[Part, Store, list[str]]]:
    """Every part with its data, made now where they are missing, its runs checked against them."""
    stores = [_prepared(part) for part in experiment.parts]
    for part, store in zip(experiment.parts, stores, strict=True):
        _check(part, store)
    return [(part, store, []) for part, store in zip(experiment.parts, stores, strict=True)]


def _done(experiment: Experiment) -> list[tuple[Part, Store, list[str]]]:
    """The parts with the runs that are done, and the names of the others; parts without any are left out."""
    found = []
    for part in experiment.parts:
        if not part.prepared:
            if any(run.exists for run in runs_of(part.points)):
                terminal.note(
                    f"{part.study.name}: its runs are left out, because its data are not prepared: contextssl prepare "
                    f"{part.study.dataset}"
                )
            continue
        store = _prepared(part)
        points, missing = [], []
        for point in part.points:
            runs = tuple(run for run in point.runs if run.state(store) == "done")
            missing += point.names(run for run in point.runs if run not in runs)
            points += [replace(point, runs=runs)] if runs else []
        if points:
            done = replace(part, points=points)
            _check(done, store)
            found.append((done, store, missing))
    if not found:
        raise UsageError(f"no run of {experiment.name} is done yet; leave out --no-train")
    return found


def _check(part: Part, store: Store) -> None:
    """Refuse runs that are of other data, and data of which a fairness table is asked and cannot be made."""
    if part.study.guarded:
        sensitive_attribute(part.points, store.schema)
    for run in runs_of(part.points):
        run.check(store)


def _measured(
    part: Part, store: Store, experiment: Experiment, place: torch.device
) -> tuple[dict[str, Any], list[Path]]:
    """Results of a part whose runs are trained, and the figures drawn."""
    probed = probe_points(part.points, place, **part.study.probe.asked())
    tables = [
        _with_published(table, part, experiment.recipe)
        for name in part.study.tables
        for table in TABLES[name](probed)
    ]  # fmt: skip
    figures = draw_part(part, store, probed, tables, experiment.out)
    return _part_results(part, store, probed, tables, figures), figures


def _prepared(part: Part) -> Store:
    """The data of a study, made now if they are not there."""
    dataset = registry().dataset(part.study.dataset)
    if not part.prepared:
        terminal.note(f"preparing {dataset.name} from {part.source or 'its own source'}")
    with parts_progress(dataset.name) as report:
        return prepare(dataset, part.source, part.store, options=part.study.prepare, report=report)


def _load(experiment: Experiment) -> tuple[dict[str, Any], dict[str, Any]]:
    """The results of studies that were run before with the same recipe, and the fairness tables of any, by name.

    Raises:
        CorruptFileError: if the file that stands there holds something else.
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
        page_text(_results(experiment, same))  # what is kept of it can be written again
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise CorruptFileError(
            f"{path} is not a result of contextssl reproduce {experiment.name} --scale {experiment.scale}, or is "
            "damaged; move it away: what is trained and probed is not done again"
        ) from error
    return same, {name: part["fairness"] for name, part in parts.items() if "fairness" in part}


def _is_study(written: Mapping[str, Any], study: Study | None) -> bool:
    """Whether a study is as it was written, whatever the number of its seeds; keys not known then have defaults."""
    try:
        return study is not None and Study.model_validate(written).limited(1) == study.limited(1)
    except ValidationError:
        return False


def _with_published(table: ResultTable, part: Part, recipe: Recipe) -> ResultTable:
    chosen: list[Published] = [
        published for published in recipe.published
        if published.table == table.name and part.study.name in (published.studies or (part.study.name,))
    ]  # fmt: skip
    figures: dict[str, dict[str, float]] = {}
    for published in chosen:
        for row, line in published.figures.items():
            figures.setdefault(row, {}).update(line)
    return ResultTable(
        table.name, table.title, table.probes, table.rows, figures, [published.source for published in chosen]
    )


def _part_results(
    part: Part, store: Store, probed: Sequence[Probed], tables: Sequence[ResultTable], figures: Sequence[Path]
) -> dict[str, Any]:
    return {
        "study": part.study.model_dump(mode="json"),
        "store": {
            "path": str(store.path),
            "hash": store.content_hash,
            "train": len(store.train),
            "test": len(store.test),
        },
        "tables": [table.as_dict() for table in tables],
        "figures": [path.name for path in figures],
        "points": [point.as_dict() for point in probed],
        "left_out": part.left_out,
    }


def _results(experiment: Experiment, found: Mapping[str, Any]) -> dict[str, Any]:
    recipe = experiment.recipe
    ordered = [found[study.name] for study in recipe.studies(experiment.scale) if study.name in found]
    missing = [study.name for study in recipe.studies(experiment.scale) if study.name not in found]
    return {
        "name": experiment.name,
        "scale": experiment.scale,
        "title": recipe.title,
        "summary": recipe.summary,
        "published_note": recipe.published_note,
        "parts": ordered,
        "not_run": missing,
        "versions": versions(),
    }
