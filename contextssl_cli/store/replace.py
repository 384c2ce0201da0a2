"""Which files of HDF5 may be replaced: those of the kind that is written in their place."""

from __future__ import annotations

from pathlib import Path

from contextssl_cli import files
from contextssl_cli.errors import CorruptFileError, UnsafeFileError, UsageError
from contextssl_cli.store import hdf5
from contextssl_cli.store.kinds import HDF5_SIGNATURE, HEAD
from contextssl_cli.text import printable


def check_replaceable(path: Path, kind: str, *inputs: Path | None) -> None:
    """Refuse to replace anything but a file of ``kind``; what does not exist, or is empty, is accepted.

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
            f"{printable(path)} exists and is no {kind} file, so it is not replaced; choose another --out, or remove "
            "it yourself"
        )


def is_replaceable(path: Path, kind: str) -> bool:
    """Whether a file of ``kind`` may be written to ``path``: there is none, an empty one, or one of the kind."""
    return not path.exists() or (path.is_file() and (not path.stat().st_size or is_kind(path, kind)))


def is_kind(path: Path, kind: str) -> bool:
    """Whether a regular file is of ``kind``; one that is damaged, as far as its first bytes tell."""
    head = files.read_head(path, HEAD)
    if not head.startswith(HDF5_SIGNATURE):
        return False
    try:
        return hdf5.kind_of(path) == kind
    except UnsafeFileError:  # contextssl writes no such file
        return False
    except CorruptFileError:
        return kind.encode() in head
