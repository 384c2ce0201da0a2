"""CIFAR-10's two forms, made small: a tree of image files, and batches pickled as Python 2 did."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from contextssl_cifar10.batches import BATCHES
from contextssl_cifar10.classes import CLASSES
from tests.small_images import encoded, picture


def tree(train: int = 4, test: int = 2, kind: str = "JPEG") -> dict[str, bytes]:
    """Image files by path, so many of each class."""
    suffix = {"JPEG": "jpg", "PNG": "png"}[kind]
    return {
        f"{split}/{label}/{number:04}.{suffix}": encoded(picture(100 * CLASSES.index(label) + number), kind)
        for split, count in (("train", train), ("test", test))
        for label in CLASSES
        for number in range(count)
    }


def python2_pickle(pixels: NDArray[np.uint8], labels: list[int]) -> bytes:
    """A batch as Python 2's cPickle wrote it (protocol 2), opcode by opcode."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    raw = pixels.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n" + b"cnumpy\nndarray\n" + b"K\x00\x85" + text(b"b") + b"\x87R"
        b"(K\x01" + number(pixels.shape[0]) + number(pixels.shape[1]) + b"\x86"
        b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNN" + number(-1) * 2 + b"K\x00tb"
        b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    )  # fmt: skip
    items = {
        b"batch_label": text(b"training batch 1 of 5"),
        b"labels": b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e",
        b"data": array,
        b"filenames": b"](" + b"".join(text(b"camion_s_%06d.png" % row) for row in range(len(labels))) + b"e",
    }
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in items.items()) + b"u."


def batches(images: int) -> dict[str, tuple[NDArray[np.uint8], list[int]]]:
    """Pixels (N, 3072) and labels for every file."""
    random = np.random.default_rng(0)
    return {
        name: (random.integers(0, 256, (images, 3072), dtype=np.uint8), random.integers(0, 10, images).tolist())
        for name in BATCHES
    }
