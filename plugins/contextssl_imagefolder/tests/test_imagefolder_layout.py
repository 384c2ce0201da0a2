"""Which image belongs to which split and class, and what a folder may not look like."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, UsageError
from contextssl_imagefolder.layout import Layout, find_layout
from tests.small_images import write_files


def layout(source: Path, **asked: Any) -> Layout:
    options: dict[str, Any] = {"unlabelled": False, "test_fraction": None, "default": 0.2, "seed": 0}
    return find_layout(source, **(options | asked))


def names(found: Layout, split: str, source: Path) -> dict[str, int]:
    return {os.path.relpath(path, source): code for path, code in found.images[split]}


def files(*paths: str) -> dict[str, bytes]:
    return {path: path.encode() for path in paths}


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """Ten images of cats and five of dogs."""
    paths = [f"cat/{number}.jpg" for number in range(10)] + [f"dog/deep/er/{number}.PNG" for number in range(5)]
    return write_files(tmp_path / "animals", files(*paths))


def test_folders_are_classes_and_each_is_divided(animals: Path) -> None:
    found = layout(animals)
    assert found.classes == ("cat", "dog")
    train, test = names(found, "train", animals), names(found, "test", animals)
    assert sorted(test.values()) == [0, 0, 1]
    assert sorted(train.values()) == [0] * 8 + [1] * 4
    assert not train.keys() & test.keys()
    assert all(code == (not path.startswith("cat/")) for path, code in (train | test).items())
    assert found.notes["split"] == "0.2 of each class for the test, seed 0"


def test_the_division_depends_on_the_seed_and_the_names_alone(animals: Path, tmp_path: Path) -> None:
    test = names(layout(animals), "test", animals)
    moved = animals.rename(tmp_path / "elsewhere")
    assert names(layout(moved), "test", moved) == test
    divisions = {tuple(names(layout(moved, seed=seed), "test", moved)) for seed in range(5)}
    assert len(divisions) > 1
    write_files(moved, files("emu/1.jpg", "emu/2.jpg"))  # another class leaves the others as they are
    more = names(layout(moved), "test", moved)
    assert {path for path in more if not path.startswith("emu")} == set(test)


@pytest.mark.parametrize(("share", "cats"), [(0.01, 1), (0.5, 5), (0.99, 9)])
def test_every_class_keeps_images_in_both_splits(animals: Path, share: float, cats: int) -> None:
    test = names(layout(animals, test_fraction=share), "test", animals)
    assert sum(path.startswith("cat") for path in test) == cats


def test_a_class_of_one_image_is_for_training(animals: Path) -> None:
    write_files(animals, files("emu/only.jpg"))
    assert names(layout(animals), "train", animals)["emu/only.jpg"] == 2


TRAINS = ["train", "training", "Train", "TRAIN", "Training_Set", "train2017", "train-images", "TrainData"]
TESTS = [
    "test", "testing", "Testing", "tests", "TEST", "test_set", "val", "valid", "Validation", "dev", "eval",
    "evaluation", "VAL", "val2017", "validation-split", "test images",
]  # fmt: skip


@pytest.mark.parametrize(("train", "second"), [("train", name) for name in TESTS] + [(name, "test") for name in TRAINS])
def test_splits_that_are_there_are_kept(tmp_path: Path, train: str, second: str) -> None:
    paths = [f"{train}/{label}/1.jpg" for label in ("cat", "dog", "emu")]
    paths += [f"{second}/emu/2.jpg", f"{second}/cat/2.jpg", "more/cat/3.jpg", ".git/x.jpg"]
    source = write_files(tmp_path, files(*paths))
    found = layout(source)
    assert found.classes == ("cat", "dog", "emu")
    assert names(found, "train", source) == {f"{train}/cat/1.jpg": 0, f"{train}/dog/1.jpg": 1, f"{train}/emu/1.jpg": 2}
    assert names(found, "test", source) == {f"{second}/cat/2.jpg": 0, f"{second}/emu/2.jpg": 2}
    assert found.notes["classes without test images"] == "dog"
    assert found.notes["folders left out"] == "more"


def test_with_test_and_val_the_test_is_used(tmp_path: Path) -> None:
    paths = [f"{split}/{label}/1.jpg" for split in ("train", "val", "test") for label in ("cat", "dog")]
    found = layout(write_files(tmp_path, files(*paths)))
    assert set(names(found, "test", tmp_path)) == {"test/cat/1.jpg", "test/dog/1.jpg"}
    assert found.notes["folders left out"] == "val"


@pytest.mark.parametrize("names", [("Train", "train"), ("train", "training"), ("train", "train_set", "TRAIN")])
def test_two_folders_for_training_are_ambiguous(tmp_path: Path, names: tuple[str, ...]) -> None:
    write_files(
        tmp_path, files("test/cat/1.jpg", *(f"{name}/{label}/1.jpg" for name in names for label in ("cat", "dog")))
    )
    with pytest.raises(CorruptFileError, match=" and ".join(f"{name}/" for name in sorted(names))):
        layout(tmp_path)


@pytest.mark.parametrize("names", [("val", "valid"), ("Test", "test"), ("dev", "eval"), ("test1", "test2")])
def test_two_folders_for_the_test_are_ambiguous(tmp_path: Path, names: tuple[str, ...]) -> None:
    write_files(tmp_path, files(*(f"{name}/{label}/1.jpg" for name in ("train", *names) for label in ("cat", "dog"))))
    with pytest.raises(CorruptFileError, match=" and ".join(f"{name}/" for name in names)):
        layout(tmp_path)


@pytest.mark.parametrize(
    "names", [("val", "test"), ("Validation", "dev"), ("test",), ("Training",), ("train", "train_set")]
)
def test_splits_without_their_other_half_are_no_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    write_files(tmp_path, files(*(f"{name}/{label}/{n}.jpg" for name in names for label in ("a", "b") for n in (1, 2))))
    with pytest.raises(DataMissingError, match=f"{names[0]}/"):
        layout(tmp_path)
    found = layout(tmp_path, unlabelled=True)
    assert sum(map(len, found.images.values())) == 4 * len(names)


@pytest.mark.parametrize(
    "name", ["trains", "train station", "contest", "attest", "valley", "device", "evaluator", "crash test"]
)
def test_a_class_may_have_a_name_that_only_resembles_a_split(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, files(*(f"{label}/{number}.jpg" for label in (name, "bus") for number in (1, 2))))
    assert layout(tmp_path).classes == tuple(sorted((name, "bus")))


def test_folders_of_splits_in_classes_are_mentioned(tmp_path: Path) -> None:
    paths = [f"{label}/{split}/1.jpg" for label in ("cat", "dog") for split in ("Train", "valid")]
    found = layout(write_files(tmp_path, files(*paths)))
    assert found.classes == ("cat", "dog")
    assert any(value.startswith("4 (first: ") for value in found.notes.values())


def test_classes_are_listed_and_the_list_is_bounded(tmp_path: Path, animals: Path) -> None:
    assert layout(animals).notes["classes"] == "2: cat, dog"
    many = write_files(
        tmp_path / "many", files(*(f"{code:04}/{number}.jpg" for code in range(300) for number in (1, 2)))
    )
    assert layout(many).notes["classes"].startswith("300: 0000, 0001, ")
    assert len(layout(many).notes["classes"]) < 200


NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    ("train", "test"), [(NFC, NFD), (NFD, NFC), (NFD, NFD), ("\u212b", "A\u030a"), ("\uac00", "\u1100\u1161")]
)
def test_a_class_is_the_same_however_its_letters_are_encoded(tmp_path: Path, train: str, test: str) -> None:
    found = layout(write_files(tmp_path, files(f"train/{train}/1.jpg", "train/z/1.jpg", f"test/{test}/1.jpg")))
    assert found.classes == tuple(sorted(("z", unicodedata.normalize("NFC", train))))
    assert found.images["test"][0][1] == found.classes.index(unicodedata.normalize("NFC", test))


@pytest.mark.parametrize(
    ("one", "two"),
    [("Dog", "dog"), (NFC, NFD), ("CAF\u00c9", NFD), ("straße", "STRASSE"), ("a b", "a  b"), ("a", "a ")],
)
def test_classes_that_look_the_same_are_refused(tmp_path: Path, one: str, two: str) -> None:
    with pytest.raises(CorruptFileError, match="class folders"):
        layout(write_files(tmp_path / "both", files(f"{one}/1.jpg", f"{two}/1.jpg", "cat/1.jpg")))
    across = files(f"train/{one}/1.jpg", "train/cat/1.jpg", f"test/{two}/1.jpg")
    if unicodedata.normalize("NFC", one) != unicodedata.normalize("NFC", two):
        with pytest.raises(CorruptFileError, match="did you mean"):
            layout(write_files(tmp_path / "across", across))


def test_images_without_folders_have_no_classes(tmp_path: Path) -> None:
    found = layout(write_files(tmp_path, files(*(f"{number}.jpg" for number in range(10)))))
    assert found.classes == ()
    assert {code for split in ("train", "test") for _, code in found.images[split]} == {-1}
    assert (len(found.images["train"]), len(found.images["test"])) == (8, 2)


def test_unlabelled_takes_the_images_of_all_folders(animals: Path) -> None:
    write_files(animals, files("beside.jpg"))
    found = layout(animals, unlabelled=True)
    assert found.classes == ()
    assert sum(map(len, found.images.values())) == 16


def test_unlabelled_splits_that_are_there_are_kept(tmp_path: Path) -> None:
    source = write_files(tmp_path, files("train/1.jpg", "train/2.jpg", "test/3.jpg"))
    found = layout(source)
    assert found.classes == ()
    assert set(names(found, "test", source)) == {"test/3.jpg"}


def test_hidden_files_are_passed_over_and_others_counted(animals: Path) -> None:
    write_files(
        animals, files(".DS_Store", "cat/._1.jpg", ".trash/1.jpg", "cat/Thumbs.db", "notes.txt", "cat/1.jpg.bak")
    )
    found = layout(animals)
    assert sum(map(len, found.images.values())) == 15
    assert found.notes["files without the name of an image"].startswith("2 (first: ")
    assert found.notes["hidden and system files and folders, skipped"].startswith("4 (first: ")


def test_links_are_followed_not_around_in_circles_and_counted(animals: Path, tmp_path: Path) -> None:
    outside = write_files(tmp_path / "outside", files("1.jpg", "2.jpg"))
    (animals / "emu").symlink_to(outside)
    (animals / "cat" / "again").symlink_to(animals / "cat")
    (animals / "dog" / "up").symlink_to(animals)
    (animals / "dog" / "one.jpg").symlink_to(outside / "1.jpg")
    found = layout(animals)
    assert found.classes == ("cat", "dog", "emu")
    everything = names(found, "train", animals) | names(found, "test", animals)
    assert "emu/1.jpg" in everything
    assert "cat/again/1.jpg" not in everything
    assert "dog/one.jpg" in everything
    assert found.notes["images that are links to other images"].startswith("1 (first: ")


def test_the_same_name_in_two_classes_is_two_images(tmp_path: Path) -> None:
    source = write_files(tmp_path, files("cat/1.jpg", "cat/1.png", "cat/1.JPG", "dog/1.jpg", "emu/1.jpg"))
    found = layout(source)
    assert found.classes == ("cat", "dog", "emu")
    assert sum(map(len, found.images.values())) == 5


SYSTEM = [
    "@eaDir/cat.jpg/SYNOPHOTO_THUMB_M.jpg", "cat/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/cat/._0.jpg",
    "cat/._0.jpg", ".ipynb_checkpoints/0.jpg", "cat/.ipynb_checkpoints/0-checkpoint.jpg", "$RECYCLE.BIN/S-1/$R1.jpg",
    "System Volume Information/x.jpg", "#recycle/0.jpg", "#snapshot/cat/0.jpg", "@Recycle/0.jpg",
    "@Recently-Snapshot/0.jpg", "~snapshot/hourly/0.jpg", ".snapshot/0.jpg", ".Trashes/501/0.jpg",
    ".Trash-1000/files/0.jpg", ".Spotlight-V100/0.jpg", ".fseventsd/0.jpg", "lost+found/0.jpg", "LOST.DIR/0.jpg",
    "FOUND.000/0.jpg", ".AppleDouble/0.jpg", "__pycache__/0.jpg", ".git/0.jpg", ".thumbnails/0.jpg",
    "Network Trash Folder/0.jpg", "Temporary Items/0.jpg", "cat/~$0.jpg", ".hidden.jpg", "Thumbs.db",
    "cat/desktop.ini", "Desktop.ini", "ehthumbs_vista.db", "Icon\r", ".DS_Store",
]  # fmt: skip


@pytest.mark.parametrize("path", SYSTEM)
@pytest.mark.parametrize("place", [".", "train"])
def test_what_systems_leave_behind_is_no_class_and_no_image(animals: Path, place: str, path: str) -> None:
    source = animals
    if place == "train":
        source = write_files(animals.parent / "split", files("test/cat/1.jpg"))
        animals.rename(source / "train")
    before = layout(source)
    write_files(source / place, files(path))
    after = layout(source)
    assert (after.classes, after.images) == (before.classes, before.images)
    (note,) = set(after.notes) - set(before.notes)
    assert after.notes[note].startswith("1 (first: ")


@pytest.mark.parametrize(
    "name", ["@home", "#1", "$100", "recycled", "trash", "temporary", "thumbs", "snapshot", "dev", "Icons"]
)
def test_a_class_may_have_a_name_that_only_resembles_them(animals: Path, name: str) -> None:
    write_files(animals, files(f"{name}/1.jpg", f"{name}/2.jpg"))
    assert set(layout(animals).classes) == {"cat", "dog", name}


WRONG: dict[str, tuple[dict[str, bytes], dict[str, Any], type[ContextSSLError], str]] = {
    "empty": ({}, {}, DataMissingError, "has no images"),
    "other files alone": (files("a.txt", "b/c.csv"), {}, DataMissingError, "has no images"),
    "a class without images": (files("cat/1.jpg", "dog/readme.txt"), {}, DataMissingError, "class folder .*dog has"),
    "a class of train without images": (
        files("train/cat/1.jpg", "train/dog/.hidden.jpg", "test/cat/1.jpg"), {}, DataMissingError, "train/dog has no"
    ),
    "an empty test": (files("train/cat/1.jpg", "train/dog/1.jpg", "test/x.txt"), {}, DataMissingError, "test has no"),
    "train alone": (files("train/cat/1.jpg", "train/dog/1.jpg"), {}, DataMissingError, "train/ and no test/ or val/"),
    "images beside classes": (files("cat/1.jpg", "dog/1.jpg", "x.jpg"), {}, CorruptFileError, "x.jpg is next to"),
    "a single class": (files("cat/1.jpg", "cat/2.jpg"), {}, UsageError, "a single class folder, cat"),
    "a single image": (files("1.jpg"), {}, DataMissingError, "one image"),
    "a new class in test": (
        files("train/cat/1.jpg", "train/dog/1.jpg", "test/dogs/1.jpg"), {}, CorruptFileError, "did you mean 'dog'"
    ),
    "classes in train alone": (
        files("train/cat/1.jpg", "train/dog/1.jpg", "test/1.jpg"), {}, CorruptFileError, "the other has none"
    ),
    "a share for given splits": (
        files("train/cat/1.jpg", "test/cat/1.jpg"), {"test_fraction": 0.5}, UsageError, "leave out --test-fraction"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_named(tmp_path: Path, case: str) -> None:
    content, asked, kind, words = WRONG[case]
    with pytest.raises(kind, match=words) as caught:
        layout(write_files(tmp_path, content), **asked)
    assert type(caught.value) is kind


def test_a_source_that_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    with pytest.raises(DataMissingError, match="does not exist"):
        layout(path)
    path.write_bytes(b"x")
    with pytest.raises(DataMissingError, match="is a file"):
        layout(path)


def test_a_class_name_that_is_not_utf8(tmp_path: Path) -> None:
    write_files(tmp_path, files("cat/1.jpg"))
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")  # noqa: PTH102 - a path of bytes
    with open(os.fsencode(tmp_path) + b"/caf\xe9/1.jpg", "wb"):  # noqa: PTH123
        pass
    with pytest.raises(CorruptFileError, match=r"caf\\xe9"):
        layout(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read(animals: Path) -> None:
    (animals / "cat").chmod(0)
    try:
        with pytest.raises(DataMissingError, match=r"cat: Permission denied"):
            layout(animals)
    finally:
        (animals / "cat").chmod(0o755)


@pytest.mark.parametrize(
    "pair", [("trainval", "holdout"), ("x_train", "x_test"), ("trn", "tst"), ("train_a", "test_a")]
)
def test_folders_that_hold_the_same_folders_may_be_splits(pair: tuple[str, str], tmp_path: Path) -> None:
    paths = [f"{one}/{kind}/{number}.png" for one in pair for kind in ("cat", "dog") for number in range(2)]
    found = layout(write_files(tmp_path / "photos", files(*paths)))
    assert "cat, dog" in found.notes["folders that may be splits"]


def test_folders_of_different_contents_are_classes(tmp_path: Path) -> None:
    paths = [f"{place}/{number}.png" for place in ("x/1", "x/2", "y/3") for number in range(2)]
    assert "folders that may be splits" not in layout(write_files(tmp_path / "photos", files(*paths))).notes
