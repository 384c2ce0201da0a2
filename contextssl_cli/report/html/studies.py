"""The parts of a page about ``contextssl sweep`` and ``reproduce``: the tables over the points of a study."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from contextssl_cli import files
from contextssl_cli.errors import CorruptFileError, invalid_value
from contextssl_cli.evaluation.results import FairnessRow
from contextssl_cli.evaluation.stored import Checked, checked_report
from contextssl_cli.plugin.registry import registry
from contextssl_cli.report.figures import SweptValues, draw_sweep, has_panels
from contextssl_cli.report.html.commands import sweep_command
from contextssl_cli.report.html.inline_svg import Picture, inline_svg
from contextssl_cli.report.probe_tables import FAIRNESS_NOTE, study_fairness_tables
from contextssl_cli.report.tables import ResultTable, TextTable

_SWEPT = "Figures against the varied setting: the mean over the runs, and one sample standard deviation."


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
    """A study of an experiment, or a sweep.

    Attributes:
        title: its name.
        command: that reproduces it; empty if a plugin of a sweep is not installed.
        tables: over its points, with the published figures next to them.
        notes: the paragraphs below the tables.
        pictures: of a sweep.
    """

    title: str
    command: str
    tables: list[TextTable]
    notes: list[str]
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
    words = ["contextssl", "reproduce", values["name"], "--scale", values["scale"], "--only", name]
    words += _source(part["study"]["plugin"])
    tables = [ResultTable.from_dict(table) for table in part["tables"]]
    fair = study_fairness_tables(_Fairness.model_validate(part["fairness"]).model_dump()) if "fairness" in part else []
    varied = {point["label"]: point["values"] for point in part["points"]}
    return StudyView(
        title=f"{values['name']} --scale {values['scale']}: {name}",
        command=shlex.join(words),
        tables=[*(table.text() for table in tables), *fair],
        notes=[*_notes(tables), *_state(values, part), *([FAIRNESS_NOTE] if fair else [])],
        pictures=[picture for table in tables for picture in _pictures(table, varied, prefix)],
    )


def _source(plugin: str) -> list[str]:
    """The flag for data that a user has to provide."""
    name = plugin.partition("-")[0]
    known = registry().datasets.get(name)
    return ["--source", f"{name}=DIR"] if known and known.needs_source else []


def _state(values: Mapping[str, Any], part: Mapping[str, Any]) -> list[str]:
    """Which runs are missing or left out, and how the study differs from the paper."""
    lists = {"Not trained yet": part["not_trained"], "Left out by --limit-seeds": part["left_out"]}
    missing = [f"{words}: {', '.join(names)}." for words, names in lists.items() if names]
    differs = f"What differs from the paper: {part['study']['differs']}"
    return [*missing, differs, *([values["published_note"]] if values["published_note"] else [])]


def _sweep(path: Path, written: Mapping[str, Any], prefix: str) -> StudyView:
    values = _Sweep.model_validate(written).model_dump()
    table = ResultTable.from_dict(values["table"])
    report = checked_report(path, values["points"][0]["report"])
    varied = {point["label"]: point["values"] for point in values["points"]}
    return StudyView(
        title=f"{values['task']}: sweep of {', '.join(values['vary'])}",
        command=sweep_command(report, values["vary"], values["seeds"], values["store"]),
        tables=[table.text()],
        notes=_notes([table]),
        pictures=_pictures(table, varied, prefix),
    )


def _notes(tables: Sequence[ResultTable]) -> list[str]:
    """The probes of the figures, and the sources of published ones."""
    probes = dict.fromkeys(table.by() for table in tables)
    sources = dict.fromkeys(source for table in tables for source in table.sources)
    return [f"By {'; '.join(probes)}."] + [f"Published: {source}" for source in sources]


def _pictures(table: ResultTable, varied: SweptValues, prefix: str) -> list[Picture]:
    if table.name != "sweep" or not has_panels(table):
        return []
    keys = ", ".join(dict.fromkeys(key for values in varied.values() for key in values))
    return [Picture(inline_svg(partial(draw_sweep, table, varied), prefix, f"Figures by {keys}"), _SWEPT)]
