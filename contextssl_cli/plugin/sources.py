"""Help for ``Dataset.prepare``: finding, checking and downloading source files."""

from __future__ import annotations

from pathlib import Path

from contextssl_cli import paths
from contextssl_cli.errors import CorruptFileError, DataMissingError
from contextssl_cli.files import file_hash


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
