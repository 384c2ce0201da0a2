"""The text of ``contextssl sweep`` and ``reproduce``: paragraphs and tables of each study, for Markdown and HTML."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from contextssl_cli import files
from contextssl_cli.config.probe import ProbeConfig
from contextssl_cli.errors import CorruptFileError, invalid_value
from contextssl_cli.evaluation.results import FairnessRow
from contextssl_cli.evaluation.stored import Checked, checked_report
from contextssl_cli.plugin.registry import registry
from contextssl_cli.report.figures import SweptValues, draw_sweep, panels_of
from contextssl_cli.report.html.commands import sweep_command
from contextssl_cli.report.html.inline_svg import Picture, inline_svg
from contextssl_cli.report.probe_tables import FAIRNESS_NOTE, study_fairness_tables
from contextssl_cli.report.tables import ResultTable, TextTable

_SWEPT = "Figures against the varied setting: the mean over the runs, and one sample standard deviation."
_MACHINE = ("platform", "cpus")  # listed among the versions

PageBlock = str | TextTable
"""A paragraph, or a table with its title."""


class _Sweep(Checked):
    task: str
    vary: dict[str, list[Any]] = Field(min_length=1)
    seeds: list[int] = Field(min_length=1)
    store: Path
    table: dict[str, Any]
    points: list[dict[str, Any]] = Field(min_length=1)


class _Fairness(Checked):
    attribute: str
    tasks: list[str]
    support: dict[str, dict[str, dict[str, dict[str, int]]]]
    rows: list[FairnessRow]


@dataclass(frozen=True)
class StudyView:
    """A study of an experiment, or a sweep, on an HTML page.

    Attributes:
        title: its name.
        command: that reproduces it; empty if a plugin of a sweep is not installed.
        blocks: paragraphs and tables.
        pictures: of a sweep.
    """

    title: str
    command: str
    blocks: list[PageBlock]
    pictures: list[Picture]


def studies_of(results: Sequence[Path]) -> list[StudyView]:
    """The studies in result files of ``contextssl reproduce`` and the sweeps in those of ``sweep``.

    Raises:
        DataMissingError: if a file does not exist.
        CorruptFileError: if it is not JSON, or a table is damaged.
    """
    views: list[StudyView] = []
    for path in results:
        values = files.read_json(path)
        try:
            for part in values.get("parts", []):
                views.append(_study(values, part, f"s{len(views) + 1}-"))
            if "vary" in values:
                views.append(_sweep(path, values, f"s{len(views) + 1}-"))
        except ValidationError as error:
            raise CorruptFileError(f"{path} is damaged: {invalid_value(error)}; run the command again") from error
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise CorruptFileError(f"{path} is not a result of sweep or reproduce, or is damaged") from error
    titles = [view.title for view in views]
    return [
        replace(view, title=f"{view.title} ({titles[:number].count(view.title) + 1})")
        if titles.count(view.title) > 1
        else view
        for number, view in enumerate(views)
    ]


def _study(values: Mapping[str, Any], part: Mapping[str, Any], prefix: str) -> StudyView:
    name = part["study"]["name"]
    dataset = part["study"]["plugin"].partition("-")[0]
    known = registry().datasets.get(dataset)
    source = ["--source", f"{dataset}=DIR"] if known and known.needs_source else []
    words = ["contextssl", "reproduce", values["name"], "--scale", values["scale"], "--only", name]
    varied = {point["label"]: point["values"] for point in part["points"]}
    note = [values["published_note"]] if values["published_note"] else []
    return StudyView(
        title=f"{values['name']} --scale {values['scale']}: {name}",
        command=shlex.join([*words, *source]),
        blocks=[*note, *study_blocks(part, values["versions"])],
        pictures=[one for table in part["tables"] for one in _pictures(ResultTable.from_dict(table), varied, prefix)],
    )


def _sweep(path: Path, written: Mapping[str, Any], prefix: str) -> StudyView:
    values = _Sweep.model_validate(written)
    table = ResultTable.from_dict(values.table)
    report = checked_report(path, values.points[0]["report"])
    varied = {point["label"]: point["values"] for point in values.points}
    return StudyView(
        title=f"{values.task}: sweep of {', '.join(values.vary)}",
        command=sweep_command(report, values.vary, values.seeds, values.store),
        blocks=_table_blocks(table),
        pictures=_pictures(table, varied, prefix),
    )


def study_blocks(part: Mapping[str, Any], versions: Mapping[str, str]) -> list[PageBlock]:
    """Data, budget, what is missing, tables with their probes, and runs of one study of ``results.json``.

    Args:
        part: of ``parts``.
        versions: of the packages that made the results.
    """
    study, store = part["study"], part["store"]
    blocks: list[PageBlock] = [
        f"Data: {study['plugin']}, {store['train']:,} training and {store['test']:,} test samples (content "
        f"{store['hash'][:12]}). Budget: {study['budget_minutes']:g} minutes a run ({study['budget_from']}). Probes "
        f"are fitted to the training split and judged on the test split: {_probes(part['points'][0])}.",
        f"What differs from the paper: {study['differs']}",
    ]
    for words, names in {"Not trained yet": part["not_trained"], "Left out by --limit-seeds": part["left_out"]}.items():
        blocks += [f"{words}: {', '.join(names)}."] if names else []
    blocks += _other_origins(part, versions)
    for table in part["tables"]:
        blocks += _table_blocks(ResultTable.from_dict(table))
    if "fairness" in part:
        blocks += study_fairness_tables(_Fairness.model_validate(part["fairness"]).model_dump())
        blocks.append(FAIRNESS_NOTE)
    return [*blocks, _runs(part["points"])]


def _table_blocks(table: ResultTable) -> list[PageBlock]:
    return [table.text(), f"By: {table.by()}.", *(f"Published: {source}" for source in table.sources)]


def _other_origins(part: Mapping[str, Any], versions: Mapping[str, str]) -> list[str]:
    """Which runs were trained on other content or by other versions than the page's."""
    found: dict[str, list[str]] = {}
    for point in part["points"]:
        for run in point["report"]["protocol"]["runs"]:
            name = f"{point['label']} (seed {run['config']['seed']})"
            if run["store_hash"] != part["store"]["hash"]:
                content = f"On data made with the same options, whose content is {run['store_hash'][:12]}"
                found.setdefault(content, []).append(name)
            other = [f"{package} {version}" for package, version in run["versions"].items()
                     if package not in _MACHINE and versions.get(package, version) != version]  # fmt: skip
            if other:
                found.setdefault(f"By {', '.join(other)}", []).append(name)
    lines = [f"{origin}: {', '.join(names)}." for origin, names in sorted(found.items(), reverse=True)]
    return [" ".join(lines)] if lines else []


