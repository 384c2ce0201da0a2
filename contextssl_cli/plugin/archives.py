"""Tar archives as sources: files are read one after the other, and nothing is unpacked to the disk."""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

from contextssl_cli.errors import CorruptFileError, UnsafeFileError
from contextssl_cli.files import read_bytes, read_error
from contextssl_cli.plugin.sources import LARGEST_FILE
from contextssl_cli.text import printable

LARGEST_ARCHIVE = 1 << 30
"""Bytes of an archive when it is unpacked, five times those of CIFAR-10's."""
MOST_MEMBERS = 150_000
"""Files and folders in an archive; CIFAR-10 as image files has 60,022."""
LARGEST_HEADER = 1 << 20
"""Bytes that describe one member: its name and, in newer formats, attributes of any length."""
_CHUNK = 1 << 20
_OPENERS: dict[bytes, Callable[[Path], IO[bytes]]] = {
    b"\x1f\x8b": gzip.open,  # type: ignore[dict-item]
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
"""By how a file begins; every other one may be a plain tar archive."""

MemberReader = Callable[[], bytes]


def archive_files(path: Path) -> Iterator[tuple[str, MemberReader]]:
    """Yield the files of a tar archive in their order; it may be compressed by gzip, bzip2 or xz.

    Whatever an archive holds, no more than ``LARGEST_ARCHIVE`` bytes of it are unpacked, and no more than
    ``LARGEST_FILE`` of a file.

    Args:
        path: the archive.

    Yields:
        The name, without a leading ``./``, and a function that reads the content; call it before the next file.

    Raises:
        DataMissingError: if it cannot be read.
        CorruptFileError: if the archive is cut off or damaged.
        UnsafeFileError: if it unpacks to more than the bounds of this module, or a member is a link, a device, a
            sparse file or points outside.
    """
    with _reported(path), _unpacked(path) as stream:
        bounded = _Bounded(stream, path)
        with tarfile.TarFile(fileobj=bounded, tarinfo=_StrictInfo) as archive:  # type: ignore[arg-type]
            for number, member in enumerate(_members(archive, bounded)):
                if number == MOST_MEMBERS:
                    raise UnsafeFileError(f"{printable(path)} holds more than {MOST_MEMBERS:,} files")
                name = _inner_name(member, path)
                if member.isfile():
                    yield name, functools.partial(_content, archive, bounded, member)
        bounded.read_to_end()


class _Bounded:
    """What tarfile needs of a stream. It counts what is read, so that no more is than was allowed."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self.path = path
        self._stream = stream
        self._allowed = LARGEST_HEADER

    def allow(self, size: int) -> None:
        """Allow so many bytes to be read from here on."""
        self._allowed = size

    def read(self, size: int) -> bytes:
        self._allowed -= size
        if self._allowed < 0:
            raise UnsafeFileError(
                f"{printable(self.path)} describes a file with more than {LARGEST_HEADER:,} bytes: do not trust it"
            )
        self._check(self.tell() + size)
        return self._stream.read(size)

    def seek(self, position: int) -> int:
        self._check(position)
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()

    def read_to_end(self) -> None:
        """A compressed file ends with a digest of its content: read on to it."""
        while self._stream.read(_CHUNK):
            self._check(self.tell())

    def _check(self, position: int) -> None:
        if position > LARGEST_ARCHIVE:
            raise UnsafeFileError(
                f"{printable(self.path)} unpacks to more than {LARGEST_ARCHIVE:,} bytes: if you trust it, unpack it "
                "yourself and name the folder"
            )


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except (
        tarfile.TarError, EOFError, OSError, ValueError, RecursionError, MemoryError, zlib.error, lzma.LZMAError
    ) as error:  # fmt: skip
        if isinstance(error, OSError) and error.errno:  # of the file itself, not of what it holds
            raise read_error(path, error) from error
        reason = printable(str(error).partition("\n")[0].rstrip(":"))
        raise CorruptFileError(
            f"{printable(path)} is not a whole tar archive ({reason}): it is cut off, damaged or another kind of file"
        ) from error


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    begin = read_bytes(path, 6)
    opener = next((opener for magic, opener in _OPENERS.items() if begin.startswith(magic)), None)
    with opener(path) if opener else path.open("rb") as stream:
        yield stream


def _members(archive: tarfile.TarFile, stream: _Bounded) -> Iterator[tarfile.TarInfo]:
    while True:
        stream.allow(LARGEST_HEADER)
        member = archive.next()
        if member is None:
            return
        archive.members.clear()  # type: ignore[attr-defined]  # they would be kept until the end
        yield member


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
        raise UnsafeFileError(
            f"{printable(path)} holds {_named(member)}, which points outside; nothing was unpacked: do not trust it"
        )
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise UnsafeFileError(
            f"{printable(path)} holds {_named(member)}, a link, a device or a sparse file, expected files and folders "
            "alone; nothing was unpacked: do not trust it"
        )
    return "/".join(part for part in parts if part not in ("", "."))


def _content(archive: tarfile.TarFile, stream: _Bounded, member: tarfile.TarInfo) -> bytes:
    if member.size > LARGEST_FILE:
        raise UnsafeFileError(
            f"{printable(stream.path)}: {_named(member)} has {member.size:,} bytes, expected {LARGEST_FILE:,} at most"
        )
    stream.allow(LARGEST_FILE)
    with _reported(stream.path):
        reader: IO[Any] | None = archive.extractfile(member)
        return reader.read() if reader else b""


def _named(member: tarfile.TarInfo) -> str:
    return f"{printable(member.name[:200])!r}"
