"""A run's folder: what was trained, on what, with what, and how it went.

``run.json`` (task, configuration, action blocks, schema, versions), ``metrics.jsonl``, ``checkpoint/step-N/``,
and what later commands add: ``probe/``, ``cache/``.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import platform
import re
import shlex
import shutil
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Self, cast

import torch
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from contextssl_cli import files, paths
from contextssl_cli.cpus import cpu_count
from contextssl_cli.data.action_space import ActionSpace
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, UsageError, invalid_value
from contextssl_cli.methods.config import CONTEXTUAL
from contextssl_cli.methods.registry import method_of
from contextssl_cli.model.context_ssl import ContextSSL
from contextssl_cli.model.encoder_model import EncoderModel
from contextssl_cli.store.schema import Schema
from contextssl_cli.training import checkpoint as checkpoints
from contextssl_cli.training.clock import TrainingTime
from contextssl_cli.training.config import TrainConfig
from contextssl_cli.training.journal import Journal

_log = logging.getLogger(__name__)
VERSION = 1
RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
_RUN_KEYS = ("version", "task", "config")
_MADE = re.compile(r"checkpoint|cache|(probe(-\d+-runs)?|comparison)(-held-out)?")
"""The folders that training and probes make in a run's."""


class RunRecord(BaseModel):
    """The contents of ``run.json``."""

    model_config = ConfigDict(extra="forbid")

    version: int = VERSION
    task: str
    """As in ``pretrain --plugin``; empty for an imported checkpoint."""
    config: TrainConfig
    space: ActionSpace
    schema_: Schema
    store: str
    store_hash: str
    created: str
    versions: dict[str, str]


class Run:
    """An opened run folder.

    Args:
        folder: the run.

    Raises:
        DataMissingError: if there is no such run.
        UsageError: if the folder's name is not UTF-8.
        CorruptFileError: if ``run.json`` is damaged or newer than this version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = files.check_name(Path(folder))
        if self.folder.is_file():
            raise CorruptFileError(
                f"{folder} is a file, expected the folder of a run; authors' checkpoints go through "
                "contextssl import-official"
            )
        if not (self.folder / RUN_FILE).is_file():
            raise DataMissingError(f"{folder} is not a run: it has no {RUN_FILE}; contextssl pretrain makes runs")
        values = files.read_json(self.folder / RUN_FILE)
        if isinstance(values.get("version"), int) and values["version"] > VERSION:
            raise CorruptFileError(
                f"{folder} was written by a newer contextssl (run version {values['version']}, this "
                f"one reads {VERSION}): upgrade contextssl"
            )
        try:
            self.record = RunRecord.model_validate(values)
        except ValidationError as error:
            raise CorruptFileError(f"{self.folder / RUN_FILE} is damaged: {invalid_value(error)}") from error

    @staticmethod
    def check_free(folder: Path, *, force: bool) -> None:
        """Refuse a folder in which a new run cannot begin.

        Raises:
            UsageError: if it holds anything but a run, or a run and ``force`` is not given.
        """
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
        if not (folder / RUN_FILE).is_file() or not files.is_own_json(folder / RUN_FILE, *_RUN_KEYS):
            raise UsageError(f"{folder} exists and is not a run; choose another --out")
        if not force:
            raise UsageError(
                f"{folder} holds a run already; add --resume to go on with it, --force to replace it, or choose "
                "another --out"
            )

    @classmethod
    def create(cls, folder: Path, record: RunRecord, *, force: bool = False) -> Self:
        """Start a run in a new folder and enter it in the index of runs.

        Raises:
            UsageError: if the folder holds a run, or anything else, and ``force`` is not given.
        """
        folder = Path(folder)
        paths.make_folder(paths.home())  # of the index; before anything is replaced
        cls.check_free(folder, force=force)
        if (folder / RUN_FILE).is_file():
            _empty(folder)
        paths.make_folder(folder)
        files.write_json(folder / RUN_FILE, record.model_dump(mode="json"))
        add_to_index(folder)
        return cls(folder)

    @property
    def checkpoint_folder(self) -> Path:
        """Where the checkpoints stand."""
        return self.folder / "checkpoint"

    @property
    def journal(self) -> Journal:
        """What training told."""
        return Journal(self.folder / METRICS_FILE)

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
        """Whether a step up to the newest checkpoint tells a loss of the world model; so if no metrics are there."""
        lines = self.journal.until(checkpoints.checkpoint_step(self.checkpoint()))
        return not lines or any(line.get("loss") for line in lines)

    def checkpoint(self) -> Path:
        """The newest checkpoint.

        Raises:
            DataMissingError: if there is none yet.
        """
        found = checkpoints.latest_checkpoint(self.checkpoint_folder)
        if found is None:
            raise DataMissingError(f"{self.folder} has no checkpoint yet; go on with {self.resume_command}")
        return found

    def reached(self) -> tuple[int, int | None]:
        """The newest checkpoint's step, and how many there are to be; None where an earlier version kept no number.

        Raises:
            DataMissingError: if there is no checkpoint yet.
        """
        found = self.checkpoint()
        steps = checkpoints.checkpoint_steps(found)
        if steps is None and self.record.task:  # an imported run was trained elsewhere
            steps = self.record.config.steps
        return checkpoints.checkpoint_step(found), steps

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
        """
        step, steps = self.reached()
        if steps and step < steps:
            _warn_in_part(self.folder, step, steps, self.resume_command)
        model = self.build_model()
        checkpoints.load_model(self.checkpoint(), model)
        return model.to(device).eval()

    def fingerprint(self) -> str:
        """Of the newest checkpoint's weights."""
        return checkpoints.fingerprint(self.checkpoint())

    def training_time(self) -> TrainingTime:
        """What the logged steps took."""
        lines = self.journal.lines()
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


