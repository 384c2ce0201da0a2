"""Weights and optimiser states in files: safetensors, never pickles."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from contextssl_cli import files
from contextssl_cli.errors import CorruptFileError, DataMissingError
from contextssl_cli.text import printable
from contextssl_cli.training.checkpoint import (
    MODEL_FILE,
    OPTIMIZER_FILE,
    STATE_FILE,
    CheckpointState,
    checkpoint_path,
    hide,
    hide_older,
    remove_hidden,
)


@dataclass(frozen=True)
class Weights:
    """The weights of one checkpoint, read once.

    Attributes:
        path: their file.
        state: of the checkpoint.
        tensors: by name, on the CPU.
    """

    path: Path
    state: CheckpointState
    tensors: dict[str, Tensor]

    @classmethod
    def read(cls, checkpoint: Path) -> Self:
        """Read a checkpoint, and compare its weights with their fingerprint.

        Raises:
            DataMissingError: if a file of it does not exist.
            CorruptFileError: if a file of it is damaged, or the weights are not those that were saved.
        """
        path, state = checkpoint / MODEL_FILE, CheckpointState.read(checkpoint)
        data = _read_bytes(path)  # once: hash and tensors must be of the same file
        tensors = _parse(path, data)
        found = hashlib.sha256(data).hexdigest()
        if found != state.fingerprint:
            raise CorruptFileError(
                f"{printable(path)} is not the file that was saved: its SHA-256 is {found[:12]}, {STATE_FILE} says "
                f"{state.fingerprint[:12]}; put the checkpoint back as it was, or train again with --force"
            )
        return cls(path, state, tensors)


def save_checkpoint(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, steps: int) -> Path:
    """Write ``folder/step-N`` of a run of ``steps`` steps and then remove the older checkpoints.

    The new checkpoint appears by one rename, the older ones disappear by one rename each. A complete checkpoint of
    the same step is kept as it is.

    Raises:
        ContextSSLError: if the disk is full; the older checkpoint stays.
    """
    target = checkpoint_path(folder, step)
    try:
        remove_hidden(folder)
        if not (target / STATE_FILE).is_file():
            hide(target)
            temporary = folder / f".{target.name}.partial"
            temporary.mkdir(parents=True)
            fingerprint = _write_tensors(temporary / MODEL_FILE, model.state_dict())
            _write_tensors(temporary / OPTIMIZER_FILE, _optimizer_tensors(optimizer))
            state = CheckpointState(step=step, steps=steps, fingerprint=fingerprint)
            files.write_json(temporary / STATE_FILE, state.model_dump())
            temporary.rename(target)
            files.flush(folder)
    except OSError as error:
        raise files.write_error(target, error) from error
    finally:
        remove_hidden(folder)
    hide_older(folder, target)
    return target


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


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write a file of tensors; return its SHA-256."""
    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    with files.atomic(path) as temporary:
        temporary.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


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
