"""Which HDF5 files may be overwritten: those of the same kind as the new file."""

from __future__ import annotations

from pathlib import Path

from contextssl_cli import files
from contextssl_cli.errors import CorruptFileError, UnsafeFileError, UsageError
from contextssl_cli.store import hdf5
from contextssl_cli.store.kinds import HDF5_SIGNATURE, HEAD
from contextssl_cli.text import printable


def check_replaceable(path: Path, kind: str, *inputs: Path | None) -> None:
    """Refuse to overwrite anything but a file of ``kind``; a missing or empty file is accepted.

    Args:
        path: of a file that is about to be written.
        kind: its format, such as ``contextssl-context``.
        inputs: what it is made of.

    Raises:
        UsageError: if another file, or one of the inputs, is at ``path``.
        FileInUseError: if another process has the file open for writing.
    """
    files.check_output(path, *inputs)
    hdf5.check_not_in_use(path)
    if not is_replaceable(path, kind):
        raise UsageError(
            f"{printable(path)} exists and is not a {kind} file, so it is not overwritten; choose another --out, or "
            "remove it"
        )


def is_replaceable(path: Path, kind: str) -> bool:
    """Whether a file of ``kind`` may be written to ``path``: there is none, an empty one, or one of the kind."""
    return not path.exists() or (path.is_file() and (not path.stat().st_size or is_kind(path, kind)))


def is_kind(path: Path, kind: str) -> bool:
    """Whether a regular file is of ``kind``; a damaged one is judged by its first bytes."""
    head = files.read_bytes(path, HEAD)
    if not head.startswith(HDF5_SIGNATURE):
        return False
    try:
        return hdf5.kind_of(path) == kind
    except UnsafeFileError:  # contextssl writes no such file
        return False
    except CorruptFileError:
        return kind.encode() in head
