"""Tar archives as sources: their files are read one after the other, and nothing is ever unpacked to disk."""

from __future__ import annotations

import functools
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.text import printable

LARGEST_MEMBER = 64 << 20
"""Bytes of a file in an archive that is read into memory."""
_CHUNK = 1 << 20

Reader = Callable[[], bytes]


def archive_files(path: Path) -> Iterator[tuple[str, Reader]]:
    """The files of a tar archive, also compressed by gzip, bzip2 or xz, in the order in which they stand.

    Args:
        path: the archive.

    Yields:
        The name, without a leading ``./``, and a reader of the content, to be called before the next file.

    Raises:
        CorruptFileError: if the archive is cut off, or a member is a link or points outside.
    """
    with _reported(path), tarfile.open(path, tarinfo=_StrictInfo) as archive:
        for member in archive:
            name = _inner_name(member, path)
            if member.isfile():
                yield name, functools.partial(_content, archive, member, path)
        # A compressed file ends with a digest of its content: read on to it.
        while archive.fileobj and archive.fileobj.read(_CHUNK):
            pass


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise CorruptFileError(
            f"{path} is not a whole tar archive ({reason}): it is cut off, damaged or another kind of file"
        ) from error


class _StrictInfo(tarfile.TarInfo):
    """A header that cannot be read is an error; by itself, tarfile takes it for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # the blocks of zeros at the end
                raise
            raise tarfile.ReadError(str(error)) from error


def _inner_name(member: tarfile.TarInfo, path: Path) -> str:
    """The name of a member, if it is a file or a folder that stays inside."""
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts or "\\" in member.name:
        raise CorruptFileError(
            f"{path} holds {printable(member.name)!r}, which points outside; nothing was unpacked: do not trust it"
        )
    if not (member.isfile() or member.isdir()):
        raise CorruptFileError(
            f"{path} holds {printable(member.name)!r}, a link or a device, expected files and folders alone; "
            "nothing was unpacked: do not trust it"
        )
    return "/".join(part for part in parts if part not in ("", "."))


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    if member.size > LARGEST_MEMBER:
        raise CorruptFileError(
            f"{path}: {printable(member.name)} has {member.size:,} bytes, expected {LARGEST_MEMBER:,} at most"
        )
    with _reported(path):
        reader = archive.extractfile(member)
        return reader.read() if reader else b""
