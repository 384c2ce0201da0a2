"""The folder of a run: its record and checkpoints, and how it is created, replaced and locked.

It holds ``run.json`` (task, configuration, action blocks, schema, versions), ``metrics.jsonl``, ``checkpoint/step-N/``,
and what later commands add: ``probe/``, ``cache/``. A run with its model is an ``OpenRun``
(``contextssl_cli.evaluation.open_run``); the index of runs is in ``contextssl_cli.training.runs``. Torch is imported
only where weights are saved: ``contextssl info`` reads runs without it.
"""

from __future__ import annotations

import contextlib
import platform
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from contextssl_cli import files, paths
from contextssl_cli.config.methods import CONTEXTUAL
from contextssl_cli.config.resolve import Asked
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.cpus import cpu_count
from contextssl_cli.data.actions import ActionSpace
from contextssl_cli.errors import (
    CorruptFileError,
    DataMissingError,
    FileInUseError,
    UsageError,
    invalid_value,
)
from contextssl_cli.locks import locked
from contextssl_cli.store.kinds import kind_in_words
from contextssl_cli.store.schema import Schema
from contextssl_cli.text import printable
from contextssl_cli.training import checkpoint as checkpoints
from contextssl_cli.training.log import CONTRAST, MetricsLog, terms_of
from contextssl_cli.training.progress import TrainingTime

if TYPE_CHECKING:
    import torch

_Result = TypeVar("_Result")
VERSION = 1
RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
CHECKPOINTS = "checkpoint"
_DERIVED = re.compile(r"cache|(probe(-\d+-runs)?|comparison)(-held-out)?")
"""The folders that probes write into the folder of a run."""
_NEW = ".new"
"""The folder, in that of a run, of a new run that is to replace it. It exists until the new run has a checkpoint."""
_NEW_RUN_FILE = "new-run.json"
"""The ``run.json`` of that run. Whoever looks for runs by the name ``run.json`` must not find it."""
_BEGUN = re.compile(r"\.lock|\.new|\.(new-)?run\.json\..*\.partial")
"""Files that a killed start can leave in the folder."""


class Numerics(BaseModel):
    """The facts that decide how sums are rounded (``numerics.py``), and the step from which on they held."""

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
    """The folder of a run.

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
        self._loaded: checkpoints.CheckpointState | None = None
        if self.folder.is_file():
            raise CorruptFileError(
                f"{printable(folder)} is {kind_in_words(self.folder)}, expected the folder of a run; contextssl "
                "import-official converts checkpoints of the authors"
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
        if not files.folder_exists(folder) or (folder.is_dir() and not holds_run(folder) and _holds_nothing(folder)):
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
                    with files.writing_to(folder):
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

    def save(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int, steps: int) -> None:
        """Save a checkpoint after ``step`` of ``steps`` steps.

        The first checkpoint of a new run puts that run in the place of the one that it replaces.

        Raises:
            ContextSSLError: if the disk is full; the older checkpoint stays.
        """
        from contextssl_cli.training.weights import save_checkpoint

        save_checkpoint(self.checkpoint_folder, model, optimizer, step, steps)
        self._loaded = None
        if self.replacing:
            _replace(self.folder)
            self._place = self.folder

    def remove_leftovers(self) -> None:
        """Remove the temporary files that a kill after the last checkpoint left, unless the run is being written."""
        with contextlib.suppress(FileInUseError), exclusive(self.folder):
            checkpoints.remove_hidden(self.checkpoint_folder)

    def add_numerics(self, numerics: Numerics) -> None:
        """Record the facts under which the steps from ``numerics.from_step`` on are computed."""
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

    @property
    def resume_command(self) -> str:
        """The command that goes on with the training."""
        return shlex.join(["contextssl", "pretrain", "--resume", "--out", str(self.folder)])

    @property
    def has_context(self) -> bool:
        """Whether the method of the run has a world model, which reads contexts."""
        return self.record.config.method in CONTEXTUAL

    def require_context(self) -> None:
        """Refuse a run that reads no context, or none yet.

        Raises:
            UsageError: naming the method of the run, or the start of its world model.
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

    def state(self) -> checkpoints.CheckpointState:
        """The state of the checkpoint that was loaded; of the newest one, if none was.

        Raises:
            DataMissingError: if there is no checkpoint yet.
        """
        return self._loaded or self.newest(checkpoints.CheckpointState.read)

    def loaded(self, state: checkpoints.CheckpointState) -> None:
        """Note the checkpoint whose weights were loaded, while another process may go on with the training."""
        self._loaded = state

    def reached(self) -> tuple[int, int]:
        """The step of ``state``, and the steps of the whole run."""
        state = self.state()
        return state.step, state.steps

    def fingerprint(self) -> str:
        """The fingerprint of the weights of ``state``."""
        return self.state().fingerprint

    def newest(self, read: Callable[[Path], _Result]) -> _Result:
        """The result of ``read`` on the newest checkpoint of this run, and of no other that replaces it meanwhile.

        Raises:
            DataMissingError: if there is no checkpoint yet.
            FileInUseError: if another run has replaced this one since it was opened.
        """
        try:
            found = checkpoints.of_newest(self.checkpoint_folder, read)
        finally:
            self._check_current()
        if found is None:
            raise DataMissingError(f"{printable(self.folder)} has no checkpoint yet; go on with {self.resume_command}")
        return found

    def _check_current(self) -> None:
        """Refuse to go on if the folder holds another run by now. A resume may have added numerics."""
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
        """The time that the logged steps took."""
        for line in reversed(self.metrics_log.lines()):
            seconds, processor = line.get("seconds"), line.get("processor_seconds")
            if isinstance(seconds, int | float) and isinstance(processor, int | float):
                return TrainingTime(seconds, processor)
        return TrainingTime()


def now() -> str:
    """The time in UTC, so that runs sort by it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def holds_run(folder: Path) -> bool:
    """Whether a folder holds a run; also one whose replacement by another was killed half-way."""
    return (folder / RUN_FILE).is_file() or (folder / _NEW / _NEW_RUN_FILE).is_file()


def _holds_nothing(folder: Path) -> bool:
    """Whether a folder is empty, but for what a killed start left there."""
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
    """Put the new run of a folder in the place of the old one. Files of the user stay.

    The old run ends when its ``run.json`` is removed, the new one begins when its own is there. Between the two the
    folder has none, and whoever opens it goes on here.
    """
    new = folder / _NEW
    with files.writing_to(folder):
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
    """Finish a replacement that a kill interrupted; while another process does so, wait for it."""
    while not (folder / RUN_FILE).is_file() and holds_run(folder):
        try:
            with exclusive(folder):
                if not (folder / RUN_FILE).is_file():
                    _replace(folder)
        except FileInUseError:
            time.sleep(0.01)


def exclusive(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Keep other processes from training or replacing the run in ``folder``; a kill frees it.

    Raises:
        FileInUseError: if another process holds it.
    """
    return locked(folder / ".lock", folder)


def versions() -> dict[str, str]:
    """The versions of everything that decides a figure."""
    packages = ("contextssl", "torch", "torchvision", "scikit-learn", "numpy", "h5py", "fairlearn")
    found = {name: metadata.version(name) for name in packages}
    return found | {"python": platform.python_version(), "platform": platform.platform(), "cpus": str(cpu_count())}
