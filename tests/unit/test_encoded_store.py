"""Stores that keep images as the bytes of their files, and splits that stay on disk."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from contextssl_cli.data import rows as inputs
from contextssl_cli.errors import CorruptFileError
from contextssl_cli.store.dataset import Split, Store, create_store
from contextssl_cli.store.images import decode, decode_all
from contextssl_cli.store.samples import Samples
from contextssl_cli.store.schema import Column, Schema
from tests.tiny import image_schema

SIZE = 24


def picture(number: int, width: int = 40, height: int = 32, kind: str = "JPEG") -> bytes:
    grid = np.mgrid[0:height, 0:width].sum(0) * 3 % 256
    pixels = np.stack([grid, np.full_like(grid, 9 * number % 256), 255 - grid], axis=-1).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


PICTURES = [picture(number, kind="PNG" if number % 3 else "JPEG") for number in range(9)]


def write(path: Path, batches: list[list[bytes]], skipped: tuple[str, ...] = ()) -> Store:
    with create_store(path, image_schema(SIZE, SIZE, storage="encoded"), {}) as writer:
        for split in ("train", "test"):
            for batch in batches:
                writer.append(Samples(split, batch, skipped=skipped))
    return Store(path)


def test_images_come_back_decoded_and_fitted(tmp_path: Path) -> None:
    with write(tmp_path / "s.h5", [PICTURES]) as store:
        expected = np.stack([decode(data, SIZE, SIZE) for data in PICTURES])
        np.testing.assert_array_equal(store.train.inputs(), expected)
        np.testing.assert_array_equal(store.train.inputs(slice(2, 5)), expected[2:5])
        assert store.train.encoded(np.array([7, 1])) == [PICTURES[7], PICTURES[1]]
        assert len(store.test) == 9


def test_the_content_hash_does_not_depend_on_the_batches(tmp_path: Path) -> None:
    with write(tmp_path / "a.h5", [PICTURES]) as one, write(tmp_path / "b.h5", [PICTURES[:2], PICTURES[2:]]) as two:
        assert one.content_hash == two.content_hash
    with write(tmp_path / "c.h5", [PICTURES[::-1]]) as three:
        assert three.content_hash != one.content_hash


def test_what_was_skipped_is_counted_and_named(tmp_path: Path) -> None:
    with write(tmp_path / "s.h5", [PICTURES], skipped=("a.jpg: cut off",)) as store:
        assert store.provenance == {"skipped": 2, "skipped_sources": ["a.jpg: cut off"] * 2}


def test_a_frame_is_covered_and_its_centre_kept() -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 200
    stream = io.BytesIO()
    Image.fromarray(wide).save(stream, "PNG")
    assert (decode(stream.getvalue(), 20, 20) == 200).all()


def test_an_image_is_turned_upright_as_its_camera_noted() -> None:
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:10] = 200  # bright at the top
    upright, turned = Image.fromarray(pixels), Image.fromarray(np.rot90(pixels).copy())
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    stream, expected = io.BytesIO(), io.BytesIO()
    turned.save(stream, "PNG", exif=exif)
    upright.save(expected, "PNG")
    np.testing.assert_array_equal(decode(stream.getvalue(), 20, 20), decode(expected.getvalue(), 20, 20))


def test_many_threads_keep_the_order() -> None:
    many = [picture(number, 16, 16, "PNG") for number in range(200)]
    np.testing.assert_array_equal(decode_all(many, 16, 16), np.stack([decode(data, 16, 16) for data in many]))


@pytest.mark.parametrize("data", [b"", b"no image", PICTURES[0][:200], PICTURES[1][:80]])
def test_bytes_that_are_no_image_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(data, SIZE, SIZE)


@pytest.mark.parametrize("encoded", [True, False])
def test_a_split_on_disk_gives_what_one_in_memory_gives(
    encoded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = write(tmp_path / "s.h5", [PICTURES])
    if not encoded:
        images = store.train.inputs()
        with create_store(tmp_path / "raw.h5", image_schema(SIZE, SIZE), {}) as writer:
            for split in ("train", "test"):
                writer.append(Samples(split, images))
        store = Store(tmp_path / "raw.h5")
    rows = torch.tensor([3, 3, 0, 8])
    in_memory = inputs.inputs_of(store.train)
    monkeypatch.setattr(inputs, "MEMORY_LIMIT", 100)
    on_disk = inputs.inputs_of(store.train)
    assert isinstance(in_memory._samples, np.ndarray)
    assert isinstance(on_disk._samples, Split)
    assert torch.equal(on_disk[rows], in_memory[rows])
    assert torch.equal(inputs.Subset(on_disk, rows)[torch.tensor([3, 0])], in_memory[torch.tensor([8, 3])])


def test_a_damaged_image_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = write(tmp_path / "s.h5", [[*PICTURES[:8], b"no image"]])
    with pytest.raises(CorruptFileError, match=r"s\.h5.*image 8"):
        inputs.inputs_of(store.train)
    monkeypatch.setattr(inputs, "MEMORY_LIMIT", 100)
    with pytest.raises(CorruptFileError, match=r"s\.h5.*image 1"):
        inputs.inputs_of(store.train)[torch.tensor([0, 8])]


def test_a_wide_table_has_room_for_its_schema(tmp_path: Path) -> None:
    columns = tuple(Column(name=f"column {n}" * 9, kind="numeric", start=n, stop=n + 1) for n in range(900))
    schema = Schema(dataset="wide", modality="table", shape=(900,), dtype="float32", columns=columns)
    with create_store(tmp_path / "w.h5", schema, {}) as writer:
        for split in ("train", "test"):
            writer.append(Samples(split, np.zeros((2, 900), np.float32)))
    assert Store(tmp_path / "w.h5").schema == schema
