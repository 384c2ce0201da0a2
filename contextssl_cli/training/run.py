"""A run's folder: what was trained, on what, with what, and how it went.

``run.json`` (task, configuration, action blocks, schema, versions), ``metrics.jsonl``, ``checkpoint/step-N/``,
and what later commands add: ``probe/``, ``cache/``.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import logging
import platform
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Self, TypeVar, cast

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import nn

from contextssl_cli import files, paths
from contextssl_cli.config.methods import CONTEXTUAL
from contextssl_cli.config.resolve import Asked
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.cpus import cpu_count
from contextssl_cli.data.actions import ActionSpace
from contextssl_cli.errors import (
    ContextSSLError,
    CorruptFileError,
    DataMissingError,
    FileInUseError,
    UsageError,
    invalid_value,
)
from contextssl_cli.locks import locked
from contextssl_cli.methods.registry import method_of
from contextssl_cli.model.contextssl import ContextSSL
from contextssl_cli.model.encoders import EncoderModel
from contextssl_cli.store.schema import Schema
from contextssl_cli.text import printable
from contextssl_cli.training import checkpoint as checkpoints
from contextssl_cli.training.clock import TrainingTime
from contextssl_cli.training.log import CONTRAST, MetricsLog, terms_of

_log = logging.getLogger(__name__)
Result = TypeVar("Result")
VERSION = 1
RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
CHECKPOINTS = "checkpoint"
INDEX = "runs.txt"
_DERIVED = re.compile(r"cache|(probe(-\d+-runs)?|comparison)(-held-out)?")
"""The folders that probes make in a run's."""
_NEW = ".new"
"""The folder, in a run's, of a new run that is to replace it. It is there until the new run has a checkpoint."""
_NEW_RUN_FILE = "new-run.json"
"""The ``run.json`` of that run. Whoever looks for runs by the name ``run.json`` must not find it."""
_BEGUN = re.compile(r"\.lock|\.new|\.(new-)?run\.json\..*\.partial")
"""What a start that was killed can leave in the folder."""


class Numerics(BaseModel):
    """From which step on the facts held that decide how sums are rounded (``numerics.py``)."""

    model_config = ConfigDict(extra="forbid")

    from_step: int
    facts: dict[str, str]


class RunRecord(BaseModel):
    """The contents of ``run.json``."""

    model_config = ConfigDict(extra="forbid")

    version: int = VERSION
    task: str
    """As in ``pretrain --plugin``; empty for an imported checkpoint."""
    config: TrainConfig
    asked: Asked = Asked()
    """The settings that the user asked for."""
    space: ActionSpace
    schema_: Schema
    store: str
    store_hash: str
    created: str
    versions: dict[str, str]
    numerics: list[Numerics] = []
    """One entry for the start and one for each resume that changed a fact; none for an imported checkpoint."""


