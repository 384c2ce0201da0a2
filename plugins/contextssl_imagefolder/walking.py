"""The image files below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from contextssl_cli.errors import DataMissingError
from contextssl_cli.text import printable

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


@dataclass
class Tree:
    """What a folder holds, hidden files and folders aside.

    Attributes:
        root: the folder.
        images: paths of the image files directly in it.
        folders: by the name of a folder in it, the paths of the images at any depth below.
        others: paths of files whose names are not those of images.
    """

    root: Path
    images: list[str] = field(default_factory=list)
    folders: dict[str, list[str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def all_images(self) -> list[str]:
        """The paths of all images."""
        return [*self.images, *(path for paths in self.folders.values() for path in paths)]


def walk(root: Path) -> Tree:
    """List a folder; links are followed, but not around in a circle.

    Raises:
        DataMissingError: if a folder may not be read.
    """
    tree = Tree(root)
    for entry in _entries(root):
        if entry.is_dir():
            below = list(_files_below(entry.path, (_identity(root),)))
            tree.folders[entry.name] = [path for path in below if is_image(path)]
            tree.others += [path for path in below if not is_image(path)]
        else:
            (tree.images if is_image(entry.path) else tree.others).append(entry.path)
    return tree


def is_image(path: str) -> bool:
    """Whether a file is an image by its name."""
    return path.lower().endswith(SUFFIXES)


def _files_below(folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    here = _identity(folder)
    if here in above:  # a link to a folder that it stands in
        return
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _files_below(entry.path, (*above, here))
        else:
            yield entry.path


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise DataMissingError(f"cannot read the folder {printable(folder)}: {error.strerror}") from error


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116 - a Path for each folder would gain nothing
    return status.st_dev, status.st_ino
