"""The content hash of a store: one piece of code for writing and checking it, and the memory of what was checked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contextssl_cli import files, paths
from contextssl_cli.errors import ContextSSLError
from contextssl_cli.store import hdf5

PROVENANCE = "provenance"
SCHEMA = "schema"
_BLOCK = 16 << 20
_SETTLED = 2_000_000_000
"""Nanoseconds. A file that changed less long ago may change again within one tick of its file system's clock."""


class ContentHash:
    """SHA-256 over named arrays that come in blocks of rows; how they are divided does not matter."""

    def __init__(self) -> None:
        self._arrays: dict[str, Any] = {}

    def update(self, name: str, rows: NDArray[Any]) -> None:
        """Add the next rows of an array, as little-endian bytes in C order."""
        data = np.ascontiguousarray(rows, rows.dtype.newbyteorder("<"))
        self._arrays.setdefault(name, hashlib.sha256()).update(data.reshape(-1).view(np.uint8))

    def total(self, schema: str) -> str:
        """The content hash: of the schema's JSON, then of each array's name and digest, in the order of the names."""
        total = hashlib.sha256(schema.encode())
        for name in sorted(self._arrays):
            total.update(name.encode() + self._arrays[name].digest())
        return total.hexdigest()

    def digests(self, schema: str, provenance: str) -> dict[str, str]:
        """Of each array, the schema and the provenance, by which a damaged one is found."""
        texts = {SCHEMA: schema, PROVENANCE: provenance}
        found = {name: hashlib.sha256(text.encode("utf-8", "surrogateescape")) for name, text in texts.items()}
        return {name: digest.hexdigest() for name, digest in (found | self._arrays).items()}


def hash_file(path: Path, file: hdf5.File) -> ContentHash:
    """Hash every array of an open store, a block of rows at a time.

    Raises:
        CorruptFileError: if a part of it cannot be read.
    """
    found = ContentHash()
    for name in hdf5.datasets(path, file):
        for rows in _blocks(path, file, name):
            found.update(name, rows)
    return found


def _blocks(path: Path, file: hdf5.File, name: str) -> Iterator[NDArray[Any]]:
    with hdf5.reading(path):
        data = file[name]
        step = max(1, _BLOCK * data.shape[0] // max(1, data.nbytes)) if data.shape and data.size else 1
        count = data.shape[0] if data.shape else 1
    for start in range(0, max(1, count), step):  # an array without rows has a digest too
        yield hdf5.read(file, name, path, slice(start, start + step))


def identity(path: Path) -> list[int]:
    """Numbers that change whenever a file is replaced or written; nobody can set its change time.

    Raises:
        DataMissingError: if it is gone.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise files.read_error(path, error) from error
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def is_checked(path: Path, content_hash: str) -> bool:
    """Whether the content of this very file was found to have ``content_hash``."""
    with contextlib.suppress(ContextSSLError):
        return files.read_json(_memory(path)) == {"file": identity(path), "content_hash": content_hash}
    return False


def remember(path: Path, content_hash: str, before: list[int], started: int) -> None:
    """Remember that a file has the content ``content_hash``, if every later version would differ in its ``identity``.

    Args:
        path: of the file.
        content_hash: what was found.
        before: its ``identity`` before it was read.
        started: when that was, in nanoseconds since the epoch.
    """
    settled = started - max(before[-2:]) > _SETTLED
    if settled and started <= time.time_ns() and before == identity(path):
        with contextlib.suppress(ContextSSLError):  # it saves time, no more
            files.write_text(_memory(path), json.dumps({"file": before, "content_hash": content_hash}))


def _memory(path: Path) -> Path:
    name = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return paths.cache() / "checked" / f"{name}.json"
