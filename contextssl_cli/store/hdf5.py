"""Opening and reading HDF5 files that are not trusted, with one error for each fault, and writing them atomically."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from contextssl_cli import files
from contextssl_cli.errors import CorruptFileError, FileInUseError, UnsafeFileError
from contextssl_cli.store.kinds import OWN_KINDS, kind_in_words
from contextssl_cli.store.names import escaped, unescaped
from contextssl_cli.store.untrusted import check_contents, check_heaps, check_plain
from contextssl_cli.text import printable

File: TypeAlias = h5py.File
Group: TypeAlias = h5py.Group

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_OF_DAMAGE = {errno.EINVAL, errno.EOVERFLOW}
"""What the system answers where a damaged file says to read at an impossible place."""
_WITHOUT_LOCKS = "on a file system without locks (some NFS and Lustre) set HDF5_USE_FILE_LOCKING=FALSE"


@contextmanager
def create_file(path: Path, kind: str, version: int) -> Iterator[h5py.File]:
    """Create a file of the given ``kind`` atomically; its completeness flag is set last.

    Raises:
        ContextSSLError: if the disk is full; DataMissingError: if the folder may not be written to.
        FileInUseError: if another process has the file that would be replaced open for writing.
    """
    check_not_in_use(path)
    with (
        files.atomic(path) as temporary,
        _Output(temporary) as output,
        h5py.File(
            output,
            "w",
            libver="v110",  # attributes of more than 64 kB, which a wide table's schema needs
        ) as file,
    ):
        set_text(file, "format", kind)
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
        """Do nothing: nothing is buffered, and ``files.atomic`` flushes the file to the disk."""


def check_not_in_use(path: Path) -> None:
    """Refuse a file that another process has open for writing; any other file, or none, is accepted.

    Raises:
        FileInUseError: if it is locked, or marked as open for writing.
    """
    if not Path(path).is_file():
        return
    try:
        h5py.File(path, "r").close()
    except OSError as error:
        _check_lock(path, error)


def _check_lock(path: Path, error: OSError) -> None:
    """Raise the error for a file in use, if ``error`` is HDF5's for one."""
    name, reason = printable(path), str(error)
    if "file is already open for" in reason:  # a mark in the file itself, which no lock clears
        raise FileInUseError(
            f"{name} is marked as open for writing: by another process, or by one that was killed; wait until it ends, "
            f"or remove the mark with h5clear --status (of HDF5's tools)"
        ) from error
    if "unable to lock file" in reason:
        if error.errno in _NO_LOCKS:
            raise FileInUseError(f"{name} cannot be locked ({os.strerror(error.errno)}); {_WITHOUT_LOCKS}") from error
        raise FileInUseError(
            f"{name} is open for writing in another process; wait until that ends, or {_WITHOUT_LOCKS}"
        ) from error


def open_plain(path: Path) -> h5py.File:
    """Open any HDF5 file for reading, if it refers to nothing outside itself (see ``untrusted.check_contents``).

    Raises:
        DataMissingError: if there is no such file or it may not be read.
        FileInUseError: if another process has it open for writing, or it cannot be locked.
        UnsafeFileError: if it is no regular file, refers to other files, or declares more data than it can hold.
        CorruptFileError: if it is not HDF5, or cut off.
    """
    path = files.check_input(Path(path), "an HDF5 file")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        _check_lock(path, error)
        _check_system(path, error)
        reason = f"it is damaged or another kind of file ({kind_in_words(path)})"
        if "truncated" in str(error):
            reason = "it is cut off"
        raise CorruptFileError(f"{printable(path)} cannot be opened as HDF5: {reason}; create it again") from error
    try:
        with reading(path):
            check_contents(path, file)
    except BaseException:
        file.close()
        raise
    return file


