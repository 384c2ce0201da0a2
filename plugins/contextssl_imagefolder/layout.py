"""Which image belongs to which split and class."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contextssl_cli.errors import CorruptFileError, DataMissingError, UsageError, suggestion
from contextssl_cli.text import printable
from contextssl_imagefolder.walking import SUFFIXES, Tree, walk

TRAIN, TESTS = "train", ("test", "val")
"""The folders of the splits; of the second kind, the first that is there is used."""
_EXPECTED = f"images ({', '.join(SUFFIXES)})"


@dataclass(frozen=True)
class Layout:
    """The images of a source.

    Attributes:
        classes: names of the classes in the order of their codes; empty if there are none.
        images: by split, path and class code of each image; -1 without classes.
        notes: what the user should know.
    """

    classes: tuple[str, ...]
    images: Mapping[str, Sequence[tuple[str, int]]]
    notes: Mapping[str, str]


def find_layout(source: Path, *, unlabelled: bool, test_fraction: float | None, default: float, seed: int) -> Layout:
    """Sort the images of a folder.

    Args:
        source: the folder.
        unlabelled: sub-folders are no classes.
        test_fraction: the share of test images that the user asks for.
        default: the share if none is asked for.
        seed: of the choice of test images.

    Raises:
        DataMissingError: if there is no such folder, or it or the folder of a class has no images.
        CorruptFileError: if an image stands beside the folders of classes, or the name of a class is not UTF-8.
        UsageError: if what is asked for does not fit the folder.
    """
    if not source.exists():
        raise DataMissingError(f"--source {source} does not exist")
    if not source.is_dir():
        raise DataMissingError(f"--source {source} is a file, expected a folder with images")
    second = next((name for name in TESTS if (source / name).is_dir()), None)
    if second and (source / TRAIN).is_dir():
        if test_fraction is not None:
            raise UsageError(f"{source} has the folders {TRAIN}/ and {second}/; leave out --test-fraction")
        return _given(source, second, unlabelled=unlabelled)
    tree = walk(source)
    if list(tree.folders) == [TRAIN] and not tree.images:
        raise DataMissingError(
            f"{source} has {TRAIN}/ and no {' or '.join(f'{name}/' for name in TESTS)}; add one, or name "
            f"{source / TRAIN} to have it divided"
        )
    classes, images = _labelled(tree, unlabelled=unlabelled)
    _check_classes(source, classes)
    share = default if test_fraction is None else test_fraction
    chosen = _choose_test(source, images, share, seed)
    splits = {
        "train": [image for image in images if image[0] not in chosen],
        "test": [image for image in images if image[0] in chosen],
    }
    of_what = "of each class" if classes else "of all images"
    return Layout(classes, splits, {"split": f"{share:g} {of_what} for the test, seed {seed}"} | _notes(tree))


def _given(source: Path, second: str, *, unlabelled: bool) -> Layout:
    """The splits as the user made them."""
    trees = {"train": walk(source / TRAIN), "test": walk(source / second)}
    found = {split: _labelled(tree, unlabelled=unlabelled) for split, tree in trees.items()}
    classes, images = found["train"]
    _check_classes(source / TRAIN, classes)
    test_classes, test_images = found["test"]
    if bool(classes) != bool(test_classes):
        raise CorruptFileError(
            f"one of {source / TRAIN} and {source / second} has folders of classes and the other has none; "
            "let them agree, or use --unlabelled"
        )
    unknown = sorted(set(test_classes) - set(classes))
    if unknown:
        raise CorruptFileError(
            f"{source / second} holds the class {unknown[0]}, which {source / TRAIN} does not: "
            f"{suggestion(unknown[0], classes)}"
        )
    codes = {name: code for code, name in enumerate(classes)}
    renamed = [(path, codes[test_classes[code]] if classes else -1) for path, code in test_images]
    notes = {"split": f"{TRAIN}/ and {second}/ as they are"} | _notes(*trees.values())
    absent = [name for name in classes if name not in test_classes]
    if absent:
        notes["classes without test images"] = ", ".join(absent)
    beside = [e.name for e in sorted(source.iterdir()) if e.is_dir() and e.name not in (TRAIN, second)]
    beside = [printable(name) for name in beside if not name.startswith(".")]
    if beside:
        notes["folders left out"] = ", ".join(beside)
    return Layout(classes, {"train": images, "test": renamed}, notes)


def _labelled(tree: Tree, *, unlabelled: bool) -> tuple[tuple[str, ...], list[tuple[str, int]]]:
    """The classes of a folder, and its images with their class codes."""
    if not tree.all_images():
        raise DataMissingError(f"{tree.root} has no {_EXPECTED}")
    if unlabelled or not any(tree.folders.values()):
        return (), [(path, -1) for path in sorted(tree.all_images())]
    if tree.images:
        raise CorruptFileError(
            f"{printable(tree.images[0])} stands beside the folders of classes; move it, or use --unlabelled"
        )
    for name, paths in tree.folders.items():
        if not paths:
            raise DataMissingError(f"the class folder {tree.root / printable(name)} has no {_EXPECTED}")
        if printable(name) != name:
            raise CorruptFileError(
                f"the class folder {tree.root / printable(name)} has a name that cannot be shown; rename it"
            )
    classes = tuple(tree.folders)
    return classes, [(path, code) for code, name in enumerate(classes) for path in tree.folders[name]]


def _check_classes(source: Path, classes: Sequence[str]) -> None:
    if len(classes) == 1:
        raise UsageError(f"{source} has a single class folder, {classes[0]}; add another, or use --unlabelled")


def _choose_test(source: Path, images: Sequence[tuple[str, int]], share: float, seed: int) -> set[str]:
    """Of each class the share of images whose digests come first; at least one, unless it is the only one.

    An image's digest depends on its path in the folder and the seed alone: elsewhere the folder is divided alike.
    """
    chosen: set[str] = set()
    for code in sorted({code for _, code in images}):
        paths = sorted((path for path, at in images if at == code), key=lambda path: _digest(source, path, seed))
        count = min(max(round(share * len(paths)), 1), len(paths) - 1)
        chosen.update(paths[:count])
    if not chosen:
        raise DataMissingError(f"{source} has one image of each class; more are needed for a training and a test split")
    return chosen


def _digest(source: Path, path: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}/".encode() + os.fsencode(os.path.relpath(path, source))).hexdigest()


def _notes(*trees: Tree) -> dict[str, str]:
    """What was left out, and what came twice."""
    notes = {}
    others = [path for tree in trees for path in tree.others]
    if others:
        notes["files that are no images by their names"] = f"{len(others)} (first: {printable(others[0])})"
    twice = _twice([path for tree in trees for path in tree.all_images()])
    if twice:
        notes["images that are links to others"] = f"{len(twice)} (first: {printable(twice[0])})"
    return notes


def _twice(paths: Sequence[str]) -> list[str]:
    """Paths of files that came before under another name."""
    seen: Counter[str] = Counter()
    found = []
    for path in paths:
        real = os.path.realpath(path)
        seen[real] += 1
        if seen[real] == 2:
            found.append(path)
    return found
