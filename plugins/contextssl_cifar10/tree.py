"""CIFAR-10 as image files, ``train/<class>/*.jpg`` and ``test/<class>/*.jpg``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contextssl_cifar10.classes import CLASSES, EXPECTED, SIZE
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, suggestion
from contextssl_cli.plugin import Samples
from contextssl_cli.plugin.archives import MemberReader
from contextssl_cli.store.images import open_image
from contextssl_cli.store.samples import SPLITS
from contextssl_cli.text import printable

SUFFIXES = (".jpg", ".jpeg", ".png")
BATCH = 4096  # images in memory at a time


class Place(NamedTuple):
    """Of one image. Places are sorted by file name first, so that classes alternate."""

    split: str
    file: str
    label: str


def place(name: str, source: Path) -> Place | None:
    """The place of a file.

    Args:
        name: path from the source, parted by ``/``; there may be one folder around the tree.
        source: for messages.

    Returns:
        None for what is no image, is hidden, or is outside of ``train/`` and ``test/``.

    Raises:
        CorruptFileError: if it is an image of ``train/`` or ``test/`` that is in no class's folder.
    """
    parts = name.split("/")
    if parts[0] not in SPLITS:
        del parts[0]
    if not name.lower().endswith(SUFFIXES) or not parts or parts[0] not in SPLITS or "/." in f"/{name}":
        return None
    if len(parts) != 3:
        raise CorruptFileError(
            f"{source} holds {printable(name)}, outside of the folders of classes; expected {EXPECTED}"
        )
    split, label, file = parts
    if label not in CLASSES:
        raise CorruptFileError(
            f"{source} holds the folder {split}/{printable(label)}, which is no class of CIFAR-10: "
            f"{suggestion(label, CLASSES)}"
        )
    return Place(split, file, label)


def check_complete(places: Iterable[Place], source: Path) -> None:
    """Every class needs images in both splits.

    Raises:
        DataMissingError: naming the folder without images.
    """
    found = {(at.split, at.label) for at in places}
    for split in SPLITS:
        for label in CLASSES:
            if (split, label) not in found:
                raise DataMissingError(f"{source} has no images in {split}/{label}/, expected {EXPECTED}")


def tree_samples(files: Mapping[Place, MemberReader], source: Path, *, skip_corrupt: bool) -> Iterator[Samples]:
    """The images in the order of their places, in batches.

    Args:
        files: readers of the image files.
        source: for messages.
        skip_corrupt: leave out what cannot be read, and say so in the samples.

    Raises:
        CorruptFileError: naming the first image that cannot be read.
    """
    for split in SPLITS:
        places = sorted(at for at in files if at.split == split)
        for start in range(0, len(places), BATCH):
            yield _batch(places[start : start + BATCH], files, source, skip_corrupt)


def _batch(places: list[Place], files: Mapping[Place, MemberReader], source: Path, skip_corrupt: bool) -> Samples:
    images = np.empty((len(places), SIZE, SIZE, 3), np.uint8)
    labels: list[int] = []
    skipped: list[str] = []
    for at in places:
        try:
            images[len(labels)] = decode_exact(files[at]())
        except (ValueError, ContextSSLError) as error:
            name = printable(f"{at.split}/{at.label}/{at.file}")
            if not skip_corrupt:
                if isinstance(error, ContextSSLError):  # it names the file
                    raise
                raise CorruptFileError(
                    f"{source}: {name} cannot be read ({error}); mend it, or leave it out with --skip-corrupt"
                ) from error
            skipped.append(f"{name}: {error}")
        else:
            labels.append(CLASSES.index(at.label))
    return Samples(
        places[0].split,
        images[: len(labels)],
        labels={"class": np.array(labels, np.int64)},
        skipped=skipped,
    )


def decode_exact(data: bytes) -> NDArray[np.uint8]:
    """One image file as (32, 32, 3) RGB.

    Raises:
        ValueError: if the bytes are no image, cut off, or of another size.
    """
    image = open_image(data, formats=("JPEG", "PNG"))
    if image.size != (SIZE, SIZE):
        raise ValueError(f"it has {image.width} x {image.height} pixels, expected {SIZE} x {SIZE}")
    return np.asarray(image.convert("RGB"))
