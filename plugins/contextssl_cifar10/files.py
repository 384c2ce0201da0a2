"""What a source holds, a folder or a tar archive: the canonical batches, image files, or neither."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from contextssl_cifar10.batches import BATCHES
from contextssl_cifar10.tree import Place, place
from contextssl_cli.errors import CorruptFileError
from contextssl_cli.plugin.archives import MemberReader, archive_files
from contextssl_cli.plugin.sources import read_source
from contextssl_cli.store.folders import is_folder
from contextssl_cli.store.samples import SPLITS
from contextssl_cli.text import printable

_FOLDERS = (*SPLITS, "cifar-10-batches-py")


@dataclass
class Found:
    """Readers of the files that matter.

    Attributes:
        batches: by name, without its folder.
        images: by place.
    """

    batches: dict[str, MemberReader] = field(default_factory=dict)
    images: dict[Place, MemberReader] = field(default_factory=dict)


def find_files(source: Path) -> Found:
    """List a folder, or read an archive into memory.

    Raises:
        DataMissingError: if the source does not exist.
        CorruptFileError: if the archive is damaged or unsafe, or an image has no place in the tree.
        UnsafeFileError: if the source is a FIFO, a socket or a device.
    """
    in_archive = not is_folder(source)
    found = Found()
    for name, read in archive_files(source) if in_archive else _folder_files(source):
        base, at = name.rpartition("/")[2], place(name, source)
        if base not in BATCHES and not at:
            continue
        if base in found.batches or at in found.images:
            raise CorruptFileError(f"{printable(source)} holds {printable(name)} twice, expected each file once")
        reader = partial(bytes, read()) if in_archive else read
        if at:
            found.images[at] = reader
        else:
            found.batches[base] = reader
    return found


def _folder_files(root: Path) -> Iterator[tuple[str, MemberReader]]:
    """Names and readers of the files directly in a folder and below the ones that may belong to CIFAR-10."""
    for path in root.iterdir():
        if path.name in _FOLDERS:
            walked: set[str] = set()
            for folder, _, names in os.walk(path, followlinks=True):
                target = os.path.realpath(folder)
                if target in walked:  # a link to a folder above itself would be followed for ever
                    raise CorruptFileError(f"{printable(folder)} is a link to a folder that is read already; remove it")
                walked.add(target)
                for name in names:
                    file = Path(folder, name)
                    yield file.relative_to(root).as_posix(), partial(read_source, file)
        else:
            yield path.name, partial(read_source, path)
