"""The canonical python version of CIFAR-10: six pickles of 10,000 images, read without running anything in them."""

from __future__ import annotations

import io
import pickle  # only its reader, below, with every name replaced
import pickletools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contextssl_cifar10.classes import CLASSES, PAGE, SIZE
from contextssl_cli.errors import CorruptFileError, DataMissingError
from contextssl_cli.plugin import Samples
from contextssl_cli.plugin.archives import MemberReader
from contextssl_cli.text import printable

BATCHES = {**{f"data_batch_{number}": "train" for number in range(1, 6)}, "test_batch": "test"}
"""The split of each file."""
IMAGES = 10_000
"""In each file."""
MOST_STEPS = 500_000
"""Of a pickle's reader. The published files take about 40,000; each may take a hundred bytes of memory."""
MOST_TUPLES = 20
"""There are 6. The hash of tuples in tuples can take for ever, and so could a dictionary that has one as a key."""
_PLACES = ("PUT", "LONG_BINPUT")
"""Steps that take memory for all places below the one that they name."""
_ALLOWED = {
    "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2",
    "LONG", "LONG1", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_TUPLE",
    "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "PUT", "BINPUT",
    "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
}  # fmt: skip
"""The steps that make numbers, texts, lists, tuples, dictionaries and the stand-ins below."""


def batch_samples(files: Mapping[str, MemberReader], source: Path) -> Iterator[Samples]:
    """One batch of samples for each file, in the canonical order.

    Raises:
        DataMissingError: if a file is not there.
        CorruptFileError: if one is not what it should be.
    """
    for name, split in BATCHES.items():
        if name not in files:
            raise DataMissingError(f"{source} has no file {name}, expected all of {', '.join(BATCHES)}; see {PAGE}")
        images, labels = read_batch(files[name](), f"{source}: {name}")
        yield Samples(split, images, labels={"class": labels})


def read_batch(data: bytes, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images (10,000, 32, 32, 3) and labels (10,000,) of one file.

    Args:
        data: its content.
        name: for messages.

    Raises:
        CorruptFileError: if it is no such pickle, asks for anything else than an array, or holds another number of
            images.
    """
    try:
        _check_steps(data)
        content = _Unpickler(io.BytesIO(data), encoding="bytes").load()
        labels = _labels(content[b"labels"])
        pixels = content[b"data"].pixels()
    except Exception as error:  # what a damaged pickle raises is not limited to anything
        reason = printable(str(error)[:200])
        if not isinstance(error, pickle.UnpicklingError):
            reason = f"{type(error).__name__}: {reason}"
        raise CorruptFileError(f"{name} is not a batch of CIFAR-10 ({reason}); fetch it from {PAGE}") from error
    if pixels.shape != (IMAGES, 3 * SIZE * SIZE) or labels.shape != (IMAGES,):
        raise CorruptFileError(
            f"{name} holds {len(pixels):,} images and {labels.size:,} labels, expected {IMAGES:,} of 32 x 32 pixels; "
            f"fetch it from {PAGE}"
        )
    if labels.min() < 0 or labels.max() >= len(CLASSES):
        raise CorruptFileError(f"{name} holds labels from {labels.min()} to {labels.max()}, expected 0 to 9")
    return pixels.reshape(-1, 3, SIZE, SIZE).transpose(0, 2, 3, 1), labels


def _check_steps(data: bytes) -> None:
    """Refuse a pickle before anything of it is made: a few bytes can ask for gigabytes, or for hours."""
    tuples = 0
    for number, (step, value, _) in enumerate(pickletools.genops(data)):
        tuples += step.name.startswith("TUPLE")
        if step.name not in _ALLOWED:
            raise pickle.UnpicklingError(f"its reader would have to do {step.name}: do not trust it")
        if number == MOST_STEPS or tuples > MOST_TUPLES or (step.name in _PLACES and (value or 0) > MOST_STEPS):
            raise pickle.UnpicklingError("its reader would take too much memory or time: do not trust it")


def _labels(found: Any) -> NDArray[np.int64]:
    # Lists in lists would be made an array of any size.
    if not isinstance(found, list) or not all(type(label) is int for label in found):
        raise pickle.UnpicklingError("its labels are not a list of numbers")
    return np.array(found, dtype=np.int64)


class _Type:
    """Stands for ``numpy.dtype``: remembers what it was made of."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        """Byte order and alignment, which single bytes do not have."""


class _Array:
    """Stands for an array, and for what makes one; remembers its state, so that no code of numpy's meets it."""

    state: Any = None

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def pixels(self) -> NDArray[np.uint8]:
        """The array, if it is one of bytes in the order of C (numpy's state: version, shape, type, order, bytes)."""
        _, shape, kind, fortran, data = self.state
        if not isinstance(kind, _Type) or kind.arguments[0] not in (b"u1", "u1") or fortran:
            raise pickle.UnpicklingError("its data are not unsigned bytes in rows")
        return np.frombuffer(data, np.uint8).reshape(shape)


class _Unpickler(pickle.Unpickler):
    """Knows the three names that an array needs, each as a stand-in, and refuses all others."""

    _KNOWN: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Type,
    }

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name.

        Raises:
            UnpicklingError: for every other name, before anything of it is imported.
        """
        try:
            return self._KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module[:80]}.{name[:80]}: do not trust it") from None
