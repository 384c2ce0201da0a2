"""The lists: which objects belong to which split, and their classes.

An entry of ``train_images.npy`` is ``/<class>/<object>``, as the authors' code reads it, or
``/<class>/<object>/image_3.jpg`` where single views are listed. ``train_labels.npy`` has a class index for each entry.
The ``val_`` lists are the test split.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contextssl_3diebench.npy import read_array
from contextssl_cli.errors import CorruptFileError, DataMissingError
from contextssl_cli.files import check_input
from contextssl_cli.text import printable

PREFIXES = {"train": "train", "test": "val"}
KINDS = ("images", "labels")
CLASSES = 10_000
"""More are no classes, but a number of another meaning, such as a WordNet offset."""
LARGEST_LIST = 1 << 30
"""Bytes of a list's array; one that names all 2.6 million views as texts has 0.8 GB."""
LONGEST_NAME = 255
"""Characters of a file or a folder; no file system has longer ones."""
_VIEW = re.compile(r"image_([0-9]{1,9})\.jpg\Z")
_ADVICE = "fetch the lists again"


class Listed(NamedTuple):
    """An object of a list.

    Attributes:
        place: its folder, relative to the source.
        label: class index.
        number: of the object, unique over both splits.
        views: the listed views; None for all that there are.
    """

    place: str
    label: int
    number: int
    views: tuple[int, ...] | None


def find_lists(source: Path, folder: Path | None) -> dict[str, Path]:
    """The four list files, by name, in ``folder``, or else in the source or its ``meta/``.

    Raises:
        DataMissingError: if one of them is not there.
    """
    names = [f"{prefix}_{kind}.npy" for prefix in PREFIXES.values() for kind in KINDS]
    places = [folder] if folder else [source, source / "meta"]
    found = next((place for place in places if (place / names[0]).exists()), None)
    if found is None:
        raise DataMissingError(
            f"there is no {names[0]} in {' or '.join(map(printable, places))}: the lists are in the folder data of "
            "https://github.com/facebookresearch/SIE; name their folder with --lists DIR"
        )
    for name in names:
        if not (found / name).exists():
            raise DataMissingError(f"{printable(found)} has no {name}; all of {', '.join(names)} are needed")
        check_input(found / name)
    return {name.removesuffix(".npy"): found / name for name in names}


def read_lists(lists: Mapping[str, Path]) -> tuple[dict[str, list[Listed]], tuple[str, ...]]:
    """The objects by split, and the class names: the folder of a class, or ``class 7`` where it has several or none.

    Raises:
        CorruptFileError: if a list is damaged, or names an object twice.
    """
    objects: dict[str, list[Listed]] = {}
    seen: dict[str, Path] = {}
    for split, prefix in PREFIXES.items():
        path = lists[f"{prefix}_images"]
        entries, labels = _read_places(path), _read_labels(lists[f"{prefix}_labels"])
        if len(entries) != len(labels):
            raise CorruptFileError(f"{printable(path)} has {len(entries)} entries for {len(labels)} labels; {_ADVICE}")
        objects[split] = _objects(path, entries, labels, first=len(seen))
        for listed in objects[split]:
            if listed.place in seen:
                raise CorruptFileError(
                    f"{printable(path)} lists the object {listed.place}, which {seen[listed.place].name} has too: all "
                    "views of an object belong to one split"
                )
            seen[listed.place] = path
    return objects, _class_names(listed for split in objects.values() for listed in split)


def _read_places(path: Path) -> list[str]:
    array = read_array(path, LARGEST_LIST, _ADVICE)
    if array.dtype.kind not in "US" or array.ndim != 1 or not array.size:
        raise CorruptFileError(f"{printable(path)} holds {array.dtype}{list(array.shape)}, expected a list of texts")
    try:
        return [_place(entry, path) for entry in _texts(array)]
    except ValueError as error:
        raise CorruptFileError(f"{printable(path)} holds texts that cannot be read ({error}); {_ADVICE}") from error


def _texts(array: NDArray[Any]) -> list[str]:
    """Raises ValueError for bytes that are not ASCII, and numbers that are no characters."""
    if array.dtype.kind == "S":
        array = array.astype(str)
    points = np.frombuffer(array.tobytes(), np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    if points.max() > sys.maxunicode:
        raise ValueError(f"{points.max()} is no character")
    texts: list[str] = array.tolist()
    return texts


def _read_labels(path: Path) -> list[int]:
    array = read_array(path, LARGEST_LIST, _ADVICE)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise CorruptFileError(
            f"{printable(path)} holds {array.dtype}{list(array.shape)}, expected a list of class indices"
        )
    if array.size and not 0 <= array.min() <= array.max() < CLASSES:
        raise CorruptFileError(
            f"{printable(path)} has labels from {array.min()} to {array.max()}, expected class indices"
        )
    return [int(label) for label in array]


def _place(entry: str, path: Path) -> str:
    parts = entry.strip("/").split("/")
    named = all(0 < len(part) <= LONGEST_NAME for part in parts)
    if len(parts) < 2 or not named or {".", ".."} & set(parts) or not entry.isprintable():
        raise CorruptFileError(f"{printable(path)} has the entry {entry[:200]!r}, expected /<class>/<object>")
    return "/".join(parts)


def _objects(path: Path, entries: list[str], labels: list[int], first: int) -> list[Listed]:
    """Entries that name single views are gathered by object; an object is numbered when it is first named."""
    views: dict[str, set[int | None]] = {}
    classes: dict[str, int] = {}
    for entry, label in zip(entries, labels, strict=True):
        folder, _, name = entry.rpartition("/")
        match = _VIEW.match(name)
        place, view = (folder, int(match[1])) if match else (entry, None)
        if classes.setdefault(place, label) != label:
            raise CorruptFileError(f"{printable(path)} gives {place} the classes {classes[place]} and {label}")
        chosen = views.setdefault(place, set())
        if view in chosen or None in chosen:
            raise CorruptFileError(f"{printable(path)} lists {entry} twice")
        chosen.add(view)
    objects = []
    for number, (place, chosen) in enumerate(views.items()):
        named = tuple(sorted(view for view in chosen if view is not None))
        objects.append(Listed(place, classes[place], first + number, named or None))
    return objects


def _class_names(objects: Iterable[Listed]) -> tuple[str, ...]:
    pairs = {(listed.label, listed.place.split("/")[0]) for listed in objects}
    labels, folders = (Counter(part) for part in zip(*pairs, strict=True))
    names = {label: folder for label, folder in pairs if labels[label] == folders[folder] == 1}
    return tuple(names.get(label, f"class {label}") for label in range(max(labels) + 1))
