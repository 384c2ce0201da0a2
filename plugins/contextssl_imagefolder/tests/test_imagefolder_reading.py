"""Images of every kind become RGB as the page says; what cannot be read is named."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contextssl_cli.errors import CorruptFileError, DataMissingError, UnsafeFileError
from contextssl_cli.store.images import MAX_BYTES, decode
from contextssl_imagefolder.reading import read_block, read_image
from tests.small_images import encoded, picture, write_files


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def close(found: np.ndarray, expected: np.ndarray | Image.Image, tolerance: float = 3) -> bool:
    return float(np.abs(found.astype(int) - np.asarray(expected).astype(int)).mean()) < tolerance


def test_plain_files_are_kept_as_they_are() -> None:
    for data in (encoded(picture(0)), encoded(picture(0), "PNG"), encoded(picture(0, mode="L")),
                 encoded(picture(0, mode="CMYK")), saved(picture(0, mode="P"), "PNG")):  # fmt: skip
        found, as_it_is = read_image(data, 16)
        assert as_it_is
        assert np.array_equal(found, decode(data, 16, 16))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "1", "P"])
def test_colours_of_every_mode(mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    found, _ = read_image(saved(picture(3, 16, 16, mode), kind), 16)
    expected = picture(3, 16, 16, mode).convert("RGB")
    assert found.shape == (16, 16, 3)
    assert close(found, expected, 1)


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "BMP", "TIFF"])
def test_other_formats_are_read_and_not_kept(kind: str) -> None:
    found, as_it_is = read_image(saved(picture(4), kind), 32)
    assert not as_it_is
    assert close(found, picture(4), 12 if kind == "GIF" else 6)


def test_16_bits_become_8() -> None:
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    for kind in ("PNG", "TIFF"):
        found, as_it_is = read_image(saved(Image.fromarray(ramp), kind), 16)
        assert not as_it_is
        assert np.array_equal(found[..., 0], ramp // 257)
        assert np.array_equal(found[..., 0], found[..., 2])


def test_transparent_parts_become_white() -> None:
    image = picture(5).convert("RGBA")
    alpha = np.zeros((32, 32), np.uint8)
    alpha[:, 16:] = 255
    image.putalpha(Image.fromarray(alpha))
    found, as_it_is = read_image(saved(image, "PNG"), 32)
    assert not as_it_is
    assert (found[:, :16] == 255).all()
    assert np.array_equal(found[:, 16:], np.asarray(picture(5))[:, 16:])
    palette = picture(5, mode="P")
    colour = np.asarray(palette)[3, 3]
    found, _ = read_image(saved(palette, "PNG", transparency=int(colour)), 32)
    assert (found[np.asarray(palette) == colour] == 255).all()
    assert not (found == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_undone(orientation: int, kind: str) -> None:
    upright = np.zeros((32, 32, 3), np.uint8)
    upright[:16, :16], upright[:16, 16:], upright[16:, :16] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    # How a camera stores it: the transposition that the orientation says to undo.
    store = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    image = Image.fromarray(upright)
    if orientation > 1:
        image = image.transpose(Image.Transpose(store[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found, as_it_is = read_image(saved(image, kind, exif=exif), 32)
    assert as_it_is == (orientation == 1 and kind != "TIFF")
    assert close(found, upright, 8)


def test_the_centre_is_cut_out_of_a_long_image() -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 200
    for data in (saved(Image.fromarray(wide), "PNG"), saved(Image.fromarray(wide), "BMP")):
        assert (read_image(data, 20)[0] == 200).all()


def test_small_images_are_enlarged() -> None:
    assert read_image(encoded(picture(1, 5, 9)), 32)[0].shape == (32, 32, 3)


JPEG = encoded(picture(6, 200, 200))
CORRUPT = {
    "empty": (b"", "it is not a JPEG"),
    "text": (b"not an image at all", "it is not a JPEG"),
    "cut off": (JPEG[:-500], "truncated"),
    "cut off early": (JPEG[:100], ""),
    "a broken PNG": (encoded(picture(6), "PNG")[:-300], ""),
    "floating-point values": (saved(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"), "floating-point"),
    "32 bits": (saved(Image.fromarray(np.full((8, 8), 70000, np.int32)), "TIFF"), "16 bits"),
}


@pytest.mark.parametrize("fault", CORRUPT)
@pytest.mark.parametrize("keep", [False, True])
def test_a_corrupt_image_is_named_or_left_out(tmp_path: Path, fault: str, keep: bool) -> None:
    data, words = CORRUPT[fault]
    write_files(tmp_path, {"good.jpg": JPEG, "bad.jpg": data, "more.jpg": JPEG})
    images = [(str(tmp_path / name), code) for code, name in enumerate(("good.jpg", "bad.jpg", "more.jpg"))]
    with pytest.raises(CorruptFileError, match=r"bad\.jpg.*--skip-corrupt") as caught:
        read_block("train", images, 32, labelled=True, encoded=keep, skip_corrupt=False)
    assert words in str(caught.value)
    samples = read_block("train", images, 32, labelled=True, encoded=keep, skip_corrupt=True)
    assert len(samples.inputs) == 2
    assert samples.labels["class"].tolist() == [0, 2]
    assert len(samples.skipped) == 1
    assert samples.skipped[0].startswith(str(tmp_path / "bad.jpg"))
    with pytest.raises(CorruptFileError, match="none of 1 images"):
        read_block("train", images[1:2], 32, labelled=True, encoded=keep, skip_corrupt=True)


def odd_file(path: Path, kind: str) -> None:
    """Something that has the name of an image and cannot be read as a file."""
    if kind == "link to nothing":
        path.symlink_to(path.with_name("nowhere"))
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(path))  # the path of a socket has to be short
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(MAX_BYTES + 1)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("link to nothing", DataMissingError),
        ("link to itself", DataMissingError),
        ("FIFO", UnsafeFileError),
        ("socket", UnsafeFileError),
        ("device", UnsafeFileError),
        ("too large", CorruptFileError),
    ],
)
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path: Path, kind: str, error: type[Exception]) -> None:
    odd_file(tmp_path / "odd.jpg", kind)
    write_files(tmp_path, {"good.jpg": JPEG})
    images = [(str(tmp_path / name), 0) for name in ("good.jpg", "odd.jpg")]
    with pytest.raises(error, match=r"odd.jpg.*--skip-corrupt") as caught:
        read_block("train", images, 8, labelled=True, encoded=False, skip_corrupt=False)
    assert type(caught.value) is error
    samples = read_block("train", images, 8, labelled=True, encoded=False, skip_corrupt=True)
    assert (len(samples.inputs), len(samples.skipped)) == (1, 1)
