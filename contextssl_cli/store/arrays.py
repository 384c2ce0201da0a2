"""A user's own arrays: ``.npy``, ``.npz``, or HDF5. Pickled objects are never loaded."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from contextssl_cli import files
from contextssl_cli.errors import ContextSSLError, CorruptFileError, UnsafeFileError
from contextssl_cli.store import hdf5
from contextssl_cli.store.npy import read_npy
from contextssl_cli.text import printable

ARRAY_SUFFIXES = (".npy", ".npz", ".h5", ".hdf5")
MAX_UNPACKED, MAX_RATIO = 2**30, 100
"""An ``.npz`` file may unpack to 1 GiB, or to a hundred times its size if that is more."""
_REASON = 200  # characters of NumPy's own words, which may quote the file


def read_arrays(path: Path, prefer: str | None = None) -> dict[str, NDArray[Any]]:
    """Read every array of a file by name; datasets of an HDF5 group are named ``group/name``.

    A ``.npy`` file has one array, named ``x``. The suffix may be in capitals.

    Args:
        path: of the file; its suffix says what it is.
        prefer: of an HDF5 file that has an array of this name, no other is read.

    Raises:
        DataMissingError: if there is no such file.
        CorruptFileError: if it has another suffix, is damaged or cut off, declares more than it holds, or holds pickled
            objects, named fields, or two arrays of one name.
        UnsafeFileError: if an ``.npz`` file would unpack to more than ``MAX_UNPACKED`` and ``MAX_RATIO`` times its
            size; or if ``path`` is a folder, a FIFO, a socket or a device.
    """
    path = files.check_input(Path(path), "an array file")
    suffix = path.suffix.lower()
    if suffix in (".h5", ".hdf5"):
        return _read_hdf5(path, prefer)
    if suffix not in ARRAY_SUFFIXES:
        raise CorruptFileError(
            f"{printable(path)} does not end in {', '.join(ARRAY_SUFFIXES[:-1])} or {ARRAY_SUFFIXES[-1]}"
        )
    try:
        size = path.stat().st_size
        if zipfile.is_zipfile(path):
            return _read_npz(path, size)
        with path.open("rb") as stream:
            return {"x": read_npy(stream, size)}
    except OSError as error:
        raise files.read_error(path, error) from error
    except ContextSSLError:
        raise
    except Exception as error:  # NumPy parses a damaged header as Python, and may raise anything
        reason = printable(str(error) or type(error).__name__)[:_REASON]
        raise CorruptFileError(f"{printable(path)} cannot be read as NumPy arrays: {reason}; save it again") from error


def _read_npz(path: Path, size: int) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if not (m.is_dir() or m.filename.startswith("__MACOSX/"))]
        unpacked = sum(member.file_size for member in members)
        if unpacked > max(MAX_UNPACKED, MAX_RATIO * size):
            raise UnsafeFileError(
                f"{printable(path)} has {size:,} bytes and declares {unpacked:,} bytes of arrays; save it uncompressed"
            )
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name in found:
                raise ValueError(f"two arrays are named {name!r}")
            try:
                with archive.open(member) as stream:
                    found[name] = read_npy(stream, member.file_size)
            except ValueError as error:
                raise ValueError(f"{member.filename}: {error}") from error
    return found


def _read_hdf5(path: Path, prefer: str | None) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    with hdf5.open_plain(path) as file, hdf5.reading(path):
        if prefer is not None and prefer in file:
            return {prefer: hdf5.read(file, prefer, path)}
        for name, item in file.items():
            if isinstance(item, hdf5.Group):
                found |= {f"{name}/{key}": array for key, array in hdf5.read_group(file, name, path).items()}
            else:
                found[name] = hdf5.read(file, name, path)
    return found
