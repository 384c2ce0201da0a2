"""A user's own images: folders are classes, or there are none."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from contextssl_cli.errors import DataMissingError
from contextssl_cli.plugin import Dataset, Options, Prepared, Schema
from contextssl_imagefolder.layout import Layout, find_layout
from contextssl_imagefolder.reading import read_block

RAW_SIZE = 64
"""Up to this size a store holds pixels; above, the files, which take less space and are decoded when they are read."""
TEST_FRACTION = 0.2
IMAGES_PER_PART = 2000
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Those of ImageNet, for photographs; the user's own are not measured."""


class ImageFolderOptions(Options):
    """How a folder is read."""

    size: int = Field(
        default=64,
        ge=8,
        le=1024,
        description="Height and width in pixels. Up to 64 the store has pixels, above the image files.",
    )
    test_fraction: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Fraction of each class for the test split; 0.2 unless the source has folders for splits.",
    )
    seed: int = Field(default=0, ge=0, description="Seed for drawing the test images.")
    unlabelled: bool = Field(default=False, description="Use the images in all folders, without class labels.")
    skip_corrupt: bool = Field(
        default=False, description="Leave out images that cannot be read, and list them in the store."
    )


class ImageFolder(Dataset):
    """``train/<class>/`` and ``test/<class>/``, ``<class>/``, or images without classes."""

    name = "imagefolder"
    summary = "your own images: folders are classes, unlabelled folders work too"
    modality = "image"
    licence = "your own"
    options = ImageFolderOptions
    training: ClassVar[dict[str, Any]] = {
        "steps": 3000,
        "model": {"encoder": "convnet", "feature_dim": 128, "encoder_width": 64, "width": 128, "aux_hidden": 256},
    }
    probing: ClassVar[dict[str, Any]] = {"action_batch_size": 512, "label_batch_size": 256}

    def prepare(self, source: Path | None, options: ImageFolderOptions) -> Prepared:
        """List the folder; its images are read in parts, so that every core works."""
        if source is None:
            raise DataMissingError("imagefolder reads your own images: contextssl prepare imagefolder --source DIR")
        layout = _layout(source, options)
        encoded = options.size > RAW_SIZE
        schema = Schema(
            dataset=self.name,
            modality=self.modality,
            shape=(options.size, options.size, 3),
            dtype="uint8",
            storage="encoded" if encoded else "raw",
            tasks={"class": layout.classes} if layout.classes else {},
            mean=MEAN,
            std=STD,
        )
        read = functools.partial(
            read_block,
            size=options.size,
            labelled=bool(layout.classes),
            encoded=encoded,
            skip_corrupt=options.skip_corrupt,
        )
        parts = [
            functools.partial(read, split, images[start : start + IMAGES_PER_PART])
            for split, images in layout.images.items()
            for start in range(0, len(images), IMAGES_PER_PART)
        ]
        return Prepared(schema, parts=parts, sources={"listing": listing_digest(layout)}, notes=layout.notes)

    def digests(self, source: Path, options: ImageFolderOptions) -> dict[str, str]:
        """Of the listing, see ``listing_digest``."""
        return {"listing": listing_digest(_layout(source, options))}


def _layout(source: Path, options: ImageFolderOptions) -> Layout:
    return find_layout(
        source,
        unlabelled=options.unlabelled,
        test_fraction=options.test_fraction,
        default=TEST_FRACTION,
        seed=options.seed,
    )


def listing_digest(layout: Layout) -> str:
    """SHA-256 of the path, size and time of every image: parts of a preparation that was killed fit it or not."""
    total = hashlib.sha256()
    for path, code in _images(layout):
        try:
            status = os.stat(path)  # noqa: PTH116 - as fast as it can be, for many files
            facts = f"{code} {status.st_size} {status.st_mtime_ns}\n"
        except OSError:  # it is named when it is read
            facts = f"{code}\n"
        total.update(os.fsencode(path) + b"\0" + facts.encode())
    return total.hexdigest()


def _images(layout: Layout) -> Iterable[tuple[str, int]]:
    return (image for images in layout.images.values() for image in images)
