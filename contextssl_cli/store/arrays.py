"""A user's own arrays: ``.npy``, ``.npz``, or HDF5, read whole or by rows. Pickled objects are never loaded."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from contextssl_cli import files
from contextssl_cli.errors import ContextSSLError, CorruptFileError, UnsafeFileError
from contextssl_cli.store import hdf5
from contextssl_cli.store.kinds import wrong_kind
from contextssl_cli.store.npy import fill_array, read_npy, read_npy_header
from contextssl_cli.store.untrusted import check_plain
from contextssl_cli.text import printable

ARRAY_SUFFIXES = (".npy", ".npz", ".h5", ".hdf5")
MAX_UNPACKED, MAX_RATIO = 2**30, 100
"""An ``.npz`` file may unpack to 1 GiB, or to a hundred times its size if that is more."""
_NAMED = 10  # arrays that an error names
_REASON = 200  # characters of NumPy's own words, which may quote the file


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read every array of a file by name; datasets of an HDF5 group are named ``group/name``.

    A ``.npy`` file has one array, named ``x``. The suffix may be in capitals.

    Args:
        path: of the file; its suffix says what it is.

    Raises:
        DataMissingError: if there is no such file.
        CorruptFileError: if it has another suffix, is damaged or cut off, declares more than it holds, or holds pickled
            objects, named fields, or two arrays of one name.
        UnsafeFileError: if an ``.npz`` file would unpack to more than ``MAX_UNPACKED`` and ``MAX_RATIO`` times its
            size; or if ``path`` is a folder, a FIFO, a socket or a device.
    """
    path = _check_suffix(path)
    if _is_hdf5(path):
        return _read_hdf5(path)
    with _reading_numpy(path):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return {name: _read_member(archive, member) for name, member in _members(path, archive).items()}
        with path.open("rb") as stream:
            return {"x": read_npy(stream, path.stat().st_size)}


class ArrayFile:
    """The array ``x`` of a file, or its only one, of which rows are read when they are asked for.

    An array in Fortran order is held in memory.

    Args:
        path: as for ``read_arrays``.

    Attributes:
        path: of the file.
        shape: of the array.
        dtype: of its numbers.

    Raises:
        DataMissingError, CorruptFileError, UnsafeFileError: as ``read_arrays``; also if the file has several arrays,
            and none is named ``x``.
    """

    def __init__(self, path: Path) -> None:
        self.path = _check_suffix(path)
        self._read: Callable[[int, int], NDArray[Any]]
        self.shape: tuple[int, ...]
        self.dtype: np.dtype[Any]
        if _is_hdf5(self.path):
            self._open_hdf5()
        else:
            with _reading_numpy(self.path):
                self._open_numpy()

    def __len__(self) -> int:
        return self.shape[0] if self.shape else 0

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        return read_runs(rows, self._read)

    def _open_hdf5(self) -> None:
        path = self.path  # the function that reads holds no reference to the object, whose end closes the file
        file = hdf5.open_plain(path)
        name = "x" if "x" in file else self._only(hdf5.datasets(path, file))
        data = hdf5.dataset(file, name, path)
        check_plain(path, data, 1)
        self.shape, self.dtype = data.shape, data.dtype
        self._read = lambda start, stop: hdf5.read(file, name, path, slice(start, stop))

    def _open_numpy(self) -> None:
        path, size = self.path, self.path.stat().st_size
        unpacked: IO[bytes] | None = None
        if zipfile.is_zipfile(path):
            archive = zipfile.ZipFile(path)
            members = _members(path, archive)
            member = members["x"] if "x" in members else members[self._only(list(members))]
            unpacked, size = archive.open(member), member.file_size  # stays open: batches follow one another
        with _stream(path, unpacked) as stream:
            shape, in_fortran_order, dtype = read_npy_header(stream, size)
            self.shape, self.dtype, begin = shape, dtype, stream.tell()
            if in_fortran_order or not shape:
                stream.seek(0)
                whole = read_npy(stream, size)
                self._read = lambda start, stop: whole[start:stop]
                return

        def read(start: int, stop: int) -> NDArray[Any]:
            with _reading_numpy(path), _stream(path, unpacked) as stream:
                stream.seek(begin + start * math.prod(shape[1:]) * dtype.itemsize)
                return fill_array(stream, (stop - start, *shape[1:]), dtype)

        self._read = read

    def _only(self, names: list[str]) -> str:
        if len(names) != 1:
            raise CorruptFileError(f"{printable(self.path)} holds {_listed(names)}; expected an array named x")
        return names[0]


