"""CIFAR-10 as image files: a folder and an archive of it give the same store, and what is wrong is named."""

from __future__ import annotations

import os
from pathlib import Path

import cifar10_files
import numpy as np
import pytest

from contextssl_cifar10.classes import CLASSES
from contextssl_cli.data.prepare import prepare
from contextssl_cli.plugin.registry import registry
from contextssl_cli.store.dataset import Store
from contextssl_cli.testing import check_dataset
from tests.small_images import encoded, picture, write_archive, write_files
from tests.walk import command, refusal


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_files(tmp_path / "cifar", cifar10_files.tree())


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store.h5"


def test_the_contract(source: Path) -> None:
    check_dataset(registry().dataset("cifar10"), source)


def test_a_folder_and_its_archives_give_the_same_store(source: Path, tmp_path: Path) -> None:
    files = cifar10_files.tree()
    backwards = dict(reversed(files.items()))
    sources = [
        source,
        write_archive(tmp_path / "plain.tar.gz", files),
        write_archive(tmp_path / "around.tar", {f"./cifar10/{name}": data for name, data in backwards.items()}, "w"),
    ]
    dataset = registry().dataset("cifar10")
    stores = [prepare(dataset, path, tmp_path / f"{path.name}.h5") for path in sources]
    assert len({made.content_hash for made in stores}) == 1
    assert set(stores[1].provenance["sources"]) == {"plain.tar.gz"}


def test_images_and_labels_are_those_of_the_files(source: Path, store: Path) -> None:
    made = prepare(registry().dataset("cifar10"), source, store)
    assert (len(made.train), len(made.test)) == (40, 20)
    labels, images = made.train.labels("class"), made.train.inputs()
    for code in range(len(CLASSES)):
        for number, image in enumerate(images[labels == code]):
            drawn = np.asarray(picture(100 * code + number))
            assert np.abs(image.astype(int) - drawn).mean() < 4
    assert labels[:10].tolist() == list(range(10))  # classes alternate


def test_a_part_of_cifar10_says_so(source: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = command(capsys, "prepare", "cifar10", "--source", source, "--out", store)
    assert outcome.code == 0
    assert "not the whole of CIFAR-10: 40 train images, 20 test images" in outcome.err


def test_hidden_files_and_other_files_are_passed_over(source: Path, store: Path) -> None:
    files = {"README.txt": b"read me", "picture.png": b"of nothing", ".hidden/x.jpg": b"", "train/.DS_Store": b"",
             "train/cat/._0000.jpg": b"a fork of macOS", "train/.trash/0.jpg": b"", "extra/cat/0.jpg": b""}  # fmt: skip
    write_files(source, files)
    assert len(prepare(registry().dataset("cifar10"), source, store).train) == 40


def test_grey_images_and_palettes_become_rgb(source: Path, store: Path) -> None:
    write_files(source, {"train/cat/grey.png": encoded(picture(1, mode="L"), "PNG"),
                         "train/cat/palette.PNG": encoded(picture(1, mode="P"), "PNG")})  # fmt: skip
    assert len(prepare(registry().dataset("cifar10"), source, store).train) == 42


def test_links_to_folders_are_followed(source: Path, store: Path, tmp_path: Path) -> None:
    (source / "train" / "cat").rename(tmp_path / "cats")
    (source / "train" / "cat").symlink_to(tmp_path / "cats")
    assert len(prepare(registry().dataset("cifar10"), source, store).train) == 40


CORRUPT = {
    "cut off": (encoded(picture(1))[:-200], "truncated"),
    "empty": (b"", "JPEG or PNG"),
    "text": (b"not a picture", "JPEG or PNG"),
    "larger": (encoded(picture(1, 33, 32)), "33 x 32 pixels, expected 32 x 32"),
}


@pytest.mark.parametrize("fault", CORRUPT)
def test_a_corrupt_image_is_named_and_skipped_on_demand(
    source: Path, store: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data, words = CORRUPT[fault]
    write_files(source, {"train/cat/0002.jpg": data})
    message = refusal(capsys, 4, "prepare", "cifar10", "--source", source, "--out", store)
    assert "train/cat/0002.jpg" in message
    assert words in message
    assert "--skip-corrupt" in message
    assert not store.exists()
    outcome = command(capsys, "prepare", "cifar10", "--source", source, "--out", store, "--skip-corrupt")
    assert outcome.code == 0, outcome.err
    assert "skipped: 1 (first: train/cat/0002.jpg" in outcome.err
    with Store(store) as made:
        assert made.provenance["skipped"] == 1
        assert made.provenance["skipped_sources"][0].startswith("train/cat/0002.jpg: ")
        assert len(made.train) == 39
        assert np.bincount(made.train.labels("class")).tolist() == [4, 4, 4, 3, 4, 4, 4, 4, 4, 4]


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("kept", ["an empty folder", "no folder"])
def test_a_class_without_images(
    source: Path, store: Path, split: str, kept: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = source / split / "dog"
    for path in folder.iterdir():
        path.unlink()
    if kept == "no folder":
        folder.rmdir()
    message = refusal(capsys, 3, "prepare", "cifar10", "--source", source, "--out", store)
    assert f"no images in {split}/dog/" in message


def test_a_folder_of_no_class(source: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (source / "train" / "dog").rename(source / "train" / "dogs")
    message = refusal(capsys, 4, "prepare", "cifar10", "--source", source, "--out", store)
    assert "train/dogs" in message
    assert "did you mean 'dog'?" in message


@pytest.mark.parametrize("name", ["train/0.jpg", "test/cat/more/0.jpg"])
def test_an_image_outside_of_the_classes(
    source: Path, store: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(source, {name: encoded(picture(0))})
    message = refusal(capsys, 4, "prepare", "cifar10", "--source", source, "--out", store)
    assert name in message
    assert "expected" in message


def test_a_folder_without_any_of_it(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path / "other", {"letter.txt": b"dear"})
    for path in (tmp_path / "other", tmp_path / "absent"):
        assert str(path) in refusal(capsys, 3, "prepare", "cifar10", "--source", path, "--out", store)


def test_a_file_that_is_no_archive(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "letter.txt"
    for data in (b"", b"dear" * 1000):
        path.write_bytes(data)
        message = refusal(capsys, 4, "prepare", "cifar10", "--source", path, "--out", store)
        assert f"{path} is not a whole tar archive" in message


def test_names_that_are_not_utf8(source: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsencode(source / "train" / "cat") + b"/caf\xe9.jpg"
    with open(name, "wb") as file:  # noqa: PTH123 - a path of bytes
        file.write(encoded(picture(7)))
    assert command(capsys, "prepare", "cifar10", "--source", source, "--out", store).code == 0
    with open(name, "wb") as file:  # noqa: PTH123
        file.write(b"broken")
    store.unlink()
    assert "caf\\xe9.jpg" in refusal(capsys, 4, "prepare", "cifar10", "--source", source, "--out", store)
    outcome = command(capsys, "prepare", "cifar10", "--source", source, "--out", store, "--skip-corrupt")
    assert outcome.code == 0
    assert "caf\\xe9.jpg" in outcome.err
