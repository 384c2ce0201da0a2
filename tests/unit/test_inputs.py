"""What ``adapt --input`` makes of a folder of images: the same files and the same pixels as ``prepare imagefolder``."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from contextssl_cli.adaptation.inputs import read_inputs
from contextssl_cli.data.rows import whole
from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.errors import CorruptFileError, DataMissingError, UnsafeFileError, UsageError
from contextssl_cli.store.images import decode
from tests.small_images import encoded, picture, write_files
from tests.tiny import image_schema, table_schema

SCHEMA = image_schema(16, 16)
GOOD = {f"{name}.png": encoded(picture(number), "PNG") for number, name in enumerate(("a", "deep/b", "deep/er/c", "d"))}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_files(tmp_path / "photos", GOOD)


def test_rows_are_in_the_order_of_the_names(photos: Path) -> None:
    found = read_inputs(photos, SCHEMA)
    assert found.names == ("a.png", "d.png", "deep/b.png", "deep/er/c.png")
    expected = np.stack([decode(GOOD[name], 16, 16) for name in found.names])
    assert torch.equal(whole(found.rows), to_tensor(expected, SCHEMA))
    assert not found.notes


def test_linked_folders_are_followed_and_loops_end(photos: Path, tmp_path: Path) -> None:
    outside = write_files(tmp_path / "outside", {"e.png": encoded(picture(9), "PNG")})
    (photos / "link").symlink_to(outside)
    (photos / "deep" / "up").symlink_to(photos)
    (photos / "deep" / "er" / "here").symlink_to(photos / "deep")
    (photos / "loop").symlink_to(photos / "loop")
    found = read_inputs(photos, SCHEMA)
    assert found.names == ("a.png", "d.png", "deep/b.png", "deep/er/c.png", "link/e.png")


@pytest.mark.parametrize(
    "path", ["@eaDir/a.png/THUMB.jpg", "__MACOSX/._a.png", "deep/._b.png", "#recycle/x.gif", ".git/y.png"]
)
def test_system_files_are_left_out_and_counted(photos: Path, path: str) -> None:
    write_files(photos, {path: b"no image"})
    found = read_inputs(photos, SCHEMA)
    assert len(found.names) == 4
    assert [value[:2] for value in found.notes.values()] == ["1 "]


def odd(path: Path, kind: str) -> None:
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "link to nothing":
        path.symlink_to("nowhere")
    elif kind == "text":
        path.write_text("no image")
    elif kind == "EPS":
        picture(0).save(path, "EPS")
    elif kind == "cut off":
        path.write_bytes(encoded(picture(0), "PNG")[:90])
    else:
        Image.fromarray(np.ones((8, 8), np.float32)).save(path, "TIFF")


ODD = {
    "FIFO": UnsafeFileError,
    "device": UnsafeFileError,
    "link to nothing": DataMissingError,
    "text": CorruptFileError,
    "EPS": CorruptFileError,
    "cut off": CorruptFileError,
    "floating point": CorruptFileError,
}


@pytest.mark.parametrize("kind", ODD)
def test_what_cannot_be_read_is_named_or_left_out(photos: Path, kind: str) -> None:
    before = read_inputs(photos, SCHEMA)
    odd(photos / "c.png", kind)
    with pytest.raises(ODD[kind], match=r"c\.png.*--skip-corrupt") as caught:
        whole(read_inputs(photos, SCHEMA).rows)
    assert type(caught.value) is ODD[kind]
    found = read_inputs(photos, SCHEMA, skip_corrupt=True)
    assert found.names == before.names
    assert torch.equal(whole(found.rows), whole(before.rows))
    (reason,) = found.skipped
    assert str(photos / "c.png") in reason


def test_a_folder_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.png": b"", "b.png": b"x"})
    with pytest.raises(CorruptFileError, match=r"a\.png"):
        read_inputs(tmp_path, SCHEMA, skip_corrupt=True)


@pytest.mark.parametrize("kind", ["file", "FIFO", "nothing", "empty folder"])
def test_skip_corrupt_is_for_folders(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mine.npy"
    if kind == "file":
        np.save(path, np.zeros((2, 16, 16, 3)))
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "empty folder":
        path.mkdir()
    errors = {"file": UsageError, "FIFO": UnsafeFileError}
    with pytest.raises(errors.get(kind, DataMissingError), match="mine"):
        read_inputs(path, SCHEMA, skip_corrupt=True)


def test_a_name_that_is_not_utf8_is_escaped(photos: Path) -> None:
    with open(os.fsencode(photos) + b"/caf\xe9\n.png", "wb") as file:  # noqa: PTH123 - a path of bytes
        file.write(GOOD["a.png"])
    assert "caf\\xe9\n.png" in read_inputs(photos, SCHEMA).names


def test_transparent_and_deep_images_are_read_as_prepare_does(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(ramp * 257).save(tmp_path / "a.png")
    Image.new("RGBA", (16, 16), (9, 9, 9, 0)).save(tmp_path / "b.png")
    inputs = whole(read_inputs(tmp_path, SCHEMA).rows)
    assert torch.equal(inputs[0, 0], torch.from_numpy(ramp.astype(np.float32)) / 255)
    assert (inputs[1] == 1).all()


def test_a_model_of_grey_images(photos: Path) -> None:
    assert whole(read_inputs(photos, image_schema(16, 16, shape=(16, 16, 1))).rows).shape == (4, 1, 16, 16)


def test_a_model_of_tables_takes_no_folder(photos: Path) -> None:
    with pytest.raises(CorruptFileError, match="table"):
        read_inputs(photos, table_schema())


def test_arrays_without_samples_or_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "none.npz")
    np.savez(tmp_path / "many.npz", **{f"a{number}": np.zeros(2) for number in range(50)})
    for name in ("none.npz", "many.npz"):
        with pytest.raises(CorruptFileError, match="named x") as caught:
            read_inputs(tmp_path / name, SCHEMA)
        assert len(str(caught.value)) < 300
    np.save(tmp_path / "empty.npy", np.zeros((0, 16, 16, 3)))
    with pytest.raises(DataMissingError, match="no samples"):
        read_inputs(tmp_path / "empty.npy", SCHEMA)


def test_suffixes_in_capitals(tmp_path: Path) -> None:
    with (tmp_path / "MINE.NPY").open("wb") as stream:
        np.save(stream, np.zeros((2, 16, 16, 3)))
    assert len(read_inputs(tmp_path / "MINE.NPY", SCHEMA)) == 2
