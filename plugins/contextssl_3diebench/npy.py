"""Reading ``.npy`` files, whose headers may declare anything."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from contextssl_cli.errors import ContextSSLError, CorruptFileError, UnsafeFileError
from contextssl_cli.files import check_input, read_error
from contextssl_cli.text import printable

_HEADERS: dict[tuple[int, int], Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


def read_array(path: Path, largest: int, advice: str) -> NDArray[Any]:
    """The array of a file, of whatever byte order. Nothing is unpickled, and no more is allocated than the file holds.

    Args:
        path: of the file.
        largest: bytes of an array that is read.
        advice: how messages end.

    Raises:
        DataMissingError: if the file does not exist or cannot be read.
        UnsafeFileError: if it is no regular file, or its array has more than ``largest`` bytes.
        CorruptFileError: if it is no such file, is cut off, or holds Python objects.
    """
    try:
        check_input(path)
    except ContextSSLError as error:
        raise type(error)(f"{error}; {advice}") from error
    try:
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a file that Python 2 wrote
            size = os.fstat(stream.fileno()).st_size
            version = npy.read_magic(stream)
            if version not in _HEADERS:
                raise ValueError(f"it has version {version} of the format")
            shape, columns_first, kind = _HEADERS[version](stream)
            declared = math.prod(shape) * kind.itemsize
            if declared > largest:
                raise UnsafeFileError(
                    f"{printable(path)} declares an array of {declared:,} bytes, expected {largest:,} at most; {advice}"
                )
            if not kind.itemsize or min(shape, default=0) < 0 or declared > size - stream.tell():
                raise ValueError(f"it declares {kind}{list(shape)}, which {size:,} bytes cannot hold")
            values = np.frombuffer(stream.read(declared), kind)  # of Python objects, this is an error
            return values.reshape(shape, order="F" if columns_first else "C")
    except OSError as error:
        raise read_error(path, error) from error
    except UnsafeFileError:
        raise
    except Exception as error:  # what a damaged header raises is not limited to anything
        reason = printable(str(error)[:200])
        raise CorruptFileError(f"{printable(path)} is no readable .npy file ({reason}); {advice}") from error
