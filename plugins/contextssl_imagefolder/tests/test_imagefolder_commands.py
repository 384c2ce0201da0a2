"""A user's own images through the commands."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from contextssl_cli.data.prepare import prepare
from contextssl_cli.plugin.registry import registry
from contextssl_cli.store.dataset import Store
from contextssl_cli.testing import check_dataset
from contextssl_imagefolder import imagefolder
from tests.places import built_in
from tests.small_images import encoded, picture, write_files
from tests.walk import command, refusal, walk


def photographs(count: int = 20, size: int = 90) -> dict[str, bytes]:
    """Two classes."""
    return {
        f"{label}/{number:03}.jpg": encoded(picture(10 * number + code, size, size))
        for code, label in enumerate(("cat", "dog"))
        for number in range(count)
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_files(tmp_path / "photos", photographs())


@pytest.mark.parametrize("size", [16, 80])
def test_the_contract(source: Path, size: int) -> None:
    check_dataset(registry().dataset("imagefolder"), source, {"size": size})


@pytest.mark.parametrize("size", ["16", "80"])
def test_the_whole_way(
    source: Path, size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in("rotation", "color")
    task = "imagefolder-rotation-color"
    prepared, probed, adapted = walk(capsys, monkeypatch, tmp_path, task, "--source", source, "--size", size)
    assert "32 training and 8 test samples" in prepared.out
    assert "split: 0.2 of each class for the test, seed 0" in prepared.err
    assert "cat, dog" in prepared.err
    assert {row["target"] for row in probed.json["results"]} == {"class", "rotation", "color"}
    assert adapted.json["embeddings"] == [8, 8]


def test_the_whole_way_without_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in("rotation", "color")
    flat = {name.replace("/", "-"): data for name, data in photographs().items()}
    source = write_files(tmp_path / "flat", flat)
    prepare_flags = ("--source", source, "--size", "16")
    _, probed, adapted = walk(capsys, monkeypatch, tmp_path, "imagefolder-rotation-color", *prepare_flags)
    assert {row["target"] for row in probed.json["results"]} == {"rotation", "color"}
    assert adapted.json["embeddings"] == [8, 8]


def test_large_images_are_kept_as_their_files(source: Path, tmp_path: Path) -> None:
    made = prepare(registry().dataset("imagefolder"), source, tmp_path / "s.h5", options={"size": 80})
    assert made.schema.storage == "encoded"
    files = {data: name for name, data in photographs().items()}
    for split in (made.train, made.test):
        for code, data in zip(split.labels("class"), split.encoded(np.arange(len(split))), strict=True):
            assert files[data].startswith(("cat", "dog")[code])
    assert made.train.inputs().shape == (32, 80, 80, 3)


def test_parts_do_not_change_the_store(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = prepare(registry().dataset("imagefolder"), source, tmp_path / "whole.h5", options={"size": 16})
    monkeypatch.setattr(imagefolder, "IMAGES_PER_PART", 7)
    parts = prepare(registry().dataset("imagefolder"), source, tmp_path / "parts.h5", options={"size": 16})
    assert parts.content_hash == whole.content_hash


def test_a_corrupt_image_stops_the_preparation_or_is_left_out(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagefolder, "IMAGES_PER_PART", 4)
    store = tmp_path / "s.h5"
    arguments = ("prepare", "imagefolder", "--source", source, "--size", "16", "--out", store)
    write_files(source, {"dog/zebra.jpg": b"not an image"})
    assert "dog/zebra.jpg" in refusal(capsys, 4, *arguments)
    assert not store.exists()
    outcome = command(capsys, *arguments, "--skip-corrupt")
    assert outcome.code == 0, outcome.err
    assert "skipped: 1 (first: " in outcome.err
    with Store(store) as made:
        assert made.provenance["skipped"] == 1
        assert "dog/zebra.jpg" in made.provenance["skipped_sources"][0]
        assert len(made.train) + len(made.test) == 40


def test_the_listing_notices_what_changed(source: Path) -> None:
    def digest() -> str:
        dataset = registry().dataset("imagefolder")
        return dataset.prepare(source, dataset.options()).sources["listing"]

    first = digest()
    assert digest() == first
    write_files(source, {"cat/000.jpg": encoded(picture(77, 95, 95))})
    second = digest()
    (source / "cat" / "001.jpg").rename(source / "dog" / "001b.jpg")
    assert len({first, second, digest()}) == 3


def test_names_that_are_not_utf8(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("prepare", "imagefolder", "--source", source, "--size", "16", "--out", tmp_path / "s.h5")
    name = os.fsencode(source / "cat") + b"/caf\xe9\n.jpg"
    with open(name, "wb") as file:  # noqa: PTH123 - a path of bytes
        file.write(encoded(picture(0)))
    outcome = command(capsys, *arguments)
    assert outcome.code == 0, outcome.err
    with open(name, "wb") as file:  # noqa: PTH123
        file.write(b"broken")
    assert r"caf\xe9\n.jpg cannot be read" in refusal(capsys, 4, *arguments, "--force")


@pytest.mark.parametrize(
    ("code", "words", "where"),
    [
        (3, "does not exist", "absent"),
        (3, "is a file, expected a folder", "photos/cat/000.jpg"),
        (3, "has no images", "empty"),
        (2, "single class folder", "single"),
        (3, "cat has no images", "hollow"),
    ],
)
def test_sources_that_do_not_fit(
    source: Path, tmp_path: Path, code: int, words: str, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    write_files(tmp_path / "single", {"cat/1.jpg": b"", "cat/2.jpg": b""})
    write_files(tmp_path / "hollow", {"dog/1.jpg": b"", "cat/notes.txt": b""})
    message = refusal(capsys, code, "prepare", "imagefolder", "--source", tmp_path / where, "--out", tmp_path / "s.h5")
    assert words in message
    assert str(tmp_path / where) in message
    assert not list(tmp_path.glob("*.h5"))


def test_without_a_source_it_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert "contextssl prepare imagefolder --source DIR" in refusal(capsys, 3, "prepare", "imagefolder")


def test_options_out_of_range(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flag, value in (("--size", "7"), ("--size", "large"), ("--test-fraction", "1"), ("--seed", "-1")):
        message = refusal(capsys, 2, "prepare", "imagefolder", "--source", source, flag, value)
        assert flag.removeprefix("--").replace("-", "_") in message


def test_an_image_is_never_written_over(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = source / "cat" / "000.jpg"
    before = image.read_bytes()
    ask = ("prepare", "imagefolder", "--source", source, "--out", image, "--force")
    assert str(image) in refusal(capsys, 2, *ask)
    assert image.read_bytes() == before


def test_a_folder_that_has_changed_is_not_passed_over(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ("prepare", "imagefolder", "--source", source, "--size", "16", "--out", tmp_path / "i.h5")
    assert command(capsys, *ask).code == 0
    assert command(capsys, *ask).code == 0
    (source / "cat" / "000.jpg").rename(source / "cat" / "zzz.jpg")
    assert "before that changed" in refusal(capsys, 2, *ask)
