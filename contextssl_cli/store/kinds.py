"""The kind of a file that a user named where another kind was expected, recognised by its first bytes."""

from __future__ import annotations

from pathlib import Path

from contextssl_cli import files
from contextssl_cli.errors import CorruptFileError
from contextssl_cli.text import printable

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
HEAD = 4096
"""Bytes by which a kind is known. The attribute ``format`` of our HDF5 files is written first, and is among them."""
OWN_KINDS = {
    "contextssl-store": "a store",
    "contextssl-context": "a context file",
    "contextssl-embeddings": "an embeddings file",
    "contextssl-part": "a part of a store",
}
"""The formats of the HDF5 files that contextssl writes."""
_SIGNATURES = {
    b"\x93NUMPY": "a NumPy array file (.npy)",
    b"PK\x03\x04": "a zip or .npz archive",
    b"\xff\xd8\xff": "an image",
    b"\x89PNG": "an image",
    b"GIF8": "an image",
    b"RIFF": "an image",
    b"II*\0": "an image",
    b"MM\0*": "an image",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip archive",
    b"\x80": "a pickle",
}


def kind_in_words(path: Path) -> str:
    """The kind of a file or folder, such as ``a context file`` or ``an image``.

    Raises:
        DataMissingError: if it does not exist or cannot be read.
        UnsafeFileError: if it is a FIFO, a socket or a device.
    """
    if path.is_dir():
        return "the folder of a run" if (path / "run.json").is_file() else "a folder"
    head = files.read_bytes(path, HEAD)
    if head.startswith(HDF5_SIGNATURE):
        return next((words for kind, words in OWN_KINDS.items() if kind.encode() in head), "an HDF5 file")
    known = next((words for signature, words in _SIGNATURES.items() if head.startswith(signature)), None)
    if known is not None:
        return known
    if not head:
        return "an empty file"
    try:
        head[:-4].decode()  # a character may be cut off at the end
    except UnicodeDecodeError:
        return "a file of an unknown kind"
    return "a file of an unknown kind" if b"\0" in head else "a text file"


def wrong_kind(path: Path, expected: str) -> CorruptFileError:
    """The error for a file or folder of another kind than ``expected``."""
    return CorruptFileError(f"{printable(path)} is {kind_in_words(path)}, expected {expected}")
