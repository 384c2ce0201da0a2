"""Reading the ``.npy`` files of the data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from contextssl_cli.errors import ContextSSLError, CorruptFileError
from contextssl_cli.files import check_input, read_error
from contextssl_cli.store.npy import read_npy
from contextssl_cli.text import printable


def read_array(path: Path, largest: int, advice: str) -> NDArray[Any]:
    """The array of a file, of whatever byte order. Nothing is unpickled, and no more is allocated than the file holds.

    Args:
        path: of the file.
        largest: bytes of an array that is read.
        advice: how messages end.

    Raises:
        DataMissingError: if the file does not exist or cannot be read.
        UnsafeFileError: if it is no regular file.
        CorruptFileError: if it is no such file, is cut off, holds Python objects, or has more than ``largest`` bytes.
    """
    try:
        check_input(path)
    except ContextSSLError as error:
        raise type(error)(f"{error}; {advice}") from error
    try:
        with path.open("rb") as stream:
            return read_npy(stream, min(os.fstat(stream.fileno()).st_size, largest))
    except OSError as error:
        raise read_error(path, error) from error
    except Exception as error:  # what a damaged header raises is not limited to anything
        reason = printable(str(error)[:200])
        raise CorruptFileError(f"{printable(path)} is no readable .npy file ({reason}); {advice}") from error
