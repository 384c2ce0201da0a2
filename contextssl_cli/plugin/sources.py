"""Help for ``Dataset.prepare``: finding, checking and downloading source files."""

from __future__ import annotations

import functools
import logging
from pathlib import Path

from contextssl_cli import paths
from contextssl_cli.errors import CorruptFileError, DataMissingError
from contextssl_cli.files import file_hash

_TIMEOUT = 30  # seconds without a byte
_CHUNK = 1 << 16  # bytes; of an answer that breaks off, less than this is lost
_log = logging.getLogger(__name__)


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


def download(urls: dict[str, str], dataset: str, page: str, *, resume: bool = False) -> Path:
    """Download files into the cache, each checked against its digest; return their folder.

    Args:
        urls: ``algorithm:digest`` by URL.
        dataset: name of the data set, for the cache folder and messages.
        page: where a user finds the files in a browser.
        resume: of a download that breaks off, keep what came and go on from there the next time; for large files.

    Raises:
        DataMissingError: if a file cannot be fetched; the message names ``--source``.
        CorruptFileError: if what came is not what was published.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)  # it writes to stderr whatever the user asked for
    folder = paths.make_folder(paths.cache() / dataset)
    for url, digest in urls.items():
        name = url.rpartition("/")[2]
        downloader = functools.partial(_resumed, part=folder / f"{name}.part") if resume else None
        if not (folder / name).exists():
            _log.info("downloading %s to %s", url, folder)
        try:
            pooch.retrieve(url, known_hash=digest, fname=name, path=folder, downloader=downloader)
        except requests.RequestException as error:
            again = "; what came is kept: run the same command again, or" if resume else ";"
            raise DataMissingError(
                f"cannot download {url} ({type(error).__name__}){again} fetch the files from {page} and name "
                f"their folder: contextssl prepare {dataset} --source DIR"
            ) from error
        except ValueError as error:
            raise CorruptFileError(
                f"{url} sent a file with another digest than {digest}; fetch the files from {page} and "
                f"name their folder: contextssl prepare {dataset} --source DIR"
            ) from error
    return folder


def _resumed(url: str, target: str, _: object, *, part: Path) -> None:
    """A downloader for pooch: go on where ``part`` ends, and move it to ``target`` when it is whole."""
    import requests

    have = part.stat().st_size if part.exists() else 0
    # Unpacked on the way, the bytes that came would not tell where to go on.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code != requests.codes.requested_range_not_satisfiable:  # else it is whole already
            answer.raise_for_status()
            goes_on = answer.status_code == requests.codes.partial_content
            with part.open("ab" if goes_on else "wb") as file:
                for chunk in answer.iter_content(_CHUNK):
                    file.write(chunk)
    part.replace(target)