class Run:
    """An opened run folder.

    The weights are read once: everything that is made with one ``Run`` is of one checkpoint, also while another
    process goes on training.

    Args:
        folder: the run.
        replacing: open the new run that is to replace the one in ``folder``, for its training.

    Raises:
        DataMissingError: if there is no such run.
        CorruptFileError: if ``run.json`` is damaged or newer than this version.
    """

    def __init__(self, folder: Path, *, replacing: bool = False) -> None:
        self.folder = Path(folder)
        self._place = self.folder / _NEW if replacing else self.folder
        self._weights: checkpoints.Weights | None = None
        if self.folder.is_file():
            raise CorruptFileError(
                f"{printable(folder)} is a file, expected the folder of a run; authors' checkpoints go through "
                "contextssl import-official"
            )
        if not replacing:
            _finish_replacing(self.folder)
        if not self._record_path.is_file():
            raise DataMissingError(
                f"{printable(folder)} is not a run: it has no {RUN_FILE}; contextssl pretrain makes runs"
            )
        self.record = _read_record(self._record_path)

    @staticmethod
    def check_free(folder: Path, *, force: bool) -> None:
        """Refuse a folder in which a new run cannot begin.

        Raises:
            UsageError: if it holds anything but a run, or a run and ``force`` is not given.
        """
        if not folder.exists() or (folder.is_dir() and not holds_run(folder) and _holds_nothing(folder)):
            return
        record = folder / RUN_FILE
        foreign = record.is_file() and not files.is_own_json(record, "version", "task", "config")
        if foreign or not holds_run(folder):
            raise UsageError(f"{printable(folder)} exists and is not a run; choose another --out")
        if not force:
            raise UsageError(
                f"{printable(folder)} holds a run already; add --resume to go on with it, --force to replace it, or "
                "choose another --out"
            )

    @classmethod
    def create(cls, folder: Path, record: RunRecord, *, force: bool = False) -> Self:
        """Start a run in a new folder.

        A run that is there stays whole and usable until the new one has its first checkpoint (``save``).

        Raises:
            UsageError: if the folder holds a run, or anything else, and ``force`` is not given.
            FileInUseError: if another process trains the run in the folder.
        """
        folder = Path(folder)
        paths.make_folder(paths.home())  # of the index of runs; before hours of training
        cls.check_free(folder, force=force)
        _finish_replacing(folder)
        paths.make_folder(folder)
        with exclusive(folder):
            cls.check_free(folder, force=force)  # another process may have begun one meanwhile
            replacing = (folder / RUN_FILE).is_file()
            _drop_new(folder)  # of a process that was killed
            try:
                if replacing:
                    with _writing(folder):
                        (folder / _NEW).mkdir()
                        (folder / _NEW / METRICS_FILE).touch()
                path = folder / _NEW / _NEW_RUN_FILE if replacing else folder / RUN_FILE
                files.write_json(path, record.model_dump(mode="json"))
            except BaseException:
                _drop_new(folder)
                raise
        return cls(folder, replacing=replacing)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Keep other processes from training or replacing this run.

        At the end, a new run that has no checkpoint is dropped: the one that it was to replace stays.

        Raises:
            FileInUseError: if another process does so already, or has begun another run since this one was opened.
        """
        with exclusive(self.folder):
            self._check_current()
            checkpoints.remove_hidden(self.checkpoint_folder)  # of a process that was killed
            try:
                yield
            finally:
                if self.replacing and (self.folder / RUN_FILE).is_file():
                    _drop_new(self.folder)

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, steps: int) -> None:
        """Save a checkpoint, and enter the run in the index of runs if it is not in it.

        The first checkpoint of a new run puts that run in the place of the one that it replaces.

        Raises:
            ContextSSLError: if the disk is full; the older checkpoint stays.
        """
        checkpoints.save_checkpoint(self.checkpoint_folder, model, optimizer, step, steps)
        self._weights = None
        if self.replacing:
            _replace(self.folder)
            self._place = self.folder
        try:
            add_to_index(self.folder)
        except ContextSSLError as error:  # no reason to lose a training
            _log.warning("warning: adapt will not find %s by itself: %s", printable(self.folder), error)

    def settle(self) -> None:
        """Finish what a kill after the last checkpoint left undone: the entry in the index, and temporary files."""
        with contextlib.suppress(FileInUseError), exclusive(self.folder):
            checkpoints.remove_hidden(self.checkpoint_folder)
            add_to_index(self.folder)

    def add_numerics(self, numerics: Numerics) -> None:
        """Record under which facts the steps from ``numerics.from_step`` on are computed."""
        kept = [entry for entry in self.record.numerics if entry.from_step < numerics.from_step]
        self.record = self.record.model_copy(update={"numerics": [*kept, numerics]})
        files.write_json(self._record_path, self.record.model_dump(mode="json"))

    @property
    def replacing(self) -> bool:
        """Whether this is a new run whose first checkpoint will replace the run in its folder."""
        return self._place != self.folder

    @property
    def _record_path(self) -> Path:
        return self._place / (_NEW_RUN_FILE if self.replacing else RUN_FILE)

    @property
    def checkpoint_folder(self) -> Path:
        """Where the checkpoints are."""
        return self._place / CHECKPOINTS

    @property
    def metrics_log(self) -> MetricsLog:
        """The metrics that training logged."""
        return MetricsLog(self._place / METRICS_FILE)

    def build_model(self) -> EncoderModel:
        """The model of this run, with fresh weights; a ``ContextSSL`` if its method has a context."""
        model: EncoderModel = method_of(self.record.config).build(
            self.record.config.model, self.record.schema_, self.record.space
        )
        return model

    @property
    def resume_command(self) -> str:
        """The command that goes on with the training."""
        return shlex.join(["contextssl", "pretrain", "--resume", "--out", str(self.folder)])

    @property
    def has_context(self) -> bool:
        """Whether the run's method has a transformer, which reads contexts."""
        return self.record.config.method in CONTEXTUAL

    def require_context(self) -> None:
        """Refuse a run that knows no contexts, or none yet.

        Raises:
            UsageError: naming the run's method, or the start of its world model.
        """
        if not self.has_context:
            raise UsageError(
                f"{self.folder} was trained with {self.record.config.method}, which has no world model to read a "
                "context: contextssl probe reads its features; for a context train with --method contextssl"
            )
        if self.record.config.world_start and not self._world_begun():
            raise UsageError(
                f"{self.folder} has not begun to train its world model (world_start = "
                f"{self.record.config.world_start:g}), so it reads no context yet; go on with {self.resume_command}"
            )

    def _world_begun(self) -> bool:
        """Whether a step up to the newest checkpoint has a loss of the world model; also if there are no metrics."""
        lines = self.metrics_log.until(self.reached()[0])
        return not lines or any(CONTRAST in terms_of(line) for line in lines)

    def checkpoint(self) -> Path:
        """The newest checkpoint.

        Raises:
            DataMissingError: if there is none yet.
        """
        return self._of_newest(lambda path: path)

    def reached(self) -> tuple[int, int | None]:
        """The checkpoint's step, and how many there are to be; None where an earlier version kept no number.

        Raises:
            DataMissingError: if there is no checkpoint yet.
        """
        if self._weights is not None:
            step, steps = self._weights.step, self._weights.steps
        else:
            step, steps = self._of_newest(
                lambda path: (checkpoints.checkpoint_step(path), checkpoints.checkpoint_steps(path))
            )
        if steps is None and self.record.task:  # an imported run was trained elsewhere
            steps = self.record.config.steps
        return step, steps

    def load_model(self, device: torch.device | str = "cpu") -> ContextSSL:
        """The trained model of a run that reads contexts, in evaluation mode.

        Raises:
            UsageError: if the run's method has no context.
            CorruptFileError: if the checkpoint does not fit or is damaged.
        """
        self.require_context()
        return cast(ContextSSL, self.load_encoder(device))

    def load_encoder(self, device: torch.device | str = "cpu") -> EncoderModel:
        """The trained model of a run of any method, in evaluation mode; warns if it is trained in part.

        Raises:
            CorruptFileError: if the checkpoint does not fit or is damaged.
            FileInUseError: if another run has replaced this one since it was opened.
        """
        if self._weights is None:
            self._weights = self._of_newest(checkpoints.Weights.read)
        step, steps = self.reached()
        if steps and step < steps:
            _warn_in_part(self.folder, step, steps, self.resume_command)
        model = self.build_model()
        checkpoints.load_weights(self._weights, model)
        return model.to(device).eval()

    def fingerprint(self) -> str:
        """The fingerprint of the weights that were loaded; of the newest checkpoint's, if none were."""
        if self._weights is not None:
            return self._weights.fingerprint
        return self._of_newest(checkpoints.fingerprint)

    def _of_newest(self, read: Callable[[Path], Result]) -> Result:
        """What ``read`` finds in the newest checkpoint of this run, and of no other that replaces it meanwhile."""
        try:
            found = checkpoints.of_newest(self.checkpoint_folder, read)
        finally:
            self._check_current()
        if found is None:
            raise DataMissingError(f"{printable(self.folder)} has no checkpoint yet; go on with {self.resume_command}")
        return found

    def _check_current(self) -> None:
        """Refuse to go on when the folder holds another run by now; what numerics tell may have changed."""
        try:
            now = _read_record(self._record_path)
        except DataMissingError:
            now = None
        same: dict[str, list[Numerics]] = {"numerics": []}
        if now is None or now.model_copy(update=same) != self.record.model_copy(update=same):
            raise FileInUseError(
                f"{printable(self.folder)} holds another run than it did when it was opened: another process has "
                "replaced it; run the command again"
            )

    def training_time(self) -> TrainingTime:
        """What the logged steps took."""
        lines = self.metrics_log.lines()
        if not lines:
            return TrainingTime()
        last = lines[-1]
        return TrainingTime(last.get("seconds"), last.get("processor_seconds"))  # earlier versions did not log them


