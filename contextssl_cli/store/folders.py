"""The image files below a folder."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contextssl_cli.errors import DataMissingError
from contextssl_cli.store.images import IMAGE_SUFFIXES
from contextssl_cli.text import printable

_SYSTEM = re.compile(
    r"""
    \..* | ~\$.*                                                # hidden; lock files of office programs
    | thumbs\.db | ehthumbs.*\.db | desktop\.ini | icon\r       # Windows, macOS
    | \$recycle\.bin | system\ volume\ information | \$extend | found\.\d{3}
    | __macosx | network\ trash\ folder | temporary\ items
    | lost\+found | lost\.dir                                   # Linux, Android
    | recycler | @eadir.* | [@#]recycle | [@#]snapshot | @recently-snapshot | ~snapshot    # NAS
    | @__thumb | @tmp | @sharebin | @transcode
    | __pycache__ | cvs | _svn | node_modules
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
"""Names of files and folders that systems and programs create. No user would give a class such a name."""


@dataclass
class Tree:
    """The files of a folder.

    Attributes:
        root: the folder.
        images: paths of the image files directly in it.
        folders: by the name of a folder in it, the paths of the images at any depth below.
        others: paths of files whose names are not those of images.
        system: paths of files and folders that were left out because of their names (hidden, trash, previews).
        repeated: paths of links to folders that were left out because the folder had been read already.
    """

    root: Path
    images: list[str] = field(default_factory=list)
    folders: dict[str, list[str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    system: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    def all_images(self) -> list[str]:
        """The paths of all images."""
        return [*self.images, *(path for paths in self.folders.values() for path in paths)]


def notes(*trees: Tree) -> dict[str, str]:
    """Notes for the user about skipped files and duplicate images in folders."""
    found = {
        "files without the name of an image": [path for tree in trees for path in tree.others],
        "hidden and system files and folders, skipped": [path for tree in trees for path in tree.system],
        "links to folders that were already read, skipped": [path for tree in trees for path in tree.repeated],
        "images that are links to other images": _twice([path for tree in trees for path in tree.all_images()]),
    }
    return {what: counted(paths) for what, paths in found.items() if paths}


def counted(paths: Sequence[str]) -> str:
    """How many paths there are, and the first."""
    return f"{len(paths)} (first: {printable(paths[0])})"


def is_system(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or was created by a system or program."""
    return _SYSTEM.fullmatch(name.strip(" ")) is not None


def walk(root: Path) -> Tree:
    """List the images of a folder by their names; see ``Tree`` for what is left out.

    Links are followed. In each folder that is directly in ``root``, a folder that several links lead to is listed
    once, so links in a circle end.

    Raises:
        DataMissingError: if a folder may not be read.
    """
    tree = Tree(root)
    for entry in entries(root, tree.system):
        if is_folder(entry):
            below = list(_files_below(entry, tree))
            tree.folders[entry.name] = [path for path in below if is_image(path)]
            tree.others += [path for path in below if not is_image(path)]
        else:
            (tree.images if is_image(entry.path) else tree.others).append(entry.path)
    return tree


def is_image(path: str) -> bool:
    """Whether a file is an image by its name."""
    return path.lower().endswith(IMAGE_SUFFIXES)


def _files_below(folder: os.DirEntry[str], tree: Tree) -> Iterator[str]:
    """The files below a folder, in the order of their names; what is left out is noted in ``tree``."""
    seen = {_identity(tree.root)}
    waiting = [folder]  # no recursion: folders may be nested deeper than Python's stack is
    while waiting:
        entry = waiting.pop()
        if not is_folder(entry):
            yield entry.path
            continue
        here = _identity(entry.path)
        if here in seen:
            tree.repeated.append(entry.path)
            continue
        seen.add(here)
        waiting += reversed(entries(entry.path, tree.system))


def is_folder(entry: os.DirEntry[str] | Path) -> bool:
    """Whether an entry is a folder, or a link to one; False if the system does not say."""
    try:
        return entry.is_dir()
    except OSError:  # for example a link that leads to itself
        return False


def entries(folder: str | Path, system: list[str] | None = None) -> list[os.DirEntry[str]]:
    """What is in a folder, in the order of the names, without hidden and system files; their paths go to ``system``.

    Raises:
        DataMissingError: if it may not be read.
    """
    try:
        with os.scandir(folder) as found:
            everything = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DataMissingError(f"cannot read the folder {printable(folder)}: {error.strerror}") from error
    if system is not None:
        system += [entry.path for entry in everything if is_system(entry.name)]
    return [entry for entry in everything if not is_system(entry.name)]


def _identity(folder: str | Path) -> tuple[int, int]:
    try:
        status = os.stat(folder)  # noqa: PTH116 - a Path for each folder would gain nothing
    except OSError as error:
        raise DataMissingError(f"cannot read the folder {printable(folder)}: {error.strerror}") from error
    return status.st_dev, status.st_ino


def _twice(paths: Sequence[str]) -> list[str]:
    """Paths of files that came before under another name."""
    seen: Counter[str] = Counter()
    found = []
    for path in paths:
        real = os.path.realpath(path)
        seen[real] += 1
        if seen[real] == 2:
            found.append(path)
    return found
