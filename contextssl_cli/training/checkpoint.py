"""Checkpoints: safetensors and JSON in a folder of its own, which appears whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from contextssl_cli import files
from contextssl_cli.errors import CorruptFileError, DataMissingError

MODEL_FILE = "model.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"
STATE_FILE = "checkpoint.json"


def save_checkpoint(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, steps: int) -> Path:
    """Write ``folder/step-N`` of a run of ``steps`` steps and then remove the older checkpoints.

    Raises:
        ContextSSLError: if the disk is full; the older checkpoint stays.
    """
    target = folder / f"step-{step:08d}"
    temporary = folder / f".{target.name}.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        _write_tensors(temporary / MODEL_FILE, model.state_dict())
        _write_tensors(temporary / OPTIMIZER_FILE, _optimizer_tensors(optimizer))
        files.write_json(temporary / STATE_FILE, {"step": step, "steps": steps})
        shutil.rmtree(target, ignore_errors=True)
        temporary.rename(target)
        files.flush(folder)
    except OSError as error:
        raise files.write_error(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for older in sorted(folder.glob("step-*")):
        if older != target:
            shutil.rmtree(older, ignore_errors=True)
    return target


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint of a run."""
    found = sorted(path for path in folder.glob("step-*") if (path / STATE_FILE).is_file())
    return found[-1] if found else None


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


def load_model(checkpoint: Path, model: nn.Module) -> None:
    """Load the weights into ``model``.

    Raises:
        CorruptFileError: if a tensor is missing, unknown or of another shape, or the file is not safetensors.
    """
    path = checkpoint / MODEL_FILE
    tensors = _read_tensors(path)
    expected = model.state_dict()
    check_tensors(path, tensors, expected)
    model.load_state_dict(tensors)


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
    tensors = _read_tensors(path)
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
    if not (checkpoint / MODEL_FILE).is_file():
        raise DataMissingError(f"there is no file {checkpoint / MODEL_FILE}; the checkpoint is incomplete")
    return files.file_hash(checkpoint / MODEL_FILE)


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


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)
    except SafetensorError as error:
        raise files.write_error(path, OSError(str(error))) from error
    files.flush(path)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise DataMissingError(f"there is no file {path}; the checkpoint is incomplete")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CorruptFileError(
            f"{path} is damaged or not a safetensors file ({error}); put a copy back or train again with --force; "
            "pickled checkpoints are refused, authors' checkpoints go through contextssl import-official"
        ) from error


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {f"{number}.{key}": value for number, entry in state.items() for key, value in entry.items()}
