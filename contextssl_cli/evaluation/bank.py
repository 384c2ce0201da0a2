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
    """Features of inputs that were encoded before, in this process or another.

    Args:
        encode: features (N, D) of inputs (N, *shape).
    """

    def __init__(self, encode: Callable[[NDArray[Any]], Tensor]) -> None:
        self._encode = encode
        self._path: Path | None = None
        self._known: dict[bytes, Tensor] = {}

    def keep_in(self, path: Path) -> None:
        """Take the features of a cache file, and keep new ones there. The file saves time, no more."""
        if path != self._path:
            self._path, found = path, read_tensors(path)
            keys = [row.tobytes() for row in found["keys"].numpy()] if found else []
            self._known |= dict(zip(keys, found["z"].unbind(), strict=True)) if found else {}

    def __call__(self, inputs: NDArray[Any]) -> Tensor:
        """Features (N, D) of inputs (N, *shape), on the CPU; only those never seen are encoded."""
        keys = _keys(inputs)
        first = {key: row for row, key in reversed(list(enumerate(keys))) if key not in self._known}
        if first:
            rows = sorted(first.values())
            self.add(inputs[rows], self._encode(inputs[rows]))
        return torch.stack([self._known[key] for key in keys])

    def missing(self, inputs: NDArray[Any]) -> bool:
        """Whether any of the inputs is unknown."""
        return not self._known.keys() >= set(_keys(inputs))

    def add(self, inputs: NDArray[Any], features: Tensor) -> None:
        """Remember the features (N, D) of inputs (N, *shape)."""
        self._known |= dict(zip(_keys(inputs), features.float().cpu().unbind(), strict=True))
        if self._path is not None:
            table = np.frombuffer(b"".join(self._known), dtype=np.uint8).reshape(-1, _KEY_BYTES)
            values = torch.stack(list(self._known.values()))
            keep_tensors(self._path, {"keys": torch.from_numpy(table.copy()), "z": values})


def _keys(inputs: NDArray[Any]) -> list[bytes]:
    prefix = f"{inputs.dtype}{inputs.shape[1:]}".encode()
    rows = np.ascontiguousarray(inputs)
    return [hashlib.blake2b(prefix + row.tobytes(), digest_size=_KEY_BYTES).digest() for row in rows]
