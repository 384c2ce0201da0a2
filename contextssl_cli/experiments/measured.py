"""Runs that were measured elsewhere: on other machines, or before their folders were removed.

``reproduce`` writes what every run was found to know into ``results.json``. That file alone can stand for the runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from contextssl_cli import files
from contextssl_cli.errors import CorruptFileError, DataMissingError, UsageError, invalid_value
from contextssl_cli.evaluation.config import ProbeConfig
from contextssl_cli.evaluation.probe_report import ProbeReport
from contextssl_cli.evaluation.results import ENCODER
from contextssl_cli.evaluation.stored import RESULTS, checked_report
from contextssl_cli.report.terminal import terminal
from contextssl_cli.training.clock import TrainingTime
from contextssl_cli.training.config import TrainConfig
from contextssl_cli.training.settings import changed_settings


class _Written(BaseModel):
    """Of a file or an object in it, the keys that are read here."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Store(_Written):
    hash: str
    train: int
    test: int


class _Study(_Written):
    name: str
    plugin: str
    prepare: dict[str, Any]


class _Point(_Written):
    label: str
    seconds: list[float | None]
    processor_seconds: list[float | None] = []
    """Empty in files of earlier versions."""
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

    Attributes:
        plugin: the data set with its action types.
        options: of the data set.
        samples: of the training and the test split; None where the data are not prepared.
    """

    plugin: str
    options: dict[str, Any]
    samples: tuple[int, int] | None

    def unlike(self, other: Data) -> str:
        """What differs, in words; empty if nothing that is known does."""
        if self.plugin != other.plugin:
            return f"it is of {self.plugin}, not of {other.plugin}"
        if self.options != other.options:
            return f"its data have the options {self.options}, not {other.options}"
        if self.samples and other.samples and self.samples != other.samples:
            return f"its data have {_count(self.samples)}, not {_count(other.samples)}"
        return ""


@dataclass(frozen=True)
class Measured:
    """What one run was found to know.

    Attributes:
        path: of the file that tells it.
        data: that it was trained on.
        report: of this run alone.
        time: of training.
        config: that it was trained with.
        probes: that it was read by.
        content: the hash of its data.
    """

    path: Path
    data: Data
    report: ProbeReport
    time: TrainingTime
    config: TrainConfig
    probes: ProbeConfig
    content: str

    def store(self) -> dict[str, Any]:
        """What ``results.json`` tells of its data, which need not be on this machine."""
        train, test = self.data.samples or (None, None)
        return {"path": None, "hash": self.content, "train": train, "test": test}

    def unlike(self, data: Data, config: TrainConfig, probes: ProbeConfig) -> str:
        """Why it cannot stand for a planned run; empty if it can."""
        if reason := self.data.unlike(data):
            return reason
        for key, (old, new) in changed_settings(self.config, config.model_dump()).items():
            return f"it was trained with {key} = {old}, not {new}"
        for key, value in probes:
            if getattr(self.probes, key) != value:
                return f"its probes had {key} = {getattr(self.probes, key)}, not {value}"
        return ""


Key = tuple[str, str, int]
"""Study, row and seed."""
Elsewhere = dict[Key, list[Measured]]
"""Runs by what they may stand for, in the order of the files."""


def read_measured(paths: Sequence[Path], name: str, scale: str, studies: Collection[str]) -> Elsewhere:
    """The runs that result files of ``reproduce`` tell of.

    Args:
        paths: ``results.json`` files of one experiment.
        name: of the experiment.
        scale: that it is run at.
        studies: that are run; those of others are left out.

    Raises:
        DataMissingError: if there is no such file.
        CorruptFileError: if it is no result of ``reproduce``, or damaged.
        UsageError: if it is of another experiment.
    """
    found: Elsewhere = {}
    for path in paths:
        for key, measured in _runs(path, name, scale, studies):
            found.setdefault(key, []).append(measured)
    return found


def _runs(path: Path, name: str, scale: str, studies: Collection[str]) -> Iterator[tuple[Key, Measured]]:
    if path.is_dir():
        raise DataMissingError(f"--measured {path}: it is a folder; name its {RESULTS}")
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
        if part.study.name not in studies:
            continue
        data = Data(part.study.plugin, part.study.prepare, (part.store.train, part.store.test))
        for point in part.points:
            report = checked_report(path, point.report)
            configs, probes = _settings(path, point.label, report)
            _check_whole(path, point, report, probes, [config.seed for config in configs])
            try:
                reports = report.by_run()
            except UsageError as error:
                count = f"{len(configs)} runs" if len(configs) > 1 else "a run"
                terminal.note(f"{path}: {part.study.name}, {point.label}: {count} not taken: {error}")
                continue
            for one, time, config in zip(reports, _times(point), configs, strict=True):
                key = (part.study.name, point.label, config.seed)
                content = one.protocol["runs"][0].get("store_hash", part.store.hash)  # earlier versions do not tell it
                yield key, Measured(path, data, one, time, config, probes, content)


def _times(point: _Point) -> list[TrainingTime]:
    processor = point.processor_seconds or [None] * len(point.seconds)
    return [TrainingTime(*both) for both in zip(point.seconds, processor, strict=True)]


def _settings(path: Path, label: str, report: ProbeReport) -> tuple[list[TrainConfig], ProbeConfig]:
    try:
        configs = [TrainConfig.model_validate(_with_seed(run["config"])) for run in report.protocol["runs"]]
        return configs, ProbeConfig.model_validate(report.protocol["probes"])
    except ValidationError as error:
        raise CorruptFileError(f"{path} is damaged, or of another version: {label}: {invalid_value(error)}") from error


def _with_seed(config: dict[str, Any]) -> dict[str, Any]:
    """The seed has a default, which must not stand for one that is lost."""
    return {"seed": None, **config}


def _check_whole(path: Path, point: _Point, report: ProbeReport, probes: ProbeConfig, seeds: list[int]) -> None:
    """Refuse a row whose figures are not those of its runs.

    Raises:
        CorruptFileError: naming what is wrong.
    """
    wrong = ""
    if len(set(seeds)) < len(seeds):
        wrong = "a seed stands twice"
    elif len(point.seconds) != len(seeds) or len(point.processor_seconds) not in (0, len(seeds)):
        wrong = "a run without seconds, or the reverse"
    elif any(len(row.values) not in (0, len(seeds)) or row.seeds != seeds for row in report.rows):
        wrong = "a figure has not one value for each run"
    elif "r2" in probes.metrics:
        wanted = len(seeds) if report.lengths else 0
        read = {row.target for row in report.rows if (row.environment, row.metric) == (ENCODER, "r2")}
        if {len(report.gaps), len(report.clipped_gaps)} != {wanted}:
            wrong = "a run without an adaptation gap, or the reverse"
        elif not read >= set(report.actions):
            wrong = "an R2 is missing"
    if wrong:
        raise CorruptFileError(f"{path} is damaged: {point.label}: {wrong}")


def _count(samples: tuple[int, int]) -> str:
    return "{} training and {} test samples".format(*samples)
