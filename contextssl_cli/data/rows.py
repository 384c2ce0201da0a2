"""The inputs of a split as the pairs need them: rows by number, as model inputs.

What fits in memory is read once; larger stores are read row by row, by several threads.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.errors import CorruptFileError
from contextssl_cli.store.dataset import Split
from contextssl_cli.store.images import decode_all
from contextssl_cli.store.schema import Schema

MEMORY_LIMIT = 4 << 30
"""Bytes of a split that are held in memory; above, its samples are read when they are needed."""


class Rows(Protocol):
    """N model inputs; a tensor is one."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        """The model inputs with these numbers."""


class Images:
    """Images in memory as bytes, (N, height, width, channels) uint8; a quarter of what floats would take."""

    def __init__(self, array: NDArray[np.uint8], schema: Schema) -> None:
        self._array = torch.from_numpy(array)
        self._schema = schema

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, rows: Tensor) -> Tensor:
        return to_tensor(self._array[rows].numpy(), self._schema)


class Stored:
    """Samples that stay in the store."""

    def __init__(self, split: Split) -> None:
        self._split = split
        self._count = len(split)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, rows: Tensor) -> Tensor:
        numbers, schema = rows.numpy(), self._split.schema
        if schema.storage == "raw":
            array = np.stack([self._split.inputs(slice(row, row + 1))[0] for row in numbers.tolist()])
            return to_tensor(array, schema)
        height, width, _ = schema.shape
        try:
            return to_tensor(decode_all(self._split.encoded(numbers), height, width), schema)
        except ValueError as error:
            raise CorruptFileError(f"{self._split.path} is damaged ({error}); prepare it again") from error


class Subset:
    """Some of the rows, without a copy."""

    def __init__(self, whole: Rows, kept: Tensor) -> None:
        self._whole = whole
        self._kept = kept

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, rows: Tensor) -> Tensor:
        return self._whole[self._kept[rows]]


def inputs_of(split: Split) -> Rows:
    """The inputs of a split.

    Raises:
        CorruptFileError: if the store is damaged, or holds values that are not finite.
    """
    schema = split.schema
    size = len(split) * math.prod(schema.shape) * np.dtype(schema.dtype).itemsize
    if size > MEMORY_LIMIT:
        return Stored(split)
    array = split.inputs()
    if schema.modality == "image" and array.dtype == np.uint8:
        return Images(array, schema)
    return to_tensor(array, schema, f"the split {split.name!r}")


def whole(rows: Rows) -> Tensor:
    """All of the rows as one tensor."""
    return rows if isinstance(rows, Tensor) else rows[torch.arange(len(rows))]
