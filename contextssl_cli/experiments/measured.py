"""Runs that were measured elsewhere: on other machines, or before their folders were removed.

``reproduce`` writes what every run was found to know into ``results.json``. That file alone can stand for the runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from contextssl_cli import files
from contextssl_cli.errors import CorruptFileError, UsageError, invalid_value
from contextssl_cli.evaluation.config import ProbeConfig
from contextssl_cli.evaluation.protocol import ProbeReport
from contextssl_cli.evaluation.stored import checked_report
from contextssl_cli.report.terminal import terminal
from contextssl_cli.training.config import TrainConfig, changed_settings


class _Written(BaseModel):
    """Of a file or an object in it, the keys that are read here."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Store(_Written):
    train: int
    test: int


class _Study(_Written):
    name: str
    plugin: str
    prepare: dict[str, Any]


class _Point(_Written):
    label: str
    seconds: list[float | None]
    report: dict[str, Any]


class _Part(_Written):
    study: _Study
    store: _Store
    points: list[_Point]


class _File(_Written):
    name: str
    scale: str
    parts: list[_Part]


@dataclass(frozen=True)
class Data:
    """What a study's runs are trained on, as far as it is not this machine's alone.

    The content of a store is not part of it: rendered or resized on another processor, images may differ in a few
    bits. The page names the contents.
    """

    plugin: str
    options: dict[str, Any]
    train: int
    test: int

    def __str__(self) -> str:
        options = "".join(f", {key} = {value}" for key, value in self.options.items())
        return f"{self.plugin} with {self.train} training and {self.test} test samples{options}"


@dataclass(frozen=True)
class Measured:
    """What one run was found to know.

    Attributes:
        path: of the file that tells it.
        label: of its row.
        data: the data set with its action types and options, and the numbers of training and test samples.
        report: of this run alone.
        seconds: of training; None where it does not tell.
        config: that it was trained with.
        probes: that it was read by.
    """

    path: Path
    label: str
    data: Data
    report: ProbeReport
    seconds: float | None
    config: TrainConfig
    probes: ProbeConfig

    def unlike(self, data: Data, config: TrainConfig, probes: ProbeConfig) -> str:
        """Why it cannot stand for a planned run; empty if it can."""
        if self.data != data:
            return f"it is of {self.data}, not of {data}"
        for key, (old, new) in changed_settings(self.config, config.model_dump()).items():
            return f"it was trained with {key} = {old}, not {new}"
        return "" if self.probes == probes else "its probes had other settings"


Elsewhere = dict[tuple[str, str, int], Measured]
"""Runs by study, row and seed."""


def read_measured(paths: Sequence[Path], name: str, scale: str) -> Elsewhere:
    """The runs that result files of ``reproduce`` tell of; of two that are alike the first file's counts.

    Args:
        paths: ``results.json`` files of one experiment.
        name: of the experiment.
        scale: that it is run at.

    Raises:
        DataMissingError: if there is no such file.
        CorruptFileError: if it is no result of ``reproduce``, or damaged.
        UsageError: if it is of another experiment.
    """
    found: Elsewhere = {}
    for path in paths:
        for key, measured in _runs(path, name, scale):
            found.setdefault(key, measured)
    return found


def _runs(path: Path, name: str, scale: str) -> Iterator[tuple[tuple[str, str, int], Measured]]:
    try:
        written = _File.model_validate(files.read_json(path))
    except ValidationError as error:
        raise CorruptFileError(
            f"{path} is not a result of contextssl reproduce, or is damaged: {invalid_value(error)}"
        ) from error
    if (written.name, written.scale) != (name, scale):
        held = f"{written.name} --scale {written.scale}"
        raise UsageError(f"--measured {path}: it holds {held}, not {name} --scale {scale}")
    for part in written.parts:
        data = Data(part.study.plugin, part.study.prepare, part.store.train, part.store.test)
        for point in part.points:
            report = checked_report(path, point.report)
            try:
                reports = report.by_run()
            except UsageError as error:
                terminal.note(f"{path}: {part.study.name}, {point.label}: not taken, {error}")
                continue
            if len(point.seconds) != len(reports):
                raise CorruptFileError(f"{path} is damaged: {point.label}: a run without seconds, or the reverse")
            for one, seconds in zip(reports, point.seconds, strict=True):
                yield (part.study.name, point.label, one.seeds[0]), _measured(path, point.label, data, one, seconds)


def _measured(path: Path, label: str, data: Data, report: ProbeReport, seconds: float | None) -> Measured:
    try:
        config = TrainConfig.model_validate(report.protocol["runs"][0]["config"])
        probes = ProbeConfig.model_validate(report.protocol["probes"])
    except ValidationError as error:
        raise CorruptFileError(f"{path} is damaged, or of another version: {label}: {invalid_value(error)}") from error
    return Measured(path, label, data, report, seconds, config, probes)
