"""The embeddings file that ``contextssl adapt`` writes (format: ``docs/formats.md``)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.store import hdf5

EMBEDDINGS_KIND = "contextssl-embeddings"
EMBEDDINGS_VERSION = 1
_CHUNK = 1 << 16  # bytes


class EmbeddingsWriter:
    """Appends embeddings to a file that is being created."""

    def __init__(self, file: hdf5.File, dim: int) -> None:
        rows = max(1, _CHUNK // (4 * dim))
        self._file = file
        self._values = file.create_dataset(
            "embeddings", shape=(0, dim), maxshape=(None, dim), dtype=np.float32, chunks=(rows, dim)
        )

    @property
    def shape(self) -> tuple[int, int]:
        """How many embeddings were appended, and the numbers in each."""
        count, dim = self._values.shape
        return count, dim

    def append(self, values: NDArray[np.float32]) -> None:
        """Append embeddings (N, D)."""
        start = len(self._values)
        self._values.resize(start + len(values), axis=0)
        self._values[start:] = values

    def describe(
        self,
        labels: Mapping[str, NDArray[Any]],
        attributes: Mapping[str, NDArray[Any]],
        names: Sequence[str],
        about: Mapping[str, Any],
    ) -> None:
        """Write what belongs to the embeddings; arguments as the attributes of ``Embeddings``. Call it once, last."""
        hdf5.write_group(self._file, "labels", labels)
        hdf5.write_group(self._file, "attributes", attributes)
        if names:  # of fixed length, which can be read without following references
            encoded = np.array([name.encode("utf-8", "surrogateescape") for name in names], np.bytes_)
            self._file.create_dataset("names", data=encoded)
        hdf5.set_text(self._file, "about", json.dumps(dict(about)))


@contextmanager
def create_embeddings(path: Path, dim: int) -> Iterator[EmbeddingsWriter]:
    """Create an embeddings file atomically; embeddings are appended through the writer.

    Args:
        path: of the file.
        dim: numbers in an embedding.

    Raises:
        ContextSSLError: if the disk is full; FileInUseError if another process has the file open for writing.
    """
    with hdf5.create_file(Path(path), EMBEDDINGS_KIND, EMBEDDINGS_VERSION) as file:
        yield EmbeddingsWriter(file, dim)


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of N inputs under one context.

    Attributes:
        values: (N, D) float32, each of unit length.
        labels: (N,) class indices by task, where the input has them.
        attributes: (N,) category indices by sensitive attribute, where the input has them.
        names: what each row is (a file name), or empty.
        about: the run, the context, the input and the symmetry profile; kept as JSON.
    """

    values: NDArray[np.float32]
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    attributes: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the file atomically."""
        with create_embeddings(path, self.values.shape[1]) as writer:
            writer.append(self.values)
            writer.describe(self.labels, self.attributes, self.names, self.about)

    @classmethod
    def load(cls, path: Path) -> Embeddings:
        """Read the file.

        Raises:
            DataMissingError: if there is no such file.
            CorruptFileError: if it is damaged, foreign or too new, or its parts do not have one row for each input.
        """
        path = Path(path)
        with hdf5.open_kind(path, EMBEDDINGS_KIND, EMBEDDINGS_VERSION) as file, hdf5.reading(path):
            names = hdf5.read(file, "names", path) if "names" in file else np.array([], np.bytes_)
            if names.dtype.kind != "S":
                raise TypeError(f"names are {names.dtype}, expected text")
            found = cls(
                values=hdf5.read(file, "embeddings", path),
                labels=hdf5.read_group(file, "labels", path),
                attributes=hdf5.read_group(file, "attributes", path),
                names=tuple(name.decode("utf-8", "surrogateescape") for name in names.tolist()),
                about=json.loads(hdf5.text(path, file, "about", "{}")),
            )
            found._check()
        return found

    def _check(self) -> None:
        if self.values.ndim != 2 or self.values.dtype.kind not in "uif":
            raise ValueError(f"embeddings are {self.values.dtype}{list(self.values.shape)}, expected rows of numbers")
        for name, block in [*self.labels.items(), *self.attributes.items()]:
            if block.shape != (len(self.values),):
                raise ValueError(f"{name} has the shape {block.shape} for {len(self.values)} embeddings")
        if len(self.names) not in (0, len(self.values)):
            raise ValueError(f"{len(self.names)} names for {len(self.values)} embeddings")
        if not isinstance(self.about, dict):
            raise TypeError(f"about is {self.about!r}, expected a JSON object")