def _stream(path: Path, unpacked: IO[bytes] | None) -> AbstractContextManager[IO[bytes]]:
    return path.open("rb") if unpacked is None else nullcontext(unpacked)


def read_runs(rows: NDArray[np.int64], read: Callable[[int, int], NDArray[Any]]) -> NDArray[Any]:
    """Rows by number, in any order, from ``read``, which gives those from a first to before a last one."""
    order = np.argsort(rows, kind="stable")
    ascending = rows[order]
    runs = np.split(ascending, np.flatnonzero(np.diff(ascending) != 1) + 1) if len(rows) else [np.array([0, -1])]
    found = np.concatenate([read(int(run[0]), int(run[-1]) + 1) for run in runs])
    if (order[:-1] < order[1:]).all():
        return found
    placed = np.empty_like(found)
    placed[order] = found
    return placed


def _check_suffix(path: Path) -> Path:
    path = files.check_input(Path(path), "an array file")
    if path.suffix.lower() not in ARRAY_SUFFIXES:
        raise wrong_kind(
            path, f"arrays in a file that ends in {', '.join(ARRAY_SUFFIXES[:-1])} or {ARRAY_SUFFIXES[-1]}"
        )
    return path


def _is_hdf5(path: Path) -> bool:
    return path.suffix.lower() in (".h5", ".hdf5")


@contextmanager
def _reading_numpy(path: Path) -> Iterator[None]:
    """Answer whatever NumPy and zipfile raise on damaged contents with one error."""
    try:
        yield
    except OSError as error:
        raise files.read_error(path, error) from error
    except ContextSSLError:
        raise
    except Exception as error:  # NumPy parses a damaged header as Python, and may raise anything
        reason = printable(str(error) or type(error).__name__)[:_REASON]
        raise CorruptFileError(f"{printable(path)} cannot be read as NumPy arrays: {reason}; save it again") from error


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The arrays of an ``.npz`` file by name."""
    members = [m for m in archive.infolist() if not (m.is_dir() or m.filename.startswith("__MACOSX/"))]
    unpacked, size = sum(member.file_size for member in members), path.stat().st_size
    if unpacked > max(MAX_UNPACKED, MAX_RATIO * size):
        raise UnsafeFileError(
            f"{printable(path)} has {size:,} bytes and declares {unpacked:,} bytes of arrays; save it uncompressed"
        )
    found: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        if name in found:
            raise ValueError(f"two arrays are named {name!r}")
        found[name] = member
    return found


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    try:
        with archive.open(member) as stream:
            return read_npy(stream, member.file_size)
    except ValueError as error:
        raise ValueError(f"{member.filename}: {error}") from error


def _read_hdf5(path: Path) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    with hdf5.open_plain(path) as file, hdf5.reading(path):
        for name, item in file.items():
            if isinstance(item, hdf5.Group):
                found |= {f"{name}/{key}": array for key, array in hdf5.read_group(file, name, path).items()}
            else:
                found[name] = hdf5.read(file, name, path)
    return found


def _listed(names: list[str]) -> str:
    shown = [printable(name) for name in sorted(names)]
    if not shown:
        return "no array"
    return f"the arrays {', '.join(shown[:_NAMED])}" + (f" and {len(shown) - _NAMED} more" if shown[_NAMED:] else "")
