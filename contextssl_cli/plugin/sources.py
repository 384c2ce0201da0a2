"""Help for ``Dataset.prepare``: finding, reading and downloading source files."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from contextssl_cli import paths
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, UnsafeFileError
from contextssl_cli.files import check_input, check_output, read_error, write_error
from contextssl_cli.locks import locked
from contextssl_cli.store.folders import is_folder
from contextssl_cli.text import printable

LARGEST_FILE = 64 << 20
"""Bytes of a source file that is read into memory as a whole; a batch of CIFAR-10 has 31 MB."""
_TIMEOUT = 30  # seconds without a byte
_CHUNK = 1 << 16  # bytes; of an answer that breaks off, less than this is lost
_log = logging.getLogger(__name__)


class PublishedFile(NamedTuple):
    """A file to download, as it was published.

    Attributes:
        sha256: hexadecimal digest of its content.
        size: in bytes. A longer response is cut off and refused.
    """

    sha256: str
    size: int


def source_folder(source: Path, expected: str) -> Path:
    """The folder that ``--source`` names.

    Args:
        source: as the user named it.
        expected: what the error asks for.

    Raises:
        DataMissingError: if it does not exist, cannot be reached, or is a file.
        UnsafeFileError: if it is a FIFO, a socket or a device.
    """
    if is_folder(source):
        return source
    try:
        check_input(source, expected)
    except ContextSSLError as error:
        raise type(error)(f"--source {error}") from error
    raise DataMissingError(f"--source {printable(source)} is a file, expected {expected}")


def source_file(source: Path, name: str) -> Path:
    """The file ``name`` in the folder ``source``.

    Raises:
        DataMissingError: if the folder or the file does not exist.
        UnsafeFileError: if one of them is a FIFO, a socket or a device, or the file is a folder.
    """
    return check_input(source_folder(source, f"the folder that holds {name}") / name)


def read_source(path: Path) -> bytes:
    """The contents of a small source file, such as an image.

    Raises:
        DataMissingError: if it does not exist or cannot be read.
        UnsafeFileError: if it is no regular file, or has more than ``LARGEST_FILE`` bytes.
    """
    try:
        with check_input(path).open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > LARGEST_FILE:
                raise UnsafeFileError(f"{printable(path)} has {size:,} bytes, expected {LARGEST_FILE:,} at most")
            return stream.read()
    except OSError as error:
        raise read_error(path, error) from error


def download(files: Mapping[str, PublishedFile], dataset: str, page: str) -> Path:
    """Download files into the cache, check each against its SHA-256, and return their folder.

    Existing files are kept, and a download that broke off is continued. If several processes ask for the same files,
    one downloads them and the others wait.

    Args:
        files: what is published, by URL.
        dataset: name of the data set, for the cache folder and messages.
        page: where a user finds the files in a browser.

    Raises:
        DataMissingError: if a file cannot be fetched; the message names ``--source``.
        CorruptFileError: if the file differs from the published one. It is removed.
    """
    import pooch
    import requests
    import urllib3

    pooch.get_logger().setLevel(logging.WARNING)  # by default it writes to stderr even with -q
    folder = paths.make_folder(paths.cache() / dataset)
    by_hand = (
        f"download the files from {page} yourself, and name their folder: contextssl prepare {dataset} --source DIR"
    )
    with locked(folder / ".lock", folder, wait=True):
        for url, published in files.items():
            path = check_output(folder / url.rpartition("/")[2])
            if not path.exists():
                _log.info("downloading %s to %s", url, folder)
            fetch = functools.partial(_fetch, part=Path(f"{path}.part"), size=published.size)
            try:
                pooch.retrieve(url, f"sha256:{published.sha256}", path.name, folder, downloader=fetch)
            except _OtherFileError as error:
                raise CorruptFileError(f"the file at {url} is not the published one ({error}); {by_hand}") from error
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                raise DataMissingError(
                    f"cannot download {url} ({type(error).__name__}); run the same command again to continue, or "
                    f"{by_hand}"
                ) from error
            except OSError as error:
                raise write_error(path, error) from error
            except ValueError as error:  # pooch has compared the digests
                raise CorruptFileError(
                    f"the file at {url} does not have the digest sha256:{published.sha256}; {by_hand}"
                ) from error
    return folder


class _OtherFileError(Exception):
    pass


def _fetch(url: str, target: str, _: object, *, part: Path, size: int) -> None:
    """A downloader for pooch: go on where ``part`` ends, and move it to ``target`` when it is whole."""
    import requests

    have = check_output(part).stat().st_size if part.exists() else 0
    if have > size:  # of another version
        have = 0
    # Without this, a server may compress the response, and its bytes would not count as those of the file.
    whole = True
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code != requests.codes.requested_range_not_satisfiable:  # else it is whole already
            answer.raise_for_status()
            goes_on = answer.status_code == requests.codes.partial_content
            with part.open("ab" if goes_on else "wb") as file:
                while chunk := answer.raw.read(_CHUNK, decode_content=False):
                    file.write(chunk)
                    if file.tell() > size:
                        break
            whole = "Content-Length" in answer.headers or "Transfer-Encoding" in answer.headers
    have = part.stat().st_size
    if have < size and not whole:  # else urllib3 has raised where less came than was announced
        raise requests.ConnectionError(f"received {have:,} of {size:,} bytes")
    if have != size:
        part.unlink()
        raise _OtherFileError(f"{'more' if have > size else 'fewer'} than its {size:,} bytes")
    part.replace(target)
