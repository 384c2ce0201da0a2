"""Features of single inputs, found by their content: no example pair of any context is encoded twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contextssl_cli.evaluation.cache import keep_tensors, read_tensors

_KEY_BYTES = 16


class FeatureBank:
    """What was encoded before, in this process or another.

    Args:
        encode: features (N, D) of inputs (N, *shape).
        path: the file it is kept in; it saves time, no more.
    """

    def __init__(self, encode: Callable[[NDArray[Any]], Tensor], path: Path) -> None:
        self._encode = encode
        self._path = path
        self._known: dict[bytes, Tensor] | None = None

    def __call__(self, inputs: NDArray[Any]) -> Tensor:
        """Features (N, D) of inputs (N, *shape), on the CPU; only those never seen are encoded."""
        keys = _keys(inputs)
        known = self._load()
        first = {key: row for row, key in reversed(list(enumerate(keys))) if key not in known}
        if first:
            rows = sorted(first.values())
            self.add(inputs[rows], self._encode(inputs[rows]))
        return torch.stack([known[key] for key in keys])

    def missing(self, inputs: NDArray[Any]) -> bool:
        """Whether any of the inputs is unknown."""
        return not self._load().keys() >= set(_keys(inputs))

    def add(self, inputs: NDArray[Any], features: Tensor) -> None:
        """Remember the features (N, D) of inputs (N, *shape)."""
        known = self._load()
        known |= dict(zip(_keys(inputs), features.float().cpu().unbind(), strict=True))
        table = np.frombuffer(b"".join(known), dtype=np.uint8).reshape(-1, _KEY_BYTES)
        keep_tensors(self._path, {"keys": torch.from_numpy(table.copy()), "z": torch.stack(list(known.values()))})

    def _load(self) -> dict[bytes, Tensor]:
        if self._known is None:
            found = read_tensors(self._path)
            keys = [row.tobytes() for row in found["keys"].numpy()] if found else []
            self._known = dict(zip(keys, found["z"].unbind(), strict=True)) if found else {}
        return self._known


def _keys(inputs: NDArray[Any]) -> list[bytes]:
    prefix = f"{inputs.dtype}{inputs.shape[1:]}".encode()
    rows = np.ascontiguousarray(inputs)
    return [hashlib.blake2b(prefix + row.tobytes(), digest_size=_KEY_BYTES).digest() for row in rows]
