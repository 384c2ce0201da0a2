"""Model inputs by number: one batched reader for splits of a store, folders of images, array files and arrays.

A ``Rows`` gives any of its N inputs as float32 tensors; samples are read and converted when they are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.errors import ContextSSLError
from contextssl_cli.store.arrays import ArrayFile
from contextssl_cli.store.dataset import Split
from contextssl_cli.store.images import decode_files
from contextssl_cli.store.schema import Schema

MEMORY_LIMIT = 4 << 30
"""Bytes of a split that training holds in memory; the samples of a larger one are read when they are needed."""
_CHECKED = 256
"""Images that ``ImageFiles.unreadable`` decodes at a time."""

Rows: TypeAlias = "Tensor | SampleRows | Subset"
"""N model inputs; a tensor of row numbers gives those inputs."""
SampleReader: TypeAlias = "NDArray[Any] | Split | ImageFiles | ArrayFile"
"""N samples as they are stored, (N, *shape); an array of row numbers gives those samples."""


class SampleRows:
    """Model inputs from samples that are converted when they are asked for.

    Args:
        samples: the reader; uint8 images in memory take a quarter of what floats would take.
        schema: of the data that the model was trained on.
        what: the name of the samples in messages.
    """

    def __init__(self, samples: SampleReader, schema: Schema, what: str = "the input") -> None:
        self._samples = samples
        self._schema = schema
        self._what = what

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, rows: Tensor) -> Tensor:
        return to_tensor(self._samples[rows.numpy()], self._schema, self._what)


class Subset:
    """Some of the rows, without a copy."""

    def __init__(self, whole: Rows, kept: Tensor) -> None:
        self._whole = whole
        self._kept = kept

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, rows: Tensor) -> Tensor:
        return self._whole[self._kept[rows]]


class ImageFiles:
    """The images of files, decoded and fitted to the input of a model as ``prepare`` does.

    Args:
        paths: N files.
        schema: of the data that the model was trained on.
    """

    def __init__(self, paths: Sequence[str], schema: Schema) -> None:
        self.paths = paths
        self._shape = schema.shape

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        try:
            return decode_files([self.paths[row] for row in rows], self._shape)
        except ContextSSLError as error:
            raise type(error)(f"{error}; replace it, or leave it out with --skip-corrupt") from error

    def unreadable(self) -> dict[str, str]:
        """The files that cannot be read, each with the reason. Every file is decoded, and none is kept in memory."""
        found: dict[str, str] = {}
        for start in range(0, len(self.paths), _CHECKED):
            decode_files(self.paths[start : start + _CHECKED], self._shape, found)
        return found


def inputs_of(split: Split) -> Rows:
    """The inputs of a split for training and probing: in memory, unless they take more than ``MEMORY_LIMIT``.

    Raises:
        CorruptFileError: if the store is damaged, or holds values that are not finite.
    """
    schema = split.schema
    size = len(split) * math.prod(schema.shape) * np.dtype(schema.dtype).itemsize
    if size > MEMORY_LIMIT:
        return SampleRows(split, schema)
    array = split.inputs()
    if schema.modality == "image" and array.dtype == np.uint8:
        return SampleRows(array, schema)
    return to_tensor(array, schema, f"the split {split.name!r}")


def whole(rows: Rows) -> Tensor:
    """All of the rows as one tensor."""
    return rows if isinstance(rows, Tensor) else rows[torch.arange(len(rows))]
