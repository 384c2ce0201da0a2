"""Reading of ``.npy`` files that are not trusted. No h5py here, so that plugins load quickly."""

from __future__ import annotations

import math
import warnings
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npy(stream: IO[bytes], size: int) -> NDArray[Any]:
    """Read the array of a ``.npy`` file in any byte order; nothing is unpickled.

    Args:
        stream: at its beginning.
        size: bytes of the file. The declared shape is compared with them before memory is taken.

    Raises:
        ValueError: if it declares more, or holds objects or fields. NumPy may raise any other exception.
    """
    shape, in_fortran_order, dtype = read_npy_header(stream, size)
    data = fill_array(stream, (math.prod(shape),), dtype)
    return data.reshape(shape, order="F" if in_fortran_order else "C")


def read_npy_header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is in Fortran order, and type of the array of a ``.npy`` file; raises as ``read_npy``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a file that Python 2 wrote
        version = npy.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"version {'.'.join(map(str, version))} of the format is not read, expected plain numbers")
        shape, in_fortran_order, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise ValueError("pickled objects are refused, expected plain numbers")
    if dtype.names:
        raise ValueError("it has named fields, expected plain numbers")
    needed = math.prod(shape) * dtype.itemsize
    if not dtype.itemsize or min(shape, default=0) < 0 or needed > size - stream.tell():
        raise ValueError(f"an array of {needed:,} bytes is declared in {size:,}: it is cut off or damaged")
    return shape, in_fortran_order, dtype


def fill_array(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array of the next numbers of a stream.

    Raises:
        ValueError: if the stream ends before.
    """
    data = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
    if stream.readinto(data) < len(data):  # type: ignore[attr-defined]
        raise ValueError(f"it has fewer than the {len(data):,} bytes that it declares: it is cut off")
    return data.view(dtype).reshape(shape)