@functools.cache
def _warn_in_part(folder: Path, step: int, steps: int, resume: str) -> None:
    """Once in a process, which may load a model more than once."""
    _log.warning("warning: %s stands at step %d of %d; %s goes on with it", folder, step, steps, resume)


def now() -> str:
    """The time in UTC, so that runs sort by it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def holds_run(folder: Path) -> bool:
    """Whether a folder holds a run; also one whose replacement by another was killed half-way."""
    return (folder / RUN_FILE).is_file() or (folder / _NEW / _NEW_RUN_FILE).is_file()


def _holds_nothing(folder: Path) -> bool:
    """Whether a folder holds at most what a start that was killed left there."""
    return all(_BEGUN.fullmatch(path.name) for path in folder.iterdir())


def _read_record(path: Path) -> RunRecord:
    values = files.read_json(path)
    if isinstance(values.get("version"), int) and values["version"] > VERSION:
        raise CorruptFileError(
            f"{printable(path.parent)} was written by a newer contextssl (run version {values['version']}, this one "
            f"reads {VERSION}): upgrade contextssl"
        )
    try:
        return RunRecord.model_validate(values)
    except ValidationError as error:
        raise CorruptFileError(f"{printable(path)} is damaged: {invalid_value(error)}") from error


def _drop_new(folder: Path) -> None:
    """Remove a new run that has no checkpoint."""
    shutil.rmtree(folder / _NEW, ignore_errors=True)


def _replace(folder: Path) -> None:
    """Put the new run of a folder in the place of the old one. What a user has put there stays.

    The old run ends when its ``run.json`` is removed, the new one begins when its own is there. Between the two the
    folder has none, and whoever opens it goes on here.
    """
    new = folder / _NEW
    with _writing(folder):
        (folder / RUN_FILE).unlink(missing_ok=True)
        for path in folder.iterdir():
            if _DERIVED.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)  # a probe may be writing there; results name their run
        for name, final in ((METRICS_FILE, METRICS_FILE), (CHECKPOINTS, CHECKPOINTS), (_NEW_RUN_FILE, RUN_FILE)):
            if (new / name).exists():
                if (folder / final).is_dir() and not (folder / final).is_symlink():
                    shutil.rmtree(folder / final)
                else:
                    (folder / final).unlink(missing_ok=True)
                (new / name).rename(folder / final)
        if (folder / METRICS_FILE).exists() and not (folder / METRICS_FILE).stat().st_size:
            (folder / METRICS_FILE).unlink()  # nothing was trained
        files.flush(folder)
        shutil.rmtree(new)


def _finish_replacing(folder: Path) -> None:
    """Finish what a kill interrupted; while another process is at it, wait for the moment that it takes."""
    while not (folder / RUN_FILE).is_file() and holds_run(folder):
        try:
            with exclusive(folder):
                if not (folder / RUN_FILE).is_file():
                    _replace(folder)
        except FileInUseError:
            time.sleep(0.01)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Answer a failed write with the error that names the folder."""
    try:
        yield
    except OSError as error:
        raise files.write_error(folder, error) from error


