"""The cache of a run: features and measured values. It saves time, no more.

A run may be read-only, or the disk full: what cannot be kept is not, and what is damaged is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from contextssl_cli import files
from contextssl_cli.errors import ContextSSLError

MeasuredValues = dict[tuple[str, str, str], float]
"""By (metric, target, probe)."""

_PROTOCOL = 2
"""Raised when the same settings would give other features or figures."""


def cache_key(*parts: Any) -> str:
    """A file name's worth of hash over what decides a value; the package's version and the protocol's are among it."""
    decides = [metadata.version("contextssl"), _PROTOCOL, *parts]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:24]


def read_tensors(path: Path) -> dict[str, Tensor] | None:
    """The tensors of a cache file, None if there is none or it is damaged."""
    with contextlib.suppress(SafetensorError, OSError, ValueError, ContextSSLError):
        return load_file(files.check_input(path))
    return None


def keep_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors to a cache file, if it can be written."""
    with contextlib.suppress(ContextSSLError, SafetensorError), files.atomic(path) as temporary:
        save_file(tensors, temporary)


def read_values(path: Path) -> MeasuredValues | None:
    """The values of a cache file, None if there is none or they are not those that were written."""
    with contextlib.suppress(ContextSSLError, LookupError, TypeError, ValueError):
        found = files.read_json(path)
        if found["sha256"] == _digest(found["values"]):
            return {(v["metric"], v["target"], v["probe"]): float(v["value"]) for v in found["values"]}
    return None


def keep_values(path: Path, values: MeasuredValues) -> None:
    """Write values to a cache file, if it can be written."""
    lines = [{"metric": m, "target": t, "probe": p, "value": value} for (m, t, p), value in values.items()]
    with contextlib.suppress(ContextSSLError):
        files.write_json(path, {"values": lines, "sha256": _digest(lines)})


def _digest(lines: Any) -> str:
    return hashlib.sha256(json.dumps(lines, sort_keys=True).encode()).hexdigest()
