"""The inputs of ``adapt``: a store, an array file or a folder of images that a user names, or a test split."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contextssl_cli import files
from contextssl_cli.data.rows import ImageFiles, Rows, SampleRows
from contextssl_cli.data.tensors import check_samples
from contextssl_cli.errors import CorruptFileError, DataMissingError, UsageError
from contextssl_cli.store import hdf5
from contextssl_cli.store.arrays import ARRAY_SUFFIXES, ArrayFile
from contextssl_cli.store.dataset import STORE_KIND, Split, Store
from contextssl_cli.store.folders import notes, walk
from contextssl_cli.store.images import IMAGE_SUFFIXES
from contextssl_cli.store.kinds import OWN_KINDS, wrong_kind
from contextssl_cli.store.schema import Schema
from contextssl_cli.text import printable
from contextssl_cli.training.run import RUN_FILE, Run
from contextssl_cli.training.start import run_store

_EXPECTED = "a store, an array file or a folder of images"


@dataclass(frozen=True)
class Inputs:
    """N inputs to embed, read when they are needed.

    Attributes:
        rows: the model inputs.
        labels, attributes: by name, (N,), where the input has them.
        names: of image files.
        origin: in words.
        path: of the file or folder; None for the test split of a run.
        skipped: images that could not be read and were left out, as the user asked, each with the reason.
        notes: what else was left out of a folder.
    """

    rows: Rows
    labels: dict[str, NDArray[Any]] = field(default_factory=dict)
    attributes: dict[str, NDArray[Any]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    origin: str = ""
    path: Path | None = None
    skipped: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)


def open_inputs(run: Run, source: Path | None, *, skip_corrupt: bool = False) -> Inputs:
    """The inputs that a user names, or the test split of the run.

    Raises:
        UsageError: if none are named and the run has no data set or ``skip_corrupt`` is given; else as ``read_inputs``.
    """
    if source is not None:
        return read_inputs(source, run.record.schema_, skip_corrupt=skip_corrupt)
    if skip_corrupt:
        raise UsageError("--skip-corrupt needs a folder of images: name it with --input")
    if not run.record.task:
        raise UsageError(f"{run.folder} was imported and has no data set; name the inputs with --input")
    return _of_split(run_store(run).test)


def read_inputs(path: Path, schema: Schema, *, skip_corrupt: bool = False) -> Inputs:
    """Open samples for a model trained on data of ``schema``. They are read in batches, by their numbers.

    A store gives its test split; an array file its array ``x``, or its only one; a folder its images, in the order of
    their paths, found as ``contextssl_cli.store.folders.walk`` does and fitted to the input of the model as
    ``contextssl_cli.store.images.decode`` does.

    Args:
        path: a store, an array file or a folder.
        schema: of the data that the model was trained on.
        skip_corrupt: leave out the images of a folder that cannot be read; each image is decoded twice.

    Raises:
        DataMissingError: if there is nothing at ``path``, or no image in the folder, or a file may not be read.
        CorruptFileError: if it cannot be read, or its samples do not fit the model; UnsafeFileError if it is a FIFO, a
            socket or a device.
        UsageError: if images are to be left out of what is no folder.
    """
    if path.is_dir():
        return _open_folder(path, schema, skip_corrupt=skip_corrupt)
    files.check_input(path, _EXPECTED)
    if skip_corrupt:
        raise UsageError(f"{printable(path)} is a file; --skip-corrupt is for a folder of images")
    kind = hdf5.kind_of(path) if path.suffix.lower() in (".h5", ".hdf5") else ""
    if kind in OWN_KINDS and kind != STORE_KIND:
        raise wrong_kind(path, _EXPECTED)
    if kind == STORE_KIND:
        store = Store(path)
        store.check()
        if store.schema.columns != schema.columns:
            raise CorruptFileError(f"{path} has other columns than the data that this run was trained on")
        return _of_split(store.test, path)
    if path.suffix.lower() not in ARRAY_SUFFIXES:
        raise wrong_kind(path, f"{_EXPECTED}; an array file ends in {', '.join(ARRAY_SUFFIXES)}")
    array = ArrayFile(path)
    check_samples(np.empty((0, *array.shape[1:]) if array.shape else (), array.dtype), schema, printable(path))
    if not len(array):
        raise DataMissingError(f"{printable(path)} holds no samples")
    return Inputs(SampleRows(array, schema, printable(path)), origin=str(path), path=path)


def _of_split(split: Split, path: Path | None = None) -> Inputs:
    """The samples of a split, with labels and sensitive attributes."""
    schema = split.schema
    return Inputs(
        SampleRows(split, schema, f"the split {split.name!r} of {printable(split.path)}"),
        {task: split.labels(task) for task in schema.tasks},
        {name: split.attribute(name) for name in schema.attributes},
        origin=f"the {split.name} split of {split.path}",
        path=path,
    )


def _open_folder(folder: Path, schema: Schema, *, skip_corrupt: bool) -> Inputs:
    if schema.modality != "image":
        raise CorruptFileError(
            f"{printable(folder)} is a folder, but this run takes {schema.modality} data: name an array file"
        )
    if (folder / RUN_FILE).is_file():
        raise wrong_kind(folder, _EXPECTED)
    tree = walk(folder)
    paths = sorted(tree.all_images(), key=lambda path: Path(path).parts)
    if not paths:
        raise DataMissingError(f"{printable(folder)} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    skipped: dict[str, str] = ImageFiles(paths, schema).unreadable() if skip_corrupt else {}
    kept = [path for path in paths if path not in skipped]
    if not kept:
        raise CorruptFileError(f"none of {len(skipped)} images can be read; the first: {skipped[paths[0]]}")
    return Inputs(
        SampleRows(ImageFiles(kept, schema), schema, printable(folder)),
        names=tuple(_name(os.path.relpath(path, folder)) for path in kept),
        origin=str(folder),
        path=folder,
        skipped=tuple(skipped[path] for path in paths if path in skipped),
        notes=notes(tree),
    )


def _name(path: str) -> str:
    """A path as UTF-8; a byte that is not is written as its escape."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
