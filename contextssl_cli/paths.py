"""The folders of contextssl: in ``CONTEXTSSL_HOME``, or in the data folder of the platform."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from contextssl_cli import files
from contextssl_cli.errors import DataMissingError, UsageError


def home() -> Path:
    """The folder of all prepared stores and runs.

    Raises:
        UsageError: if ``CONTEXTSSL_HOME`` begins with ``~`` and there is no such user.
    """
    configured = os.environ.get("CONTEXTSSL_HOME")
    if not configured:
        return Path(platformdirs.user_data_dir("contextssl"))
    try:
        return Path(configured).expanduser()
    except RuntimeError as error:
        raise UsageError(f"CONTEXTSSL_HOME={configured}: there is no such user; name a folder") from error


def cache() -> Path:
    """The folder for downloads, which may be deleted at any time."""
    if os.environ.get("CONTEXTSSL_HOME"):
        return home() / "cache"
    return Path(platformdirs.user_cache_dir("contextssl"))


def store_path(dataset: str) -> Path:
    """The default path of the store of a data set."""
    return home() / "stores" / f"{dataset}.h5"


def runs_folder(task: str) -> Path:
    """The default folder for the runs of one task, for example ``adult-gender``."""
    return home() / "runs" / task


def make_folder(path: Path) -> Path:
    """Create ``path`` with its parents.

    Raises:
        DataMissingError: if it cannot be created or written to.
        UsageError: if it is a symbolic link to nothing.
    """
    files.folder_exists(path)
    with files.writing_to(path):
        path.mkdir(parents=True, exist_ok=True)
    if not os.access(path, os.W_OK):
        raise DataMissingError(
            f"cannot write to the folder {path}: permission denied; choose another folder with --out or CONTEXTSSL_HOME"
        )
    return path
