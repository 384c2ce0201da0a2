"""Help for ``Dataset.prepare``: finding, checking and downloading source files."""

from __future__ import annotations

import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Self

from contextssl_cli import paths
from contextssl_cli.errors import CorruptFileError, DataMissingError
from contextssl_cli.files import file_hash

LARGEST_MEMBER = 64 << 20
"""Bytes of a file in an archive that is read into memory."""
_CHUNK = 1 << 20


def source_file(source: Path, name: str) -> Path:
    """The file ``name`` in the folder ``source``.

    Raises:
        DataMissingError: if the folder or the file is not there.
    """
    if not source.exists():
        raise DataMissingError(f"--source {source} does not exist")
    if not source.is_dir():
        raise DataMissingError(f"--source {source} is a file, expected the folder that holds {name}")
    path = source / name
    if not path.is_file():
        raise DataMissingError(f"{source} has no file {name}; it is needed to prepare this data set")
    return path


def check_digest(path: Path, algorithm: str, expected: str) -> None:
    """Compare a file with its published digest.

    Raises:
        CorruptFileError: if they differ.
    """
    found = file_hash(path, algorithm)
    if found != expected:
        raise CorruptFileError(
            f"{path} has the {algorithm} {found}, expected {expected}: it is cut off or was changed; fetch it again"
        )


def download(urls: dict[str, str], dataset: str, page: str) -> Path:
    """Download files into the cache, each checked against its digest; return their folder.

    Args:
        urls: ``algorithm:digest`` by URL.
        dataset: name of the data set, for the cache folder and messages.
        page: where a user finds the files in a browser.

    Raises:
        DataMissingError: if a file cannot be fetched; the message names ``--source``.
        CorruptFileError: if what came is not what was published.
    """
    import pooch
    import requests

    folder = paths.make_folder(paths.cache() / dataset)
    for url, digest in urls.items():
        try:
            pooch.retrieve(url, known_hash=digest, fname=url.rsplit("/", 1)[-1], path=folder)
        except requests.RequestException as error:
            raise DataMissingError(
                f"cannot download {url} ({type(error).__name__}); fetch the files from {page} and name "
                f"their folder: contextssl prepare {dataset} --source DIR"
            ) from error
        except ValueError as error:
            raise CorruptFileError(
                f"{url} sent a file with another digest than {digest}; fetch the files from {page} and "
                f"name their folder: contextssl prepare {dataset} --source DIR"
            ) from error
    return folder


def printable(path: str | Path) -> str:
    """A path for a message: bytes that are not UTF-8 become escapes such as ``\\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def archive_members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """The wanted files of a tar archive, in its order, read from it without writing anything.

    Every member is checked, wanted or not.

    Args:
        path: the archive, also compressed by gzip, bzip2 or xz.
        wanted: tells by the name of a member, without a leading ``./``, whether to read it.

    Yields:
        Name and content.

    Raises:
        CorruptFileError: if the archive is cut off, or a member is a link or points outside.
    """
    try:
        with tarfile.open(path, tarinfo=_StrictInfo) as archive:
            for member in archive:
                name = _inner_name(member, path)
                if member.isfile() and wanted(name):
                    yield name, _content(archive, member, path)
            while archive.fileobj.read(_CHUNK):  # a compressed file ends with a check of its content
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise CorruptFileError(
            f"{path} is no whole tar archive ({error}): it is cut off or damaged; fetch it again"
        ) from error


class _StrictInfo(tarfile.TarInfo):
    """A header that cannot be read is an error; tarfile itself takes it for the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


def _inner_name(member: tarfile.TarInfo, path: Path) -> str:
    """The name of a member without a leading ``./``, if it stays inside."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or "\\" in member.name:
        raise CorruptFileError(
            f"{path} holds {printable(member.name)!r}, which points outside; nothing was unpacked: do not trust it"
        )
    if not (member.isfile() or member.isdir()):
        raise CorruptFileError(
            f"{path} holds {printable(member.name)!r}, which is a link or a device, expected files and folders; "
            "nothing was unpacked: do not trust it"
        )
    return str(name)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    if member.size > LARGEST_MEMBER:
        raise CorruptFileError(
            f"{path}: {printable(member.name)} has {member.size:,} bytes, expected {LARGEST_MEMBER:,} at most"
        )
    reader = archive.extractfile(member)
    return reader.read() if reader else b""