def exclusive(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Keep other processes from training or replacing the run in ``folder``; a kill frees it.

    Raises:
        FileInUseError: if another process holds it.
    """
    return locked(folder / ".lock", folder)


def new_run_folder(task: str, seed: int) -> Path:
    """Make a folder for a run that was given none. The time tells them apart, and a number where it does not."""
    parent = paths.make_folder(paths.runs_folder(task))
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-seed{seed}"
    for name in itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2))):
        with _writing(parent / name), contextlib.suppress(FileExistsError):
            (parent / name).mkdir()
            return parent / name
    raise AssertionError("the numbers do not end")


def add_to_index(folder: Path) -> None:
    """Remember where a run is, so that ``adapt`` finds it whatever its ``--out`` was."""
    if folder.resolve() in _indexed():
        return
    index = paths.make_folder(paths.home()) / INDEX
    # A path may hold a line break or bytes that are not UTF-8, and an earlier line may have been cut off.
    with _writing(index), index.open("ab", buffering=0) as stream:
        stream.write(f"\n{json.dumps(str(folder.resolve()))}\n".encode())


def known_runs() -> list[Run]:
    """All runs of the index that are still there, newest first."""
    runs = []
    for folder in dict.fromkeys(_indexed()):
        with contextlib.suppress(ContextSSLError, OSError, ValueError):
            runs.append(Run(folder))
    return sorted(runs, key=lambda run: run.record.created, reverse=True)


def _indexed() -> list[Path]:
    """The folders that the index of runs names, the last one first; lines that were cut off are left out."""
    index = paths.home() / INDEX
    found = []
    for line in reversed(files.read_bytes(index).split(b"\n") if index.exists() else []):
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(line)
            if isinstance(value, str) and value and "\0" not in value:
                found.append(Path(value))
    return found


def versions() -> dict[str, str]:
    """Of everything that decides a figure."""
    packages = ("contextssl", "torch", "torchvision", "scikit-learn", "numpy", "h5py", "fairlearn")
    found = {name: metadata.version(name) for name in packages}
    return found | {"python": platform.python_version(), "platform": platform.platform(), "cpus": str(cpu_count())}
