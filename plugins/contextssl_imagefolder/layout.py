"""Which image belongs to which split and class."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contextssl_cli.errors import CorruptFileError, DataMissingError, UsageError, suggestion
from contextssl_cli.store.folders import Tree, counted, entries, is_folder, is_image, notes, walk
from contextssl_cli.store.images import IMAGE_SUFFIXES
from contextssl_cli.text import printable

SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "tests", "testing"),
    "val": ("val", "valid", "validation", "dev", "eval", "evaluation"),
}
"""The names of the folders of splits; capitals, digits and a word such as ``_set`` or ``-images`` change nothing."""
_ADDED = r"(?:set|data|dataset|images?|imgs?|split)?"  # behind the name of a split
_NAMED = 20  # classes that a note names
_EXPECTED = f"images ({', '.join(IMAGE_SUFFIXES)})"


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
        CorruptFileError: if an image is next to the folders of classes, two folders have the same split or class by
            their names, or the name of a class cannot be shown.
        UsageError: if what is asked for does not fit the folder.
    """
    if not source.exists():
        raise DataMissingError(f"--source {printable(source)} does not exist")
    if not source.is_dir():
        raise DataMissingError(f"--source {printable(source)} is a file, expected a folder with images")
    splits = _splits(source, unlabelled=unlabelled)
    if splits:
        if test_fraction is not None:
            raise UsageError(
                f"{printable(source)} has the folders {' and '.join(f'{name}/' for name in splits.values())}; leave "
                "out --test-fraction"
            )
        return _given(source, splits, unlabelled=unlabelled)
    tree = walk(source)
    classes, images = _labelled(tree, unlabelled=unlabelled)
    _check_classes(source, classes)
    share = default if test_fraction is None else test_fraction
    chosen = _choose_test(source, images, share, seed)
    divided = {
        "train": [image for image in images if image[0] not in chosen],
        "test": [image for image in images if image[0] in chosen],
    }
    of_what = "of each class" if classes else "of all images"
    said = {"split": f"{share:g} {of_what} for the test, seed {seed}"}
    return Layout(classes, divided, _named(classes) | said | _like_splits(tree) | _unused_splits(tree) | notes(tree))


def _splits(source: Path, *, unlabelled: bool) -> dict[str, str]:
    """The folders of the training and the test split, if the source has both."""
    there = entries(source)
    folders = [entry.name for entry in there if is_folder(entry)]
    loose = any(is_image(entry.name) for entry in there if not is_folder(entry))
    found = {split: [name for name in folders if split_of(name) == split] for split in SPLITS}
    second = "test" if found["test"] else "val"
    if not (found["train"] and found[second]):
        if folders and all(split_of(name) for name in folders) and not (loose or unlabelled):
            lacks = "test/ or val/" if found["train"] else "train/"
            raise DataMissingError(
                f"{printable(source)} has {' and '.join(f'{name}/' for name in folders)} and no {lacks}; add it, or "
                f"name {printable(source / folders[0])} to have it divided"
            )
        return {}
    for split in ("train", second):
        if len(found[split]) > 1:
            names = " and ".join(f"{printable(name)}/" for name in found[split])
            raise CorruptFileError(
                f"{printable(source)} has {names}, which are names of the same split; keep one there"
            )
    return {"train": found["train"][0], "test": found[second][0]}


def split_of(name: str) -> str | None:
    """The split that a folder of this name holds, or None."""
    letters = re.sub(r"[\W\d_]", "", name.casefold())
    found = (split for split, names in SPLITS.items() if re.fullmatch(f"(?:{'|'.join(names)}){_ADDED}", letters))
    return next(found, None)


