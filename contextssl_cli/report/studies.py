"""What a page shows of ``contextssl sweep`` and ``reproduce`` beside their points' reports: the tables over them."""

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
from contextssl_cli.report.fairness import FAIRNESS_NOTE, fairness_tables
from contextssl_cli.report.inline_svg import Picture, inline_svg
from contextssl_cli.report.reproduce import sweep_command
from contextssl_cli.report.result_table import ResultTable
from contextssl_cli.report.sweep import Settings, draw_sweep, is_drawn
from contextssl_cli.report.tables import TextTable

_SWEPT = "Figures against what is varied: the mean over the runs, with one sample standard deviation of several."


class _Cell(Checked):
    mean: float
    std: float = Field(ge=0)
    runs: int = Field(ge=1)


class _Table(Checked):
    name: str
    title: str
    probes: list[str]
    rows: dict[str, dict[str, _Cell]]
    published: dict[str, dict[str, float]]
    sources: list[str]


class _Sweep(Checked):
    task: str
    vary: dict[str, list[Any]] = Field(min_length=1)
    seeds: list[int] = Field(min_length=1)
    store: Path
    table: _Table
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
        command: that makes it; empty where a plugin of a sweep is not installed.
        tables: over its points, with the published figures beside them.
        notes: what is said below the tables.
        pictures: of a sweep.
    """

    title: str
    command: str
    tables: list[TextTable]
    notes: list[str]
    pictures: list[Picture]


def studies_of(results: Sequence[Path]) -> list[StudyView]:
    """The studies in files of ``contextssl reproduce`` and the sweeps in those of ``sweep``; other results have none.

    Raises:
        DataMissingError: if there is no such file.
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
            raise CorruptFileError(f"{path} is damaged: {invalid_value(error)}; make it again") from error
        except (LookupError, TypeError, AttributeError) as error:
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
    tables = [_table(table) for table in part["tables"]]
    fair = fairness_tables(_Fairness.model_validate(part["fairness"]).model_dump()) if "fairness" in part else []
    settings = {point["label"]: point["values"] for point in part["points"]}
    return StudyView(
        title=f"{values['name']} --scale {values['scale']}: {name}",
        command=shlex.join(words),
        tables=[*(table.text() for table in tables), *fair],
        notes=[*_notes(tables), *_state(values, part), *([FAIRNESS_NOTE] if fair else [])],
        pictures=[picture for table in tables for picture in _pictures(table, settings, prefix)],
    )


def _source(plugin: str) -> list[str]:
    """The flag for data that a user has to bring."""
    name = plugin.partition("-")[0]
    known = registry().datasets.get(name)
    return ["--source", f"{name}=DIR"] if known and known.needs_source else []


def _state(values: Mapping[str, Any], part: Mapping[str, Any]) -> list[str]:
    """What of the study is not there or left out, and how it differs from what was published."""
    lists = {
        "Not trained yet": part["not_trained"],
        "Left out by --limit-seeds": part.get("left_out", []),  # nor is it in files of earlier versions
    }
    told = [f"{words}: {', '.join(names)}." for words, names in lists.items() if names]
    differs = f"What differs from the paper: {part['study']['differs']}"
    return [*told, differs, *([values["published_note"]] if values["published_note"] else [])]


def _sweep(path: Path, written: Mapping[str, Any], prefix: str) -> StudyView:
    values = _Sweep.model_validate(written).model_dump()
    table = _table(values["table"])
    report = checked_report(path, values["points"][0]["report"])
    settings = {point["label"]: point["values"] for point in values["points"]}
    return StudyView(
        title=f"{values['task']}: sweep of {', '.join(values['vary'])}",
        command=sweep_command(report, values["vary"], values["seeds"], values["store"]),
        tables=[table.text()],
        notes=_notes([table]),
        pictures=_pictures(table, settings, prefix),
    )


def _table(values: Mapping[str, Any]) -> ResultTable:
    return ResultTable.from_dict(_Table.model_validate(values).model_dump())


def _notes(tables: Sequence[ResultTable]) -> list[str]:
    """By which probes the figures are, and where published ones are from."""
    told = dict.fromkeys(table.by() for table in tables)
    sources = dict.fromkeys(source for table in tables for source in table.sources)
    return [f"By {'; '.join(told)}."] + [f"Published: {source}" for source in sources]


def _pictures(table: ResultTable, settings: Settings, prefix: str) -> list[Picture]:
    if table.name != "sweep" or not is_drawn(table):
        return []
    varied = ", ".join(dict.fromkeys(key for values in settings.values() for key in values))
    return [Picture(inline_svg(partial(draw_sweep, table, settings), prefix, f"Figures by {varied}"), _SWEPT)]