def _probes(point: Mapping[str, Any]) -> str:
    config = ProbeConfig.model_validate(point["report"]["protocol"]["probes"])
    lengths = ", ".join(map(str, config.context_lengths))
    return (
        f"actions {config.action_epochs} epochs, labels {config.label_epochs} epochs, pairs of views of each sample "
        f"{config.views}, context lengths {lengths} tokens, probe seed {config.seed}"
    )


def _runs(points: Sequence[Mapping[str, Any]]) -> TextTable:
    rows = []
    for point in points:
        configs = [run["config"] for run in point["report"]["protocol"]["runs"]]
        length = f"{configs[0]['steps']} steps" if configs[0]["steps"] else f"{configs[0]['epochs']} epochs"
        seeds = ", ".join(str(config["seed"]) for config in configs)
        spent = [_minutes(point[key]) for key in ("seconds", "processor_seconds")]
        rows.append([point["label"], seeds, length, str(configs[0]["batch_size"]), *spent])
    header = ["run", "seeds", "trained for", "pairs a step", "minutes of training, mean", "minutes of processor, mean"]
    return TextTable("Runs", header, rows)


def _minutes(seconds: Sequence[float | None]) -> str:
    """The mean over the runs with a record."""
    known = [value for value in seconds if value is not None]
    if not known:
        return "not known"
    return f"{statistics.fmean(known) / 60:.1f}" + (f" (of {len(known)})" if len(known) < len(seconds) else "")


def _pictures(table: ResultTable, varied: SweptValues, prefix: str) -> list[Picture]:
    if table.name != "sweep" or not panels_of(table):
        return []
    keys = ", ".join(dict.fromkeys(key for values in varied.values() for key in values))
    return [Picture(inline_svg(partial(draw_sweep, table, varied), prefix, f"Figures by {keys}"), _SWEPT)]
