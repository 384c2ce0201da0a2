"""What a user hands to ``adapt --input``: a store, an array file, or a folder of images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contextssl_cli import files
from contextssl_cli.errors import CorruptFileError, DataMissingError
from contextssl_cli.store import hdf5
from contextssl_cli.store.arrays import read_arrays
from contextssl_cli.store.dataset import KIND as STORE_KIND
from contextssl_cli.store.dataset import Split, Store
from contextssl_cli.store.images import decode
from contextssl_cli.store.schema import Schema

IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class Inputs:
    """N samples to embed.

    Attributes:
        samples: (N, *shape).
        labels, attributes: by name, where the input has them.
        names: of image files.
        origin: in words.
    """

    samples: NDArray[Any]
    labels: dict[str, NDArray[Any]] = field(default_factory=dict)
    attributes: dict[str, NDArray[Any]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    origin: str = ""


def read_inputs(path: Path, schema: Schema) -> Inputs:
    """Read samples for a model trained on data of ``schema``.

    A store gives its test split; an array file its array ``x``, or its only one; a folder its images, in the order of
    their paths, fitted to the model's input as ``contextssl_cli.store.images.decode`` does.

    Raises:
        DataMissingError: if there is nothing at ``path``, or no image in the folder.
        CorruptFileError: if it cannot be read.
    """
    if path.is_dir():
        return _read_folder(path, schema)
    if path.suffix in (".h5", ".hdf5") and path.is_file() and hdf5.kind_of(path) == STORE_KIND:
        store = Store(path)
        if store.schema.columns != schema.columns:
            raise CorruptFileError(f"{path} has other columns than the data that this run was trained on")
        return from_split(store.test)
    arrays = read_arrays(path)
    if "x" not in arrays and len(arrays) != 1:
        raise CorruptFileError(f"{path} holds the arrays {sorted(arrays)}; expected one named x")
    samples = arrays.get("x", next(iter(arrays.values())))
    return Inputs(samples, origin=str(path))


def from_split(split: Split) -> Inputs:
    """The samples of a store's split, with labels and sensitive attributes."""
    schema = split.schema
    return Inputs(
        split.inputs(),
        {task: split.labels(task) for task in schema.tasks},
        {name: split.attribute(name) for name in schema.attributes},
        origin=f"the {split.name} split of {split.path}",
    )


def _read_folder(folder: Path, schema: Schema) -> Inputs:
    from PIL import Image

    if schema.modality != "image":
        raise CorruptFileError(f"{folder} is a folder, but this run takes {schema.modality} data: name an array file")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DataMissingError(f"{folder} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))})")
    height, width, channels = schema.shape
    images = np.empty((len(found), height, width, channels), np.uint8)
    for number, path in enumerate(found):
        try:
            image = decode(files.read_bytes(path), height, width)
        except (OSError, ValueError) as error:
            raise CorruptFileError(f"{path} cannot be read as an image ({error}); remove it or replace it") from error
        images[number] = (
            image if channels == image.shape[-1] else np.asarray(Image.fromarray(image).convert("L"))[..., None]
        )
    return Inputs(images, names=tuple(str(path.relative_to(folder)) for path in found), origin=str(folder))
