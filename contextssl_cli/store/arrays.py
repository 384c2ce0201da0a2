"""A user's own arrays: ``.npy``, ``.npz``, or HDF5. Pickled objects are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contextssl_cli import files
from contextssl_cli.errors import CorruptFileError
from contextssl_cli.store import hdf5

SUFFIXES = (".npy", ".npz", ".h5", ".hdf5")


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read every array of a file by name; datasets of an HDF5 group are named ``group/name``.

    A ``.npy`` file has one array, named ``x``.

    Raises:
        DataMissingError: if there is no such file.
        CorruptFileError: if it has another suffix, is damaged, or holds pickled objects.
    """
    path = files.check_input(Path(path), "an array file")
    if path.suffix in (".h5", ".hdf5"):
        return _read_hdf5(path)
    if path.suffix not in SUFFIXES:
        raise CorruptFileError(f"{path} has the suffix {path.suffix!r}, expected one of {', '.join(SUFFIXES)}")
    try:
        with path.open("rb") as stream:  # NumPy leaves it open where it finds a broken archive
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"x": loaded}
            with loaded:
                return {name: loaded[name] for name in loaded.files}
    except Exception as error:  # NumPy parses a damaged header as Python, and may raise anything
        raise CorruptFileError(
            f"{path} cannot be read as NumPy arrays ({error}); pickled objects are refused"
        ) from error


def _read_hdf5(path: Path) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    with hdf5.open_plain(path) as file, hdf5.reading(path):
        for name, item in file.items():
            if isinstance(item, hdf5.Group):
                found |= {f"{name}/{key}": array for key, array in hdf5.read_group(file, name, path).items()}
            else:
                found[name] = hdf5.read(file, name, path)
    return found
