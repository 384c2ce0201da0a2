"""The data-set store: one HDF5 file with the splits of a data set (format: ``docs/formats.md``)."""

from __future__ import annotations

import functools
import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from contextssl_cli.errors import CorruptFileError, PluginError, invalid_value, suggestion
from contextssl_cli.parsing import parse_json
from contextssl_cli.store import content, hdf5
from contextssl_cli.store.arrays import read_runs
from contextssl_cli.store.content import PROVENANCE, SCHEMA, ContentHash
from contextssl_cli.store.images import decode_all
from contextssl_cli.store.samples import SPLITS, Array, Samples
from contextssl_cli.store.schema import Schema
from contextssl_cli.text import printable, reason

STORE_KIND = "contextssl-store"
STORE_VERSION = 2
"""Version 2 added encoded images and links between columns."""
CONTENT_HASH = "content_hash"
DIGESTS = "digests"
_NAMED = 100  # skipped sources that the provenance names; more are counted
_LARGE = 1 << 30  # bytes of a store whose check takes long enough to be announced
_log = logging.getLogger(__name__)


@contextmanager
def create_store(path: Path, schema: Schema, provenance: Mapping[str, Any]) -> Iterator[StoreWriter]:
    """Create a store atomically; append batches through the writer.

    Args:
        path: of the store.
        schema: what the data set is.
        provenance: source hashes, plugin and version, options; kept as JSON, and read after the samples.

    Raises:
        PluginError: if what is appended does not match ``schema``, or a split stays empty.
        ContextSSLError: if the disk is full.
        FileInUseError: if another process has the store open for writing.
    """
    described = _schema_json(schema)
    with hdf5.create_file(path, STORE_KIND, STORE_VERSION) as file:
        writer = StoreWriter(file, schema)
        yield writer
        made = _provenance_json(dict(provenance) | writer.skipped())
        found = writer.content()
        hdf5.set_text(file, SCHEMA, described)
        hdf5.set_text(file, PROVENANCE, made)
        hdf5.set_text(file, DIGESTS, json.dumps(found.digests(described, made)))
        hdf5.set_text(file, CONTENT_HASH, found.total(described))


def _schema_json(schema: Schema) -> str:
    try:
        return schema.model_dump_json()
    except PydanticSerializationError as error:  # of a lone surrogate, which a folder's name may hold
        raise PluginError(f"the data set has a name that is not Unicode: {printable(str(error))}") from error


def _provenance_json(provenance: Mapping[str, Any]) -> str:
    try:
        made = json.dumps(provenance)
        parse_json(made)  # by the rules of all readers: no NaN, no thousands of digits or levels
    except (TypeError, ValueError, RecursionError) as error:
        raise PluginError(f"the sources or notes of the data set cannot be kept as JSON ({reason(error)})") from error
    return made


class StoreWriter:
    """Appends batches of samples to the splits of a store that is being created."""

    def __init__(self, file: hdf5.File, schema: Schema) -> None:
        self._file = file
        self._schema = schema
        self._content = ContentHash()
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
        columns |= self._codes("labels", samples.labels, self._schema.tasks, -1)
        columns |= self._codes("attributes", samples.attributes, self._schema.attributes, 0)
        columns |= {
            hdf5.key("latents", name): np.asarray(array, dtype=np.float32)
            for name, array in _declared("latents", samples.latents, self._schema.latents).items()
        }
        if samples.objects is not None:
            columns["objects"] = _whole("objects", samples.objects)
        self._check(columns)
        for name, array in columns.items():
            self._extend(f"{samples.split}/{name}", array)
        self._skipped_count += len(samples.skipped)
        self._skipped += samples.skipped[: _NAMED - len(self._skipped)]

    def skipped(self) -> dict[str, Any]:
        """How many sources were left out, and the first of them, for the provenance."""
        return {"skipped": self._skipped_count, "skipped_sources": self._skipped} if self._skipped_count else {}

    def content(self) -> ContentHash:
        """Of all samples, once all are appended.

        Raises:
            PluginError: if a split has none.
        """
        missing = [split for split in SPLITS if f"{split}/inputs" not in self._file]
        if missing:
            raise PluginError(f"the data set wrote no samples to the split {missing[0]!r}")
        return self._content

    def _inputs(self, samples: Samples) -> dict[str, Array]:
        if self._schema.storage == "raw":
            return {"inputs": np.asarray(samples.inputs)}
        sizes = np.array([len(data) for data in samples.inputs], dtype=np.int64)
        name = f"{samples.split}/bytes"
        begin = len(self._file[name]) if name in self._file else 0
        data = np.frombuffer(b"".join(samples.inputs), np.uint8)
        self._extend(name, data)
        return {"inputs": begin + np.cumsum(sizes)}

    def _codes(
        self, group: str, arrays: Mapping[str, Array], declared: Mapping[str, Sequence[str]], lowest: int
    ) -> dict[str, Array]:
        columns = {}
        for name, array in _declared(group, arrays, declared).items():
            codes, count = _whole(f"{group} {name!r}", array), len(declared[name])
            if codes.size and not lowest <= codes.min() <= codes.max() < count:
                raise PluginError(
                    f"{group} {name!r} have codes from {codes.min()} to {codes.max()} for {count} classes; name every "
                    "class in the schema"
                )
            columns[hdf5.key(group, name)] = codes
        return columns

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
            rows = 1 if name.endswith("/inputs") and len(row) > 1 else 65536 // (math.prod(row) * array.itemsize or 1)
            chunk = (max(1, rows), *row)
            self._file.create_dataset(name, shape=(0, *row), maxshape=(None, *row), dtype=array.dtype, chunks=chunk)
        dataset = self._file[name]
        start = len(dataset)
        dataset.resize(start + len(array), axis=0)
        dataset[start:] = array
        self._content.update(name, array)


