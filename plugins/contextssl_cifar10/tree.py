"""CIFAR-10 as image files, ``train/<class>/*.jpg`` and ``test/<class>/*.jpg``: a folder, or a tar archive of it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contextssl_cifar10.classes import CLASSES, EXPECTED, SIZE
from contextssl_cli.errors import CorruptFileError, DataMissingError, suggestion
from contextssl_cli.plugin import Samples
from contextssl_cli.plugin.sources import printable
from contextssl_cli.store.dataset import SPLITS

SUFFIXES = (".jpg", ".jpeg", ".png")
BATCH = 4096  # images in memory at a time


class Place(NamedTuple):
    """Of one image. Places are sorted by file name first, so that classes alternate."""

    split: str
    file: str
    label: str


def place(name: str, source: Path) -> Place | None:
    """The place of the file ``name``, a path with or without a folder around the tree; None for what is no image.

    Raises:
        CorruptFileError: if it is an image that stands elsewhere than ``train/<class>/`` or ``test/<class>/``.
    """
    parts = PurePosixPath(name).parts
    if PurePosixPath(name).suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in parts):
        return None
    if len(parts) not in (3, 4) or parts[-3] not in SPLITS:
        raise CorruptFileError(f"{source} holds the image {printable(name)}, expected {EXPECTED}")
    split, label, file = parts[-3:]
    if label not in CLASSES:
        raise CorruptFileError(
            f"{source} holds the folder {split}/{printable(label)}, which is no class of CIFAR-10: "
            f"{suggestion(label, CLASSES)}"
        )
    return Place(split, file, label)


def listed(root: Path) -> dict[Place, Path]:
    """The image files of a folder.

    Raises:
        CorruptFileError: if one of them does not stand in the folder of a class.
    """
    found = {}
    for split in SPLITS:
        for path in (root / split).rglob("*"):
            at = place(path.relative_to(root).as_posix(), root)
            if at and path.is_file():
                found[at] = path
    return found


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


def tree_samples(files: Mapping[Place, bytes | Path], source: Path, *, skip_corrupt: bool) -> Iterator[Samples]:
    """The images in the order of their places, in batches.

    Args:
        files: bytes of the images, or where they stand.
        source: for messages.
        skip_corrupt: leave out what cannot be read, and say so in the samples.

    Raises:
        CorruptFileError: naming the first image that cannot be read.
    """
    for split in SPLITS:
        places = sorted(at for at in files if at.split == split)
        for start in range(0, len(places), BATCH):
            yield _batch(places[start : start + BATCH], files, source, skip_corrupt)


def _batch(places: list[Place], files: Mapping[Place, bytes | Path], source: Path, skip_corrupt: bool) -> Samples:
    images = np.empty((len(places), SIZE, SIZE, 3), np.uint8)
    labels, skipped = [], []
    for at in places:
        data = files[at]
        try:
            images[len(labels)] = decode_exact(data if isinstance(data, bytes) else data.read_bytes())
        except (ValueError, OSError) as error:
            name = printable(f"{at.split}/{at.label}/{at.file}")
            if not skip_corrupt:
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
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            if image.size != (SIZE, SIZE):
                raise ValueError(f"it has {image.width} x {image.height} pixels, expected {SIZE} x {SIZE}")
            return np.asarray(image.convert("RGB"))
    except Image.UnidentifiedImageError as error:
        raise ValueError("it is no JPEG or PNG image") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error