def _check_system(path: Path, error: OSError) -> None:
    """Raise the error for a failed read, if it is the system's and not the file's."""
    if error.errno and error.errno not in _OF_DAMAGE:
        raise files.read_error(path, OSError(error.errno, os.strerror(error.errno))) from error


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
    with open_plain(path) as file:
        return text(path, file, "format", "")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Replace the many errors that h5py raises on damaged contents by one.

    Raises:
        CorruptFileError: in place of the many others.
        DataMissingError: if the system could not read.
        UnsafeFileError: if the memory does not suffice.
    """
    try:
        yield
    except MemoryError as error:
        raise UnsafeFileError(f"{printable(path)} holds more than the free memory of this machine") from error
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, OSError):
            _check_system(path, error)
        raise CorruptFileError(f"{printable(path)} is damaged ({printable(str(error))}); create it again") from error


def _check_header(path: Path, file: h5py.File, kind: str, version: int) -> None:
    found = text(path, file, "format", "unknown")
    if found != kind and found in OWN_KINDS:
        raise CorruptFileError(f"{printable(path)} is {OWN_KINDS[found]}, expected {OWN_KINDS[kind]}")
    if found != kind:
        raise CorruptFileError(
            f"{printable(path)} has the format {printable(found)!r}, expected {kind!r}; see docs/formats.md"
        )
    written = _attribute(path, file, "version")
    if isinstance(written, float) and written.is_integer():  # the only numbers of some languages
        written = int(written)
    if type(written) is not int:
        raise CorruptFileError(f"{printable(path)} has no integer attribute 'version'; see docs/formats.md")
    if written > version:
        raise CorruptFileError(
            f"{printable(path)} has format version {written}, this contextssl reads up to {version}: upgrade contextssl"
        )
    # A user's script may write a context without the flag: absent counts as complete.
    complete = _attribute(path, file, "complete")
    if complete is not None and (isinstance(complete, str) or not complete):
        raise CorruptFileError(f"{printable(path)} is incomplete; create it again")


def text(path: Path, file: h5py.File, name: str, default: str | None = None) -> str:
    """A text attribute of a file, in whichever of HDF5's types it was written.

    Bytes that are not UTF-8 become lone surrogates, as in the names of files.

    Raises:
        CorruptFileError: if it is missing and has no default, or is no text.
    """
    value = _attribute(path, file, name)
    if value is None:
        value = default
    if not isinstance(value, str):
        raise CorruptFileError(f"{printable(path)} has no text attribute {name!r}; see docs/formats.md")
    return value


def set_text(file: h5py.File, name: str, value: str) -> None:
    """Write a text attribute that ``text`` reads.

    It has a fixed length, and so is under a checksum; HDF5 keeps text of variable length elsewhere, without one.
    """
    data = value.encode("utf-8", "surrogateescape") or b"\0"
    file.attrs.create(name, np.array(data, np.bytes_), dtype=h5py.string_dtype("utf-8", len(data)))


def _attribute(path: Path, file: h5py.File, name: str) -> str | bool | int | float | None:
    """The only value of an attribute; None if there is no such attribute."""
    with reading(path):
        if name not in file.attrs:
            return None
        found = file.attrs.get_id(name)
        plain = found.dtype.kind in "biufS" or h5py.check_string_dtype(found.dtype) is not None
        if not plain or found.shape is None or math.prod(found.shape) != 1:
            raise CorruptFileError(f"{printable(path)}: the attribute {name!r} must be one number or one string")
        if found.dtype.kind == "O":
            check_heaps(path, file)
        value = np.asarray(file.attrs[name]).reshape(-1)[0]
        value = value.item() if isinstance(value, np.generic) else value
        return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def key(group: str, name: str) -> str:
    """The path of a data set in a group, for a name that may be any text."""
    return f"{group}/{escaped(name)}"


def dataset(parent: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """A dataset, unread.

    Raises:
        CorruptFileError: if it is missing or a group.
    """
    with reading(path):
        item = parent.get(name)
        if not isinstance(item, h5py.Dataset):
            where = printable(f"{parent.name.rstrip('/')}/{name}")
            raise CorruptFileError(f"{printable(path)} has no dataset {where}; see docs/formats.md")
        return item


def datasets(path: Path, file: h5py.File) -> list[str]:
    """The paths of all datasets of a file, as ``train/inputs``."""
    with reading(path):
        found: list[str] = []
        file.visit(found.append)
        return [name for name in found if isinstance(file[name], h5py.Dataset)]


def read(parent: h5py.Group, name: str, path: Path, rows: slice = slice(None)) -> NDArray[Any]:
    """Read a dataset, or some of its rows, in this machine's byte order.

    Args:
        parent: the file or group.
        name: its path in ``parent``, of ``key`` where it has a name from outside.
        path: of the file, for messages.
        rows: all by default.

    Raises:
        CorruptFileError: if it is missing, a group, or its chunks are damaged.
        UnsafeFileError: if it holds anything but numbers and text of a fixed length, or more than the memory.
    """
    with reading(path):
        item = dataset(parent, name, path)
        check_plain(path, item, len(range(*rows.indices(item.shape[0]))) if item.shape else 1)
        array = np.asarray(item[rows] if item.shape else item[()])
        return array.astype(array.dtype.newbyteorder("="), copy=False)


def read_group(parent: h5py.Group, name: str, path: Path) -> dict[str, NDArray[Any]]:
    """Read every dataset of a group by its unescaped name, or none if the group is missing.

    Raises:
        CorruptFileError: as ``read``, and if two datasets have the same unescaped name.
    """
    with reading(path):
        group = parent.get(name)
        if group is None:
            return {}
        if not isinstance(group, h5py.Group):
            raise CorruptFileError(f"{printable(path)}: {name!r} is a dataset, expected a group; see docs/formats.md")
        found = {unescaped(item): read(group, item, path) for item in group}
        if len(found) < len(group):
            raise CorruptFileError(f"{printable(path)}: two datasets of {name!r} have the same name")
        return found


def write_group(parent: h5py.Group, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays into a group."""
    parent.create_group(name)
    for item, array in arrays.items():
        parent.create_dataset(key(name, item), data=array)
