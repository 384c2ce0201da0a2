"""A part of a store that is being prepared: one batch of samples in a file of its own."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np

from contextssl_cli.errors import ContextSSLError, CorruptFileError
from contextssl_cli.store import hdf5
from contextssl_cli.store.content import hash_file
from contextssl_cli.store.samples import Samples
from contextssl_cli.store.schema import Schema
from contextssl_cli.text import printable

_KIND = "contextssl-part"
_VERSION = 2


def write_part(path: Path, schema: Schema, samples: Samples, key: str) -> None:
    """Write a batch, atomically.

    Args:
        path: of the file.
        schema: of the store.
        samples: the batch.
        key: which part of which preparation it is.

    Raises:
        ContextSSLError: if the disk is full.
    """
    with hdf5.create_file(path, _KIND, _VERSION) as file:
        hdf5.set_text(file, "plan", key)
        hdf5.set_text(file, "split", samples.split)
        hdf5.set_text(file, "skipped", json.dumps(list(samples.skipped)))
        if schema.storage == "encoded":
            file["inputs"] = np.frombuffer(b"".join(samples.inputs), np.uint8)
            file["ends"] = np.cumsum([len(data) for data in samples.inputs])
        else:
            file["inputs"] = np.asarray(samples.inputs)
        if samples.objects is not None:
            file["objects"] = np.asarray(samples.objects)
        for name in ("labels", "attributes", "latents"):
            arrays = {key: np.asarray(array) for key, array in getattr(samples, name).items()}
            hdf5.write_group(file, name, arrays)
        hdf5.set_text(file, "content_hash", hash_file(path, file).total(""))


def holds_part(path: Path, key: str) -> bool:
    """Whether a file exists, can be opened and holds this part."""
    try:
        with hdf5.open_kind(path, _KIND, _VERSION) as file, hdf5.reading(path):
            return hdf5.text(path, file, "plan") == key
    except ContextSSLError:
        return False


def read_part(path: Path, schema: Schema, key: str) -> Samples:
    """Read a batch that ``write_part`` wrote.

    Raises:
        CorruptFileError: if the file is damaged, holds another part, or its content differs from its hash.
    """
    with hdf5.open_kind(path, _KIND, _VERSION) as file, hdf5.reading(path):
        if hdf5.text(path, file, "plan") != key:
            raise CorruptFileError(f"{printable(path)} holds another part, or a part of another preparation")
        if hash_file(path, file).total("") != hdf5.text(path, file, "content_hash"):
            raise CorruptFileError(f"{printable(path)} is damaged: its content differs from its hash")
        inputs = hdf5.read(file, "inputs", path)
        files = None
        if schema.storage == "encoded":
            ends = [0, *hdf5.read(file, "ends", path).tolist()]
            files = [inputs[begin:end].tobytes() for begin, end in pairwise(ends)]
        return Samples(
            hdf5.text(path, file, "split"),
            inputs if files is None else files,
            labels=hdf5.read_group(file, "labels", path),
            attributes=hdf5.read_group(file, "attributes", path),
            latents=hdf5.read_group(file, "latents", path),
            objects=hdf5.read(file, "objects", path) if "objects" in file else None,
            skipped=json.loads(hdf5.text(path, file, "skipped")),
        )