def _declared(group: str, arrays: Mapping[str, Array], declared: Mapping[str, Any]) -> Mapping[str, Array]:
    if set(arrays) != set(declared):
        raise PluginError(f"{group}: the schema declares {sorted(declared)}, the samples have {sorted(arrays)}")
    return arrays


def _whole(name: str, values: Any) -> Array:
    """Convert whole numbers of any type to int64, and refuse fractions, which a cast would cut off silently."""
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        with np.errstate(invalid="ignore"):  # NaN, infinite, or beyond 64 bits
            whole = array.astype(np.int64)
        if np.array_equal(whole.astype(array.dtype), array) and not (array.dtype.kind == "u" and (whole < 0).any()):
            return whole
    raise PluginError(f"{name} are {array.dtype}, expected whole numbers of 64 bits")


class Split:
    """One split of a store. Everything is read on demand."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self.name = name
        self.schema, self.path = store.schema, store.path

    def __len__(self) -> int:
        with hdf5.reading(self.path):
            return len(self._group["inputs"])

    def inputs(self, rows: slice = slice(None)) -> Array:
        """Inputs (N, *shape), all or some of them; encoded images are decoded.

        Raises:
            CorruptFileError: if the store is damaged.
        """
        return self._read("inputs", rows) if self.schema.storage == "raw" else self[np.arange(len(self))[rows]]

    def __getitem__(self, rows: NDArray[np.int64]) -> Array:
        """Inputs by row number, in any order; raises as ``inputs``."""
        if self.schema.storage == "raw":
            return read_runs(rows, lambda start, stop: self._read("inputs", slice(start, stop)))
        height, width, _ = self.schema.shape
        with hdf5.reading(self.path):
            return decode_all(self.encoded(rows), height, width)

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
        ends = np.concatenate([[0], self._read("inputs")])
        if (np.diff(ends) < 0).any() or ends[-1] > len(self._group["bytes"]):
            raise CorruptFileError(f"{printable(self.path)} is damaged: its images overlap; prepare it again")
        return ends

    def labels(self, task: str) -> Array:
        """Class indices of a task, (N,), -1 where missing."""
        return self._codes("labels", task, self.schema.tasks)

    def attribute(self, name: str) -> Array:
        """Category indices of a sensitive attribute, (N,)."""
        return self._codes("attributes", name, self.schema.attributes)

    def latents(self, action: str) -> Array:
        """Recorded latents of an action type, (N, width)."""
        return self._read(hdf5.key("latents", action))

    def _codes(self, group: str, name: str, values: Mapping[str, Sequence[str]]) -> Array:
        codes = self._read(hdf5.key(group, name))
        count = len(values.get(name, ()))
        if len(codes) and (codes.min() < -1 or codes.max() >= count):
            raise CorruptFileError(
                f"{printable(self.path)} is damaged: {group} of {printable(name)!r} go from {codes.min()} to "
                f"{codes.max()}, and it has {count} values; prepare it again"
            )
        return codes

    def check_shapes(self) -> None:
        """Compare the arrays with the schema; nothing is read.

        Raises:
            CorruptFileError: naming the first array that is missing, or of another shape or type.
        """
        schema = self.schema
        shape = hdf5.dataset(self._group, "inputs", self.path).shape
        rows = shape[0] if shape else 0
        if schema.storage == "raw":
            self._check("inputs", (rows, *schema.shape), schema.dtype)
        else:
            self._check("inputs", (rows,), "int64")
            self._check("bytes", None, "uint8")
        for group, names in (("labels", schema.tasks), ("attributes", schema.attributes)):
            for name in names:
                self._check(hdf5.key(group, name), (rows,), "int64")
        for name, width in schema.latents.items():
            self._check(hdf5.key("latents", name), (rows, width), "float32")
        if "objects" in self._group:
            self._check("objects", (rows,), "int64")

    def _check(self, name: str, shape: tuple[int, ...] | None, dtype: str) -> None:
        with hdf5.reading(self.path):
            found = hdf5.dataset(self._group, name, self.path)
            if shape not in (None, found.shape) or found.dtype.newbyteorder("=") != dtype:
                raise CorruptFileError(
                    f"{printable(self.path)}: {printable(found.name)} is {found.dtype}{list(found.shape or ())}, the "
                    f"schema says {dtype}{list(shape or ())}; prepare it again"
                )

    def objects(self) -> Array:
        """Object ids, (N,): the sample's own number where the data set has one view per object."""
        with hdf5.reading(self.path):
            return self._read("objects") if "objects" in self._group else np.arange(len(self))

    @property
    def _group(self) -> hdf5.Group:
        return self._store.file[self.name]

    def _read(self, name: str, rows: slice = slice(None)) -> Array:
        with hdf5.reading(self.path):
            return hdf5.read(self._group, name, self.path, rows)


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
        with hdf5.open_kind(self.path, STORE_KIND, STORE_VERSION) as file:
            try:
                self.schema = Schema.model_validate_json(hdf5.text(self.path, file, SCHEMA))
                self.provenance = _facts(hdf5.text(self.path, file, PROVENANCE))
            except (ValueError, RecursionError) as error:
                detail = invalid_value(error) if isinstance(error, ValidationError) else str(error)
                raise CorruptFileError(
                    f"{printable(self.path)} has a damaged header ({printable(detail)}); prepare it again"
                ) from error
            self.content_hash = hdf5.text(self.path, file, CONTENT_HASH)
            missing = [split for split in SPLITS if split not in file]
            if missing:
                raise CorruptFileError(f"{printable(self.path)} has no split {missing[0]!r}; prepare it again")
            self._handle, self._pid = file, os.getpid()
            for split in SPLITS:
                Split(self, split).check_shapes()
            self._handle = None

    @property
    def file(self) -> hdf5.File:
        """The open file of this process.

        Raises:
            CorruptFileError: if other data have taken its place since the store was opened.
        """
        if self._handle is None or self._pid != os.getpid():
            handle = hdf5.open_kind(self.path, STORE_KIND, STORE_VERSION)
            if hdf5.text(self.path, handle, CONTENT_HASH, "") != self.content_hash:
                handle.close()
                raise CorruptFileError(f"{printable(self.path)} was replaced while it was in use; start again")
            self._handle, self._pid = handle, os.getpid()
        return self._handle

    def check(self) -> None:
        """Compare the content with its hash, unless this version of the file was compared before.

        Raises:
            CorruptFileError: as ``verify``.
        """
        if not content.is_checked(self.path, self.content_hash):
            self.verify()

    def verify(self) -> None:
        """Read everything, in blocks, and compare it with the content hash.

        Raises:
            CorruptFileError: naming the first array that differs from what was written, if the store has its digest.
        """
        started, before = time.time_ns(), content.identity(self.path)
        if before[2] > _LARGE:
            _log.info("checking the content of %s (%.1f GB)", printable(self.path), before[2] / 1e9)
        schema, provenance = (hdf5.text(self.path, self.file, name) for name in (SCHEMA, PROVENANCE))
        found = content.hash_file(self.path, self.file)
        digests = found.digests(schema, provenance)
        with hdf5.reading(self.path):
            written = _facts(hdf5.text(self.path, self.file, DIGESTS, json.dumps(digests)))
        names = sorted({*digests, *written})  # one of them may lack a name
        changed = next((name for name in names if digests.get(name) != written.get(name)), None)
        if changed or found.total(schema) != self.content_hash:
            raise CorruptFileError(
                f"{printable(self.path)}: {printable(changed or 'the content')} differs from what was written; put a "
                "copy back or prepare it again with --force"
            )
        content.remember(self.path, self.content_hash, before, started)

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


def _facts(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"a {type(found).__name__} in place of a JSON object")
    return found
