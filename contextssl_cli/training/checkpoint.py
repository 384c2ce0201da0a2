"""The checkpoints of a run: folders that appear whole or not at all, and what ``checkpoint.json`` says of each.

The tensors are read and written by ``contextssl_cli.training.weights``; nothing here imports torch.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contextssl_cli import files
from contextssl_cli.errors import ContextSSLError, CorruptFileError, invalid_value
from contextssl_cli.text import printable

_Result = TypeVar("_Result")
MODEL_FILE = "model.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"
STATE_FILE = "checkpoint.json"
_STEP = re.compile(r"step-(\d{8,})")


class CheckpointState(BaseModel):
    """The contents of ``checkpoint.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = Field(ge=0)
    """The step after which the checkpoint was saved."""
    steps: int = Field(ge=0)
    """The steps of the whole run; 0 for an imported run."""
    fingerprint: str = Field(pattern="^[0-9a-f]{64}$")
    """SHA-256 of the file of weights: ties contexts, embeddings and cached figures to these weights."""

    @classmethod
    def read(cls, checkpoint: Path) -> Self:
        """Read the state of a checkpoint.

        Raises:
            DataMissingError: if the file does not exist.
            CorruptFileError: if it is damaged.
        """
        path = checkpoint / STATE_FILE
        try:
            return cls.model_validate(files.read_json(path))
        except ValidationError as error:
            raise CorruptFileError(f"{printable(path)} is damaged: {invalid_value(error)}") from error

    @property
    def finished(self) -> bool:
        """Whether the run was trained to its last step."""
        return self.step >= self.steps


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint of a run, which a trainer may be about to replace by a newer one."""
    seen: list[Path] | None = None
    while True:
        listed = _checkpoints(folder)
        complete = [path for path in listed if (path / STATE_FILE).is_file()]
        if complete:
            return complete[-1]
        if listed == seen:
            return None
        seen = listed  # a listing that missed the newer one while the older was removed is not repeated


def of_newest(folder: Path, read: Callable[[Path], _Result]) -> _Result | None:
    """The result of ``read`` on the newest checkpoint of a run, whose trainer may replace it meanwhile.

    Args:
        folder: the folder of the checkpoints.
        read: is called again, with a newer checkpoint, if the first was removed before it was read.

    Returns:
        The result, or None if there is no checkpoint.
    """
    while (found := latest_checkpoint(folder)) is not None:
        before = _identity(found)
        try:
            return read(found)
        except ContextSSLError:
            if before is not None and before == _identity(found):
                raise
    return None


def checkpoint_path(folder: Path, step: int) -> Path:
    """The folder of the checkpoint of a step."""
    return folder / f"step-{step:08d}"


def hide(path: Path) -> None:
    """Rename a checkpoint that is to be removed: removing it file by file would leave a part of it to be read."""
    if path.exists():
        path.rename(path.with_name(f".{path.name}.removed"))


def hide_older(folder: Path, newest: Path) -> None:
    """Remove all checkpoints but ``newest``; each disappears by one rename."""
    for path in _checkpoints(folder):
        if path != newest:
            hide(path)
    remove_hidden(folder)


def remove_hidden(folder: Path) -> None:
    """Remove incomplete and renamed checkpoints. A kill may have left some."""
    for path in folder.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)


def _checkpoints(folder: Path) -> list[Path]:
    """The folders of checkpoints, by step. A copy of one under another name is the user's."""
    numbered = ((_STEP.fullmatch(path.name), path) for path in folder.glob("step-*"))
    return [path for _, path in sorted((int(found[1]), path) for found, path in numbered if found)]


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
