"""What a user hands to ``adapt --input``: a store, an array file, or a folder of images."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contextssl_cli import files
from contextssl_cli.data.tensors import check_samples
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, UsageError
from contextssl_cli.store import hdf5
from contextssl_cli.store.arrays import read_arrays
from contextssl_cli.store.dataset import STORE_KIND, Split, Store
from contextssl_cli.store.folders import notes, walk
from contextssl_cli.store.images import IMAGE_SUFFIXES, decode, read_file, reading_image
from contextssl_cli.store.schema import Schema
from contextssl_cli.text import printable

_NAMED = 10  # arrays that an error names


@dataclass(frozen=True)
class Inputs:
    """N samples to embed.

    Attributes:
        samples: (N, *shape).
        labels, attributes: by name, where the input has them.
        names: of image files.
        origin: in words.
        skipped: images that could not be read and were left out on the user's wish, each with its reason.
        notes: what else was left out of a folder.
    """

    samples: NDArray[Any]
    labels: dict[str, NDArray[Any]] = field(default_factory=dict)
    attributes: dict[str, NDArray[Any]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    origin: str = ""
    skipped: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)


def read_inputs(path: Path, schema: Schema, *, skip_corrupt: bool = False) -> Inputs:
    """Read samples for a model trained on data of ``schema``.

    A store gives its test split; an array file its array ``x``, or its only one; a folder its images, in the order of
    their paths, found as ``contextssl_cli.store.folders.walk`` does and fitted to the model's input as
    ``contextssl_cli.store.images.decode`` does.

    Args:
        path: a store, an array file or a folder.
        schema: of the data that the model was trained on.
        skip_corrupt: leave out the images of a folder that cannot be read.

    Raises:
        DataMissingError: if there is nothing at ``path``, or no image in the folder, or a file may not be read.
        CorruptFileError: if it cannot be read, or its samples do not fit the model; UnsafeFileError if it is a FIFO, a
            socket or a device.
        UsageError: if images are to be left out of what is no folder.
    """
    if path.is_dir():
        return _read_folder(path, schema, skip_corrupt=skip_corrupt)
    files.check_input(path, "a store, an array file or a folder of images")
    if skip_corrupt:
        raise UsageError(f"{printable(path)} is a file; --skip-corrupt is for a folder of images")
    if path.suffix.lower() in (".h5", ".hdf5") and hdf5.kind_of(path) == STORE_KIND:
        store = Store(path)
        store.check()
        if store.schema.columns != schema.columns:
            raise CorruptFileError(f"{path} has other columns than the data that this run was trained on")
        return from_split(store.test)
    arrays = read_arrays(path, prefer="x")
    if "x" not in arrays and len(arrays) != 1:
        raise CorruptFileError(f"{printable(path)} holds {_listed(arrays)}; expected an array named x")
    samples = arrays.get("x", next(iter(arrays.values())))
    if samples.ndim and not len(samples):
        raise DataMissingError(f"{printable(path)} holds no samples")
    return Inputs(check_samples(samples, schema, printable(path)), origin=str(path))


def from_split(split: Split) -> Inputs:
    """The samples of a store's split, with labels and sensitive attributes."""
    schema = split.schema
    return Inputs(
        split.inputs(),
        {task: split.labels(task) for task in schema.tasks},
        {name: split.attribute(name) for name in schema.attributes},
        origin=f"the {split.name} split of {split.path}",
    )


def _read_folder(folder: Path, schema: Schema, *, skip_corrupt: bool) -> Inputs:
    from PIL import Image

    if schema.modality != "image":
        raise CorruptFileError(
            f"{printable(folder)} is a folder, but this run takes {schema.modality} data: name an array file"
        )
    tree = walk(folder)
    found = sorted(map(Path, tree.all_images()))
    if not found:
        raise DataMissingError(f"{printable(folder)} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    height, width, channels = schema.shape
    images = np.empty((len(found), height, width, channels), np.uint8)
    names: list[str] = []
    skipped: list[str] = []
    for path in found:
        try:
            with reading_image(path):
                image = decode(read_file(path), height, width)
        except ContextSSLError as error:
            if not skip_corrupt:
                raise type(error)(f"{error}; replace it, or leave it out with --skip-corrupt") from error
            skipped.append(str(error))
            continue
        images[len(names)] = (
            image if channels == image.shape[-1] else np.asarray(Image.fromarray(image).convert("L"))[..., None]
        )
        names.append(_name(path.relative_to(folder)))
    if not names:
        raise CorruptFileError(f"none of {len(skipped)} images can be read; the first: {skipped[0]}")
    return Inputs(
        images[: len(names)], names=tuple(names), origin=str(folder), skipped=tuple(skipped), notes=notes(tree)
    )


def _listed(arrays: dict[str, NDArray[Any]]) -> str:
    names = [printable(name) for name in sorted(arrays)]
    if not names:
        return "no array"
    return f"the arrays {', '.join(names[:_NAMED])}" + (f" and {len(names) - _NAMED} more" if names[_NAMED:] else "")


def _name(path: Path) -> str:
    """A path as UTF-8; a byte that is not is written as its escape."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
