"""The only module that imports h5py: atomic creation, and opening with an answer to every way a file can be wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from contextssl_cli import files
from contextssl_cli.errors import CorruptFileError, DataMissingError

File: TypeAlias = h5py.File
Group: TypeAlias = h5py.Group


@contextmanager
def create(path: Path, kind: str, version: int) -> Iterator[h5py.File]:
    """Create a file of the given ``kind`` atomically; its completeness flag is set last.

    Raises:
        ContextSSLError: if the disk is full; DataMissingError: if the folder may not be written to.
    """
    with (
        files.atomic(path) as temporary,
        _Output(temporary) as output,
        h5py.File(
            output,
            "w",
            libver="v110",  # attributes of more than 64 kB, which a wide table's schema needs
        ) as file,
    ):
        file.attrs["format"] = kind
        file.attrs["version"] = version
        yield file
        file.attrs["complete"] = True


class _Output:
    """A file for h5py to write to, whose failure is kept until h5py is done, and raised then.

    HDF5 cannot close a file that it cannot write: on a full disk it ends the process with a segmentation fault.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b", buffering=0)
        self._failure: OSError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._failure is not None:
            raise self._failure

    def write(self, data: Any) -> int:
        """Write all of ``data``, or nothing more after the first failure."""
        rest = memoryview(data)
        size = rest.nbytes
        while rest.nbytes and self._failure is None:
            try:
                rest = rest[self._file.write(rest) :]
            except OSError as error:
                self._failure = error
        return size

    def truncate(self, size: int) -> None:
        """Set the length of the file."""
        try:
            self._file.truncate(size)
        except OSError as error:
            self._failure = self._failure or error

    def read(self, size: int) -> bytes:
        """Read back what was written; what failed to be is zeros."""
        return self._file.read(size).ljust(size, b"\0")

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The place in the file."""
        return self._file.tell()

    def flush(self) -> None:
        """Nothing waits: ``files.atomic`` brings the file to the disk."""


def open_plain(path: Path) -> h5py.File:
    """Open any HDF5 file for reading.

    Raises:
        DataMissingError: if there is no such file or it may not be read.
        CorruptFileError: if it is not HDF5, or cut off.
    """
    path = Path(path)
    if path.is_dir():
        raise CorruptFileError(f"{path} is a folder, expected an HDF5 file")
    if not path.exists():
        raise DataMissingError(f"there is no file {path}")
    try:
        return h5py.File(path, "r")
    except (FileNotFoundError, PermissionError) as error:
        raise DataMissingError(f"cannot read {path}: {error.strerror or 'permission denied'}") from error
    except OSError as error:
        reason = "it is cut off" if "truncated" in str(error) else "it is damaged or another kind of file"
        raise CorruptFileError(f"{path} cannot be opened as HDF5: {reason}; write it again") from error


def open_kind(path: Path, kind: str, version: int) -> h5py.File:
    """Open a complete file of the given ``kind``, of format ``version`` or older.

    Raises:
        DataMissingError: if there is no such file.
        CorruptFileError: if it is damaged, of another kind, newer than ``version``, or incomplete.
    """
    file = open_plain(path)
    try:
        with reading(path):
            _check_header(path, file, kind, version)
    except BaseException:
        file.close()
        raise
    return file


def kind_of(path: Path) -> str:
    """The ``format`` attribute of an HDF5 file, or an empty string if it has none."""
    with open_plain(path) as file, reading(path):
        return str(file.attrs.get("format", ""))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Answer whatever h5py raises on damaged contents with one error.

    Raises:
        CorruptFileError: in place of the many others.
    """
    try:
        yield
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise CorruptFileError(f"{path} is damaged ({error}); write it again") from error


def _check_header(path: Path, file: h5py.File, kind: str, version: int) -> None:
    found = str(file.attrs.get("format", "unknown"))
    if found != kind:
        raise CorruptFileError(f"{path} has the format {found!r}, expected {kind!r}; see docs/formats.md")
    written = file.attrs.get("version")
    if not isinstance(written, int | np.integer):
        raise CorruptFileError(f"{path} has no integer attribute 'version'; see docs/formats.md")
    if written > version:
        raise CorruptFileError(
            f"{path} has format version {written}, this contextssl reads up to {version}: upgrade contextssl"
        )
    # A user's script may write a context without the flag: absent counts as complete.
    if not file.attrs.get("complete", True):
        raise CorruptFileError(f"{path} is incomplete; write it again")


def read(parent: h5py.Group, name: str, path: Path, rows: slice = slice(None)) -> NDArray[Any]:
    """Read a dataset, or some of its rows.

    Raises:
        CorruptFileError: if it is missing, a group, or its chunks are damaged.
    """
    with reading(path):
        item = parent.get(name)
        if not isinstance(item, h5py.Dataset):
            raise CorruptFileError(f"{path} has no dataset {parent.name.rstrip('/')}/{name}; see docs/formats.md")
        return np.asarray(item[rows] if item.shape else item[()])


def read_group(parent: h5py.Group, name: str, path: Path) -> dict[str, NDArray[Any]]:
    """Read every dataset of a group, none if the group is missing."""
    with reading(path):
        group = parent.get(name)
        if group is None:
            return {}
        if not isinstance(group, h5py.Group):
            raise CorruptFileError(f"{path}: {name!r} is a dataset, expected a group; see docs/formats.md")
        return {key: read(group, key, path) for key in group}


def write_group(parent: h5py.Group, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays into a group."""
    group = parent.create_group(name)
    for key, array in arrays.items():
        group.create_dataset(key, data=array)


def may_be_ours(path: Path) -> bool:
    """Whether a file is of contextssl, or too damaged to tell and named as HDF5 is."""
    if not is_hdf5(path):
        return path.suffix in (".h5", ".hdf5")
    try:
        return kind_of(path).startswith("contextssl-")
    except CorruptFileError:
        return True


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 does."""
    return path.is_file() and bool(h5py.is_hdf5(path))