def _empty(folder: Path) -> None:
    """Remove what runs write, and leave what a user has put beside it."""
    try:
        with exclusive(folder):
            for name in (RUN_FILE, METRICS_FILE):
                (folder / name).unlink(missing_ok=True)
            for path in list(folder.iterdir()):
                if path.is_dir() and _MADE.fullmatch(path.name):
                    shutil.rmtree(path)
    except OSError as error:
        raise files.write_error(folder, error) from error


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Keep other processes from training or replacing the run in ``folder``; a kill frees it.

    Raises:
        UsageError: if another process holds it.
    """
    lock = FileLock(files.check_output(folder / ".lock"), blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise UsageError(f"{folder} is in use by another process; wait for it, or choose another --out") from error
    try:
        yield
    finally:
        lock.release()


def new_run_folder(task: str, seed: int) -> Path:
    """A folder for a run that was given none: the time tells them apart."""
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-seed{seed}"
    folder = paths.runs_folder(task) / stem
    number = 1
    while folder.exists():
        number += 1
        folder = paths.runs_folder(task) / f"{stem}-{number}"
    return folder


def add_to_index(folder: Path) -> None:
    """Remember where a run stands, so that ``adapt`` finds it whatever its ``--out`` was."""
    files.append_text(paths.make_folder(paths.home()) / "runs.txt", f"{folder.resolve()}\n")


def known_runs() -> list[Run]:
    """All runs of the index that are still there, newest first."""
    index = paths.home() / "runs.txt"
    if not index.is_file():
        return []
    text = files.read_bytes(index).decode("utf-8", "surrogateescape")  # a line of another program ends no command
    folders = dict.fromkeys(reversed(text.split("\n")))
    runs = []
    for folder in folders:
        if folder and (Path(folder) / RUN_FILE).is_file():
            with contextlib.suppress(ContextSSLError, OSError):
                runs.append(Run(Path(folder)))
    return sorted(runs, key=lambda run: run.record.created, reverse=True)


def versions() -> dict[str, str]:
    """Of everything that decides a figure."""
    packages = ("contextssl", "torch", "torchvision", "scikit-learn", "numpy", "h5py", "fairlearn")
    found = {name: metadata.version(name) for name in packages}
    return found | {"python": platform.python_version(), "platform": platform.platform(), "cpus": str(cpu_count())}
