"""Reads the files of results that commands write, and checks them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contextssl_cli import files
from contextssl_cli.config.probe import ProbeConfig
from contextssl_cli.errors import CorruptFileError, UsageError, invalid_value
from contextssl_cli.evaluation.comparison import Comparison
from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.text import printable

RESULTS = "results.json"
COMPARISON = "comparison.json"
SWEEP = "sweep.json"
RESULT_FILES = (RESULTS, COMPARISON, SWEEP, "sweep-held-out.json")
"""Of a folder, the first that is there is the folder's result."""

_Valid = TypeVar("_Valid")

REPORT_KEYS = ("task", "adaptation_gap", "results")
COMPARISON_KEYS = ("task", "adaptation_gap", "reports")
SWEEP_KEYS = ("task", "vary", "points")


def check_results(folder: Path, name: str, keys: Sequence[str], others: Sequence[str] = ()) -> None:
    """Refuse a folder in which files of another program would be replaced.

    Args:
        folder: of the results.
        name: of the JSON file. It is written first, so it decides whose files the others are.
        keys: that the JSON file has.
        others: names of the other files.

    Raises:
        UsageError: naming a file that is not ours, or no regular file.
    """
    paths = [files.check_output(folder / one) for one in (name, *others)]
    taken = [path for path in paths if path.exists() and path.stat().st_size]
    if taken and not (taken[0] == paths[0] and files.is_own_json(paths[0], *keys)):
        raise UsageError(
            f"{printable(taken[0])} is not a result of this command and is not replaced; choose another --out, or move "
            "it away"
        )


class Checked(BaseModel):
    """A part of a result file: its figures are numbers."""

    model_config = ConfigDict(allow_inf_nan=False)


class _Config(Checked):
    """The settings that titles and tables use; all others are shown as they are."""

    seed: int
    method: str = ""
    equivariant: list[str] = []


class _Run(Checked):
    folder: str
    fingerprint: str
    step: int
    steps: int | None
    config: _Config
    versions: dict[str, str]


class _Protocol(Checked):
    probes: ProbeConfig
    splits: str
    runs: list[_Run] = Field(min_length=1)
    store_hash: str
    versions: dict[str, str]


class _Result(Checked):
    protocol: _Protocol


class _Point(Checked):
    family: str
    adaptation_gaps: list[float]
    adaptation_gaps_paper: list[float]
    report: dict[str, Any]


class _Comparison(Checked):
    adaptation_gaps: list[float] = Field(min_length=1)
    adaptation_gaps_paper: list[float] = Field(min_length=1)
    reports: list[dict[str, Any]] = Field(min_length=1)


def read_results(path: Path) -> list[ProbeReport | Comparison]:
    """What ``contextssl probe``, ``sweep`` or ``reproduce`` wrote: of the latter two the report of every point.

    Points of one method that are conditioned on different action types form one comparison.

    Raises:
        DataMissingError: if there is no such file.
        CorruptFileError: if it is not JSON, not a result, or a figure that it promises is missing.
    """
    values = files.read_json(path)
    parts = values.get("parts", [values] if "points" in values else None)
    if parts is None:
        return [_read(path, values)]
    try:
        return [one for part in parts for one in _of_points(path, part["points"])]
    except (KeyError, TypeError) as error:
        raise CorruptFileError(f"{path} is not a result of contextssl sweep or reproduce, or is damaged") from error


def _of_points(path: Path, points: list[dict[str, Any]]) -> list[ProbeReport | Comparison]:
    families: dict[str, list[_Point]] = {}
    for values in points:
        point = _checked(path, _Point.model_validate, values)
        families.setdefault(point.family, []).append(point)
    found: list[ProbeReport | Comparison] = []
    for members in families.values():
        reports = [checked_report(path, point.report) for point in members]
        gaps, paper_gaps = members[0].adaptation_gaps, members[0].adaptation_gaps_paper
        between = len(members) > 1 and gaps and not reports[0].gaps
        found += [Comparison(reports, gaps, paper_gaps)] if between else reports
    return found


def read_result(path: Path) -> ProbeReport | Comparison:
    """What ``contextssl probe`` wrote.

    Raises:
        DataMissingError: if there is no such file.
        CorruptFileError: if it is not JSON, not a result, or a figure that it promises is missing.
    """
    return _read(path, files.read_json(path))


def _read(path: Path, values: dict[str, Any]) -> ProbeReport | Comparison:
    if "reports" not in values:
        return checked_report(path, values)
    found = _checked(path, _Comparison.model_validate, values)
    reports = [checked_report(path, one) for one in found.reports]
    return Comparison(reports, found.adaptation_gaps, found.adaptation_gaps_paper)


def _checked(path: Path, validate: Callable[[Any], _Valid], values: Any) -> _Valid:
    try:
        return validate(values)
    except ValidationError as error:
        raise CorruptFileError(
            f"{path} is not a result of contextssl, or is damaged: {invalid_value(error)}; run the command again"
        ) from error


def checked_report(path: Path, values: dict[str, Any]) -> ProbeReport:
    """A report whose figures can be drawn.

    Args:
        path: that it was read from.
        values: as ``ProbeReport.as_dict`` has them.

    Raises:
        CorruptFileError: if it is not one, or a figure that it promises is missing.
    """
    report = _checked(path, ProbeReport.from_dict, values)
    _checked(path, _Result.model_validate, values)
    measured = {row.key[:4] for row in report.rows}
    for metric, targets in (("r2", report.actions), ("mrr", ["view"])):
        promised = metric == "r2" and report.gaps  # they are differences of R2
        if not promised and all(row.metric != metric for row in report.rows):
            continue
        for environment, length, target in product(report.environments, report.lengths, targets):
            if (environment, length, metric, target) not in measured:
                raise CorruptFileError(
                    f"{path} is damaged: it lacks the {metric} of {target} under {environment} at {length} tokens; "
                    "probe again"
                )
    return report
