"""Checkpoints: safetensors and JSON in a folder of its own, which appears whole or not at all."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from contextssl_cli import files
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError
from contextssl_cli.text import printable

Result = TypeVar("Result")
MODEL_FILE = "model.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"
STATE_FILE = "checkpoint.json"
_STEP = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True)
class Weights:
    """The weights of one checkpoint, read once.

    Attributes:
        path: of their file.
        step: after which they were saved.
        steps: of the whole run; None if an earlier version wrote the checkpoint.
        fingerprint: SHA-256 of their file.
        tensors: by name, on the CPU.
    """

    path: Path
    step: int
    steps: int | None
    fingerprint: str
    tensors: dict[str, Tensor]

    @classmethod
    def read(cls, checkpoint: Path) -> Self:
        """Read a checkpoint.

        Raises:
            DataMissingError, CorruptFileError: if a file of it is missing or damaged.
        """
        path = checkpoint / MODEL_FILE
        data = _read_bytes(path)  # once: hash and tensors must be of the same file
        step, steps = checkpoint_step(checkpoint), checkpoint_steps(checkpoint)
        return cls(path, step, steps, hashlib.sha256(data).hexdigest(), _parse(path, data))


def save_checkpoint(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, steps: int) -> Path:
    """Write ``folder/step-N`` of a run of ``steps`` steps and then remove the older checkpoints.

    The new checkpoint appears by one rename, the older ones disappear by one rename each. A complete checkpoint of
    the same step is kept as it is.

    Raises:
        ContextSSLError: if the disk is full; the older checkpoint stays.
    """
    target = folder / f"step-{step:08d}"
    try:
        remove_hidden(folder)
        if not (target / STATE_FILE).is_file():
            _hide(target)
            temporary = folder / f".{target.name}.partial"
            temporary.mkdir(parents=True)
            _write_tensors(temporary / MODEL_FILE, model.state_dict())
            _write_tensors(temporary / OPTIMIZER_FILE, _optimizer_tensors(optimizer))
            files.write_json(temporary / STATE_FILE, {"step": step, "steps": steps})
            temporary.rename(target)
            files.flush(folder)
    except OSError as error:
        raise files.write_error(target, error) from error
    finally:
        remove_hidden(folder)
    for older in _checkpoints(folder):
        if older != target:
            _hide(older)
    remove_hidden(folder)
    return target


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


def of_newest(folder: Path, read: Callable[[Path], Result]) -> Result | None:
    """What ``read`` finds in the newest checkpoint of a run, whose trainer may replace it meanwhile.

    Args:
        folder: of the checkpoints.
        read: is called again, with a newer checkpoint, if the first was removed before it was read.

    Returns:
        Its result, or None if there is no checkpoint.
    """
    while (found := latest_checkpoint(folder)) is not None:
        before = _identity(found)
        try:
            return read(found)
        except ContextSSLError:
            if before is not None and before == _identity(found):
                raise
    return None


def checkpoint_step(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    step = files.read_json(checkpoint / STATE_FILE).get("step")
    if not isinstance(step, int):
        raise CorruptFileError(f"{checkpoint / STATE_FILE} names no step")
    return step


def checkpoint_steps(checkpoint: Path) -> int | None:
    """The steps of the whole run; None if an earlier version wrote the checkpoint."""
    steps = files.read_json(checkpoint / STATE_FILE).get("steps")
    return steps if isinstance(steps, int) else None


def load_weights(weights: Weights, model: nn.Module) -> None:
    """Load weights into ``model``.

    Raises:
        CorruptFileError: if a tensor is missing, unknown or of another shape.
    """
    check_tensors(weights.path, weights.tensors, model.state_dict())
    model.load_state_dict(weights.tensors)


def load_optimizer(checkpoint: Path, optimizer: torch.optim.Optimizer, untouched: frozenset[int] = frozenset()) -> None:
    """Load the optimiser's state; its parameters must be those of the saved run.

    Args:
        checkpoint: its folder.
        optimizer: of the model.
        untouched: places of the parameters that no step has reached yet, which have no state.

    Raises:
        CorruptFileError: if a tensor is missing or the file is not safetensors.
    """
    path = checkpoint / OPTIMIZER_FILE
    tensors = _parse(path, _read_bytes(path))
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {number: {} for number in range(len(parameters))}
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number) if number.isdecimal() else -1, {})[key] = tensor
    kept = {place: entry for place, entry in state.items() if place not in untouched or entry}
    whole = all(entry.keys() == {"step", "exp_avg", "exp_avg_sq"} for entry in kept.values())
    if not whole or len(state) != len(parameters):
        raise CorruptFileError(f"{path} does not hold the state of this model's {len(parameters)} parameters")
    for place, entry in kept.items():
        parameter = parameters[place]
        for key in ("exp_avg", "exp_avg_sq"):
            if entry[key].shape != parameter.shape:
                raise CorruptFileError(f"{path} does not hold the state of this model: a shape differs")
            # A file is contiguous, a parameter may be channels-last: the fused optimiser goes by places in memory.
            entry[key] = torch.empty_like(parameter, requires_grad=False).copy_(entry[key])
    optimizer.load_state_dict({"state": kept, "param_groups": optimizer.state_dict()["param_groups"]})


def fingerprint(checkpoint: Path) -> str:
    """SHA-256 of the weights: what ties a context to the run it was made for."""
    return hashlib.sha256(_read_bytes(checkpoint / MODEL_FILE)).hexdigest()


def weights_hash(model: nn.Module) -> str:
    """SHA-256 over every tensor of a model in memory; unchanged by adapting."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def check_tensors(path: Path, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Compare names and shapes.

    Raises:
        CorruptFileError: naming the first tensor that is missing, unknown, or of another shape.
    """
    for name in expected:
        if name not in found:
            raise CorruptFileError(f"{path} lacks the tensor {name!r}; the file is damaged or of another model")
        if found[name].shape != expected[name].shape:
            raise CorruptFileError(
                f"{path}: the tensor {name!r} has the shape {tuple(found[name].shape)}, expected "
                f"{tuple(expected[name].shape)}"
            )
    unknown = sorted(set(found) - set(expected))
    if unknown:
        raise CorruptFileError(f"{path} holds the unknown tensor {unknown[0]!r}; it is of another model")


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


def _hide(path: Path) -> None:
    """Rename a checkpoint that is to be removed: removing it file by file would leave readers with a part of it."""
    if path.exists():
        path.rename(path.with_name(f".{path.name}.removed"))


def remove_hidden(folder: Path) -> None:
    """Remove what is not a checkpoint yet, or no longer. A kill may have left some."""
    for path in folder.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    with files.atomic(path) as temporary:
        try:
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary)
        except SafetensorError as error:
            raise OSError(str(error)) from error


def _read_bytes(path: Path) -> bytes:
    if not path.exists():
        raise DataMissingError(f"{printable(path)} does not exist; the checkpoint is incomplete")
    return files.read_bytes(path)


def _parse(path: Path, data: bytes) -> dict[str, Tensor]:
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CorruptFileError(
            f"{printable(path)} is damaged or not a safetensors file ({error}); put a copy back or train again with "
            "--force; pickled checkpoints are refused, authors' checkpoints go through contextssl import-official"
        ) from error


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {f"{number}.{key}": value for number, entry in state.items() for key, value in entry.items()}
