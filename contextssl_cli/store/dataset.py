"""The data-set store: one HDF5 file with the splits of a data set (format: ``docs/formats.md``)."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from contextssl_cli.errors import CorruptFileError, PluginError, invalid_value, suggestion
from contextssl_cli.store import hdf5
from contextssl_cli.store.images import decode_all
from contextssl_cli.store.schema import Schema

KIND = "contextssl-store"
VERSION = 2
"""2 has encoded images and links between columns; 1 is read as before."""
SPLITS = ("train", "test")
_NAMED = 100  # skipped sources that the provenance names; more are counted

Array = NDArray[Any]


@dataclass(frozen=True)
class Samples:
    """A batch of N samples of one split.

    Attributes:
        split: ``train`` or ``test``.
        inputs: (N, *schema.shape) of ``schema.dtype``; N files' bytes where ``schema.storage`` is ``encoded``.
        labels: by task, (N,) class indices; -1 where a label is missing.
        attributes: by sensitive attribute, (N,) category indices.
        latents: by recorded action type, (N, width) absolute parameters of the view.
        objects: (N,) which views belong to one object; needed with recorded latents.
        skipped: sources that could not be read and were left out on the user's wish, each with its reason.
    """

    split: str
    inputs: Array | Sequence[bytes]
    labels: Mapping[str, Array] = field(default_factory=dict)
    attributes: Mapping[str, Array] = field(default_factory=dict)
    latents: Mapping[str, Array] = field(default_factory=dict)
    objects: Array | None = None
    skipped: Sequence[str] = ()


@contextmanager
def create_store(path: Path, schema: Schema, provenance: Mapping[str, Any]) -> Iterator[StoreWriter]:
    """Create a store atomically; append batches through the writer.

    Args:
        path: where the store is to stand.
        schema: what the data set is.
        provenance: source hashes, plugin and version, options; kept as JSON, and read after the samples.

    Raises:
        PluginError: if what is appended does not match ``schema``, or a split stays empty.
        ContextSSLError: if the disk is full.
    """
    with hdf5.create(path, KIND, VERSION) as file:
        writer = StoreWriter(file, schema)
        yield writer
        file.attrs["schema"] = schema.model_dump_json()
        file.attrs["provenance"] = json.dumps(dict(provenance) | writer.skipped())
        file.attrs["content_hash"] = writer.content_hash()


class StoreWriter:
    """Appends batches of samples to the splits of a store that is being created."""

    def __init__(self, file: hdf5.File, schema: Schema) -> None:
        self._file = file
        self._schema = schema
        self._hashes: dict[str, Any] = {}
        self._skipped: list[str] = []
        self._skipped_count = 0

    def append(self, samples: Samples) -> None:
        """Append a batch to its split.

        Raises:
            PluginError: if anything does not match the schema.
        """
        if samples.split not in SPLITS:
            raise PluginError(f"a store has no split {samples.split!r}: {suggestion(samples.split, SPLITS)}")
        columns = self._inputs(samples)
        columns |= self._named("labels", samples.labels, set(self._schema.tasks), np.int64)
        columns |= self._named("attributes", samples.attributes, set(self._schema.attributes), np.int64)
        columns |= self._named("latents", samples.latents, set(self._schema.latents), np.float32)
        if samples.objects is not None:
            columns["objects"] = np.asarray(samples.objects, dtype=np.int64)
        self._check(columns)
        for name, array in columns.items():
            self._extend(f"{samples.split}/{name}", array)
        self._skipped_count += len(samples.skipped)
        self._skipped += samples.skipped[: _NAMED - len(self._skipped)]

    def skipped(self) -> dict[str, Any]:
        """How many sources were left out, and the first of them, for the provenance."""
        return {"skipped": self._skipped_count, "skipped_sources": self._skipped} if self._skipped_count else {}

    def content_hash(self) -> str:
        """SHA-256 over all samples; independent of how they were divided into batches."""
        missing = [split for split in SPLITS if f"{split}/inputs" not in self._hashes]
        if missing:
            raise PluginError(f"the data set wrote no samples to the split {missing[0]!r}")
        total = hashlib.sha256(self._schema.model_dump_json().encode())
        for name in sorted(self._hashes):
            total.update(name.encode() + self._hashes[name].digest())
        return total.hexdigest()

    def _inputs(self, samples: Samples) -> dict[str, Array]:
        if self._schema.storage == "raw":
            return {"inputs": np.asarray(samples.inputs)}
        sizes = np.array([len(data) for data in samples.inputs], dtype=np.int64)
        name = f"{samples.split}/bytes"
        begin = len(self._file[name]) if name in self._file else 0
        data = np.frombuffer(b"".join(samples.inputs), np.uint8)
        self._extend(name, data)
        return {"inputs": begin + np.cumsum(sizes)}

    def _named(self, group: str, arrays: Mapping[str, Array], declared: set[str], dtype: type) -> dict[str, Array]:
        if set(arrays) != declared:
            raise PluginError(f"{group}: the schema declares {sorted(declared)}, the samples have {sorted(arrays)}")
        return {f"{group}/{name}": np.asarray(array, dtype=dtype) for name, array in arrays.items()}

    def _check(self, columns: Mapping[str, Array]) -> None:
        inputs = columns["inputs"]
        if self._schema.storage == "raw" and (
            inputs.shape[1:] != self._schema.shape or inputs.dtype != self._schema.dtype
        ):
            raise PluginError(
                f"inputs are {inputs.dtype}{list(inputs.shape[1:])}, the schema declares "
                f"{self._schema.dtype}{list(self._schema.shape)}"
            )
        for name, array in columns.items():
            if len(array) != len(inputs):
                raise PluginError(f"{name} has {len(array)} rows for {len(inputs)} inputs")
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise PluginError(f"{name} holds NaN or infinite values")

    def _extend(self, name: str, array: Array) -> None:
        if name not in self._file:
            # One sample a chunk: a random read touches nothing else (0.02 ms a 128 x 128 image).
            row = array.shape[1:]
            chunk = (
                (1, *row) if name.endswith("/inputs") and len(row) > 1 else (max(1, 65536 // _row_bytes(array)), *row)
            )
            self._file.create_dataset(name, shape=(0, *row), maxshape=(None, *row), dtype=array.dtype, chunks=chunk)
            self._hashes[name] = hashlib.sha256()
        dataset = self._file[name]
        start = len(dataset)
        dataset.resize(start + len(array), axis=0)
        dataset[start:] = array
        self._hashes[name].update(np.ascontiguousarray(array).tobytes())


class Split:
    """One split of a store. Everything is read on demand."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self.name = name

    def __len__(self) -> int:
        with hdf5.reading(self.path):
            return len(self._group["inputs"])

    @property
    def schema(self) -> Schema:
        """Of the store."""
        return self._store.schema

    @property
    def path(self) -> Path:
        """Of the store."""
        return self._store.path

    def inputs(self, rows: slice | None = None) -> Array:
        """Inputs (N, *shape), all or some of them; encoded images are decoded.

        Raises:
            CorruptFileError: if the store is damaged.
        """
        rows = rows or slice(None)
        if self.schema.storage == "raw":
            with hdf5.reading(self.path):
                return hdf5.read(self._group, "inputs", self.path, rows)
        numbers = np.arange(len(self))[rows]
        height, width, _ = self.schema.shape
        with hdf5.reading(self.path):
            return decode_all(self.encoded(numbers), height, width)

    def encoded(self, rows: Array) -> list[bytes]:
        """The bytes of encoded images, by row number."""
        with hdf5.reading(self.path):
            data = self._group["bytes"]
            return [
                data[begin:end].tobytes() for begin, end in zip(self._ends[rows], self._ends[rows + 1], strict=True)
            ]

    @functools.cached_property
    def _ends(self) -> Array:
        """Where each encoded image ends; a 0 before the first."""
        return np.concatenate([[0], self._read("inputs")])

    def labels(self, task: str) -> Array:
        """Class indices of a task, (N,), -1 where missing."""
        return self._read(f"labels/{task}")

    def attribute(self, name: str) -> Array:
        """Category indices of a sensitive attribute, (N,)."""
        return self._read(f"attributes/{name}")

    def latents(self, action: str) -> Array:
        """Recorded latents of an action type, (N, width)."""
        return self._read(f"latents/{action}")

    def objects(self) -> Array:
        """Object ids, (N,): the sample's own number where the data set has one view per object."""
        with hdf5.reading(self.path):
            return self._read("objects") if "objects" in self._group else np.arange(len(self))

    @property
    def _group(self) -> hdf5.Group:
        return self._store.file[self.name]

    def _read(self, name: str) -> Array:
        with hdf5.reading(self.path):
            return hdf5.read(self._group, name, self.path)