def _given(source: Path, splits: Mapping[str, str], *, unlabelled: bool) -> Layout:
    """The splits as the user made them."""
    folders = {split: source / name for split, name in splits.items()}
    trees = {split: walk(folder) for split, folder in folders.items()}
    found = {split: _labelled(tree, unlabelled=unlabelled) for split, tree in trees.items()}
    classes, images = found["train"]
    _check_classes(folders["train"], classes)
    test_classes, test_images = found["test"]
    if bool(classes) != bool(test_classes):
        raise CorruptFileError(
            f"one of {printable(folders['train'])} and {printable(folders['test'])} has folders of classes and the "
            "other has none; let them agree, or use --unlabelled"
        )
    unknown = sorted(set(test_classes) - set(classes))
    if unknown:
        same = [name for name in classes if _key(name) == _key(unknown[0])]
        hint = f"did you mean {same[0]!r}?" if same else suggestion(unknown[0], classes)
        raise CorruptFileError(
            f"{printable(folders['test'])} holds the class {unknown[0]}, which {printable(folders['train'])} does not: "
            f"{hint}"
        )
    codes = {name: code for code, name in enumerate(classes)}
    renamed = [(path, codes[test_classes[code]] if classes else -1) for path, code in test_images]
    said = {"split": " and ".join(f"{printable(name)}/" for name in splits.values()) + " as they are"}
    absent = [name for name in classes if name not in test_classes]
    if absent:
        said["classes without test images"] = _listed(absent)
    left_out = [printable(e.name) for e in entries(source) if is_folder(e) and e.name not in splits.values()]
    if left_out:
        said["folders left out"] = _listed(left_out)
    return Layout(classes, {"train": images, "test": renamed}, _named(classes) | said | notes(*trees.values()))


def _labelled(tree: Tree, *, unlabelled: bool) -> tuple[tuple[str, ...], list[tuple[str, int]]]:
    """The classes of a folder, and its images with their class codes."""
    root = printable(tree.root)
    if not tree.all_images():
        raise DataMissingError(f"{root} has no {_EXPECTED}")
    if unlabelled or not any(tree.folders.values()):
        return (), [(path, -1) for path in sorted(tree.all_images())]
    if tree.images:
        raise CorruptFileError(
            f"{printable(tree.images[0])} is next to the folders of classes; move it, or use --unlabelled"
        )
    folders: dict[str, str] = {}
    for name, paths in tree.folders.items():
        if not paths:
            raise DataMissingError(f"the class folder {printable(tree.root / name)} has no {_EXPECTED}")
        if printable(name) != name:
            raise CorruptFileError(
                f"the class folder {printable(tree.root / name)} has a name that cannot be shown; rename it"
            )
        other = folders.setdefault(_key(name), name)
        if other != name:
            raise CorruptFileError(
                f"the class folders {other} and {name} of {root} have names that are the same but for capitals, spaces "
                "or the encoding of letters; rename one, or move the images of both into one"
            )
    # macOS may spell é as e with an accent, other systems as one letter: the class is the same.
    names = {unicodedata.normalize("NFC", name): name for name in tree.folders}
    classes = tuple(sorted(names))
    return classes, [(path, code) for code, name in enumerate(classes) for path in tree.folders[names[name]]]


def _key(name: str) -> str:
    """What the names of two classes must differ in."""
    return " ".join(unicodedata.normalize("NFC", name.casefold()).split())


def _check_classes(source: Path, classes: Sequence[str]) -> None:
    if len(classes) == 1:
        raise UsageError(
            f"{printable(source)} has a single class folder, {classes[0]}; add another, or use --unlabelled"
        )


def _named(classes: Sequence[str]) -> dict[str, str]:
    return {"classes": f"{len(classes)}: {_listed(classes)}" if classes else "none"}


def _listed(names: Sequence[str]) -> str:
    """The first names; the others are counted."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _like_splits(tree: Tree) -> dict[str, str]:
    """A note where the folders of classes hold folders of the same names: they may be splits of another spelling."""
    inner = [
        {Path(path).relative_to(tree.root / name).parts[0] for path in paths if Path(path).parent != tree.root / name}
        for name, paths in tree.folders.items()
    ]
    if len(inner) < 2 or len(inner[0]) < 2 or any(names != inner[0] for names in inner):
        return {}
    listed = ", ".join(printable(name) for name in sorted(inner[0])[:5])
    return {"folders that may be splits": f"each of the classes holds {listed}; name splits train/ and test/"}


def _unused_splits(tree: Tree) -> dict[str, str]:
    """A note where folders in the classes have the names of splits: the images of all are divided anew."""
    found = [
        path
        for name, paths in tree.folders.items()
        for path in paths
        if any(split_of(part) for part in Path(path).relative_to(tree.root / name).parts[:-1])
    ]
    return {"images in folders of classes that are named like splits, divided anew": counted(found)} if found else {}


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
        raise DataMissingError(
            f"{printable(source)} has one image of each class; more are needed for a training and a test split"
        )
    return chosen


def _digest(source: Path, path: str, seed: int) -> str:
    place = unicodedata.normalize("NFC", os.path.relpath(path, source))
    return hashlib.sha256(f"{seed}/".encode() + os.fsencode(place)).hexdigest()
