"""The cache of a run: features and measured values. It only saves time.

Every entry is named after what decides its content, the code included, and holds a digest of its name and content. An
entry that is missing, damaged or copied from another place is computed again. A run may be read-only and a disk full;
then nothing is cached.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from contextssl_cli import files
from contextssl_cli.errors import ContextSSLError
from contextssl_cli.plugin.code import source_hash

MeasuredValues = dict[tuple[str, str, str], float]
"""By (metric, target, probe)."""

LAYERS = ("store", "plugin", "config", "data", "model", "methods", "training", "evaluation")
"""The folders of the package whose code decides features and figures: evaluation and all that it imports."""
_PACKAGES = ("torch", "torchvision", "scikit-learn", "numpy", "fairlearn")


def cache_key(*parts: Any) -> str:
    """A hash for a file name, of all that decides a cached value: the parts, the code and the versions."""
    return hashlib.sha256(json.dumps([code_key(), *parts], sort_keys=True).encode()).hexdigest()[:24]


@functools.cache
def code_key(package: Path = Path(__file__).parents[1]) -> str:
    """A hash of the code that computes features and figures, and of the versions of the packages that it calls.

    Args:
        package: folder of ``contextssl_cli``.
    """
    decides = [source_hash(package / layer) for layer in LAYERS] + [metadata.version(name) for name in _PACKAGES]
    return hashlib.sha256(" ".join(decides).encode()).hexdigest()


def read_tensors(path: Path) -> dict[str, Tensor] | None:
    """The tensors of a cache file; None if it is missing or not as it was written, for whatever reason."""
    with contextlib.suppress(Exception), safe_open(files.check_input(path), "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        if file.metadata()["sha256"] == _tensor_digest(path, tensors):
            return tensors
    return None


def keep_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors to a cache file, if it can be written."""
    with contextlib.suppress(ContextSSLError, SafetensorError), files.atomic(path) as temporary:
        save_file(tensors, temporary, {"sha256": _tensor_digest(path, tensors)})


def read_values(path: Path) -> MeasuredValues | None:
    """The values of a cache file; None if it is missing or not as it was written, for whatever reason."""
    with contextlib.suppress(Exception):
        found = files.read_json(path)
        if found["sha256"] == _value_digest(path, found["values"]):
            return {(v["metric"], v["target"], v["probe"]): float(v["value"]) for v in found["values"]}
    return None


def keep_values(path: Path, values: MeasuredValues) -> None:
    """Write values to a cache file, if it can be written and all of them are finite."""
    lines = [{"metric": m, "target": t, "probe": p, "value": value} for (m, t, p), value in values.items()]
    with contextlib.suppress(ContextSSLError, ValueError):
        files.write_json(path, {"values": lines, "sha256": _value_digest(path, lines)})


def _value_digest(path: Path, lines: Any) -> str:
    return hashlib.sha256(json.dumps([path.name, lines], sort_keys=True).encode()).hexdigest()


def _tensor_digest(path: Path, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(path.name.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)} ".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