class Store:
    """A prepared data set, opened for reading.

    The file is opened on first use and once per process: a store may be handed to workers.

    Raises:
        DataMissingError: if there is no such file.
        CorruptFileError: if it is damaged, foreign, newer than this version, or incomplete.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._handle: hdf5.File | None = None
        self._pid = -1
        with hdf5.open_kind(self.path, KIND, VERSION) as file, hdf5.reading(self.path):
            try:
                self.schema = Schema.model_validate_json(file.attrs["schema"])
                self.provenance: dict[str, Any] = json.loads(file.attrs["provenance"])
                self.content_hash = str(file.attrs["content_hash"])
            except (KeyError, ValueError) as error:
                detail = invalid_value(error) if isinstance(error, ValidationError) else str(error)
                raise CorruptFileError(f"{self.path} has a damaged header ({detail}); prepare it again") from error
            missing = [split for split in SPLITS if split not in file]
            if missing:
                raise CorruptFileError(f"{self.path} has no split {missing[0]!r}; prepare it again")

    @property
    def file(self) -> hdf5.File:
        """The open file of this process."""
        if self._handle is None or self._pid != os.getpid():
            self._handle = hdf5.open_kind(self.path, KIND, VERSION)
            self._pid = os.getpid()
        return self._handle

    @property
    def train(self) -> Split:
        """The training split."""
        return Split(self, "train")

    @property
    def test(self) -> Split:
        """The test split."""
        return Split(self, "test")

    def close(self) -> None:
        """Close the file; it opens again on the next read."""
        if self._handle is not None and self._pid == os.getpid():
            self._handle.close()
        self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_handle": None, "_pid": -1}


def _row_bytes(array: Array) -> int:
    return max(1, int(np.prod(array.shape[1:], dtype=np.int64)) * array.itemsize)
