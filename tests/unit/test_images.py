"""Every image file is opened by one function, which limits formats, pixels, frames and texts."""

from __future__ import annotations

import io
import struct
import subprocess
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, PngImagePlugin
from PIL.PngImagePlugin import PngInfo

from contextssl_cli.store import images
from contextssl_cli.store.images import FORMATS, MAX_PIXELS, decode, is_upright, open_image
from tests.small_images import picture


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(*chunks: bytes) -> bytes:
    """A picture with more chunks after its header."""
    data = saved(picture(0), "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def tiff(*tags: tuple[int, int, int], data: bytes = b"") -> bytes:
    """A TIFF of (tag, type, value); ``data`` begins at byte 8."""
    start = 8 + len(data)
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in sorted(tags))
    return b"II*\0" + struct.pack("<I", start) + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def declared(kind: str, width: int, height: int) -> bytes:
    """A file of a few hundred bytes that declares this size."""
    if kind == "PNG":
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")
    if kind == "TIFF":
        tags = ((256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (279, 4, 16))
        return tiff(*tags, data=bytes(16))
    if kind == "WEBP":
        bits = (width - 1) | (height - 1) << 14
        lossless = b"VP8L" + struct.pack("<I", 10) + b"\x2f" + struct.pack("<I", bits) + bytes(5)
        return b"RIFF" + struct.pack("<I", 4 + len(lossless)) + b"WEBP" + lossless
    small = bytearray(saved(picture(0, 16, 16), kind))
    if kind == "JPEG":
        at = small.index(b"\xff\xc0") + 5
        small[at : at + 4] = struct.pack(">HH", height, width)
    elif kind == "GIF":
        at = small.index(b",", 13 + 3 * 2 ** (1 + small[10] % 8))  # behind the palette
        small[6:10] = small[at + 5 : at + 9] = struct.pack("<HH", width, height)
    else:
        small[18:26] = struct.pack("<ii", width, height)
    return bytes(small)


FOREIGN = {
    "EPS": saved(picture(0), "EPS"),
    "PostScript": b"%!PS-Adobe-3.0\n",
    "PCX": saved(picture(0), "PCX"),
    "TGA": saved(picture(0), "TGA"),
    "PPM": saved(picture(0), "PPM"),
    "ICO": saved(picture(0), "ICO"),
    "ICNS": b"icns" + bytes(60),
    "SGI": saved(picture(0), "SGI"),
    "DDS": saved(picture(0), "DDS"),
    "SPIDER": saved(picture(0).convert("F"), "SPIDER"),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
    "AVIF": b"\0\0\0\x20ftypavif" + bytes(60),
    "PSD": b"8BPS\0\1" + bytes(60),
    "WMF": b"\xd7\xcd\xc6\x9a\0\0" + bytes(60),
    "FPX and MIC": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(60),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(60),
    "PDF": saved(picture(0), "PDF"),
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "sound in RIFF": b"RIFF\x24\0\0\0WAVEfmt " + bytes(60),
    "nothing": b"",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_other_formats_are_refused_and_start_no_program(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    for owner, name in ((EpsImagePlugin, "Ghostscript"), (subprocess, "Popen"), (subprocess, "check_call")):
        monkeypatch.setattr(owner, name, lambda *arguments, **_: started.append(arguments))
    with pytest.raises(ValueError, match=r"JPEG.*TIFF"):
        decode(FOREIGN[kind], 16, 16)
    assert not started


def test_the_formats_that_are_expected_can_be_fewer() -> None:
    with pytest.raises(ValueError, match="JPEG or PNG"):
        open_image(saved(picture(0), "GIF"), formats=("JPEG", "PNG"))


@pytest.mark.parametrize("kind", FORMATS)
def test_pixels_are_bounded_whatever_pillow_allows(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    side = 12_000
    assert side**2 > MAX_PIXELS
    with pytest.raises(ValueError, match=f"{side} x {side}"):
        open_image(declared(kind, side, side))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_a_small_image_is_read_whatever_pillow_allows(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    data = saved(picture(0, 8, 8), kind)
    with warnings.catch_warnings(action="error"):
        assert open_image(data).size == (8, 8)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "WEBP"])  # whose header cannot declare none
@pytest.mark.parametrize(("width", "height"), [(0, 16), (16, 0), (0, 0)])
def test_an_image_without_pixels_is_damaged(kind: str, width: int, height: int) -> None:
    with pytest.raises(ValueError, match="it is damaged"):
        open_image(declared(kind, width, height))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_file_that_is_cut_off_is_damaged(kind: str, share: float) -> None:
    data = saved(picture(0, 64, 64), kind)
    with pytest.raises(ValueError, match="it is "):
        open_image(data[: int(share * len(data))])


@pytest.mark.parametrize(("width", "height"), [(1, 60_000), (60_000, 1), (3, 9_999)])
def test_long_thin_images_fit(width: int, height: int) -> None:
    assert (decode(saved(Image.new("RGB", (width, height), (9, 9, 9)), "PNG"), 16, 16) == 9).all()


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_the_first_frame_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    many = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.abs(decode(many, 16, 16).mean((0, 1)) - (200, 0, 0)).max() < 3


HUGE_TILES = {
    "tiles larger than the image": tiff(
        (256, 3, 16), (257, 3, 16), (258, 3, 8), (259, 3, 8), (262, 3, 1), (322, 4, 60_000), (323, 4, 60_000),
        (324, 4, 8), (325, 4, 16), data=zlib.compress(bytes(256))[:16],
    ),
    "tiles of many rows": tiff(
        (256, 3, 16), (257, 3, 16), (258, 3, 8), (259, 3, 5), (262, 3, 1), (322, 4, 16), (323, 4, 2**30),
        (324, 4, 8), (325, 4, 16), data=bytes(16),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HUGE_TILES)
def test_a_tiff_of_huge_tiles_is_refused(case: str) -> None:
    with pytest.raises(ValueError, match="more than"):
        open_image(HUGE_TILES[case])


def test_a_tiff_whose_parts_cover_it_many_times_is_refused() -> None:
    offsets, entries = 1000, ((256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1))
    body = struct.pack(f"<{offsets}I", *range(offsets))
    tags = [*entries, (273, 4, offsets, 8), (278, 3, 1, 32)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    with pytest.raises(ValueError, match="it is damaged"):
        open_image(b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory)


LONG_TEXTS = {
    "zTXt": [chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(5 * 2**20)))],
    "tEXt": [chunk(b"tEXt", b"Comment\0" + b"a" * 2**19)] * 3,
    "iTXt": [chunk(b"iTXt", b"Comment\0\1\0en\0\0" + zlib.compress(bytes(2**22)))],
    "plain iTXt": [chunk(b"iTXt", b"Comment\0\0\0\0\0" + b"a" * 2**19)] * 3,
    "many of them": [chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**19)))] * 3,
    "a colour profile": [chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(2**22)))],
    "not compressed": [chunk(b"zTXt", b"Comment\0\0" + b"not compressed")],
}


@pytest.mark.parametrize("case", LONG_TEXTS)
def test_texts_in_a_png_of_any_length_are_harmless(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_MEMORY", 2**20)  # a sixty-fourth of Pillow's own, for short files
    expected = decode(saved(picture(0), "PNG"), 16, 16)
    assert np.array_equal(decode(png_with(*LONG_TEXTS[case]), 16, 16), expected)


def test_only_as_many_texts_are_unpacked_as_show_that_they_are_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked: list[bytes] = []
    size = images._text_size

    def counted(kind: bytes, body: bytes) -> int:
        unpacked.append(kind)
        return size(kind, body)

    monkeypatch.setattr(images, "_text_size", counted)
    assert decode(png_with(*LONG_TEXTS["many of them"] * 500), 16, 16).shape == (16, 16, 3)
    assert len(unpacked) == 3


def scans_added(data: bytes, count: int) -> bytes:
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * count + data[-2:]


@pytest.mark.parametrize("after", [b"", b"\xff\xda\0\2" * 200], ids=["alone", "a film after its end"])
def test_a_progressive_jpeg_of_any_encoder_is_read(after: bytes) -> None:
    data = saved(picture(0), "JPEG", progressive=True, quality=90)
    expected = decode(data, 16, 16)
    assert np.array_equal(decode(data + after, 16, 16), expected)
    inner = b"\xff\xe1" + struct.pack(">H", 602) + b"\xff\xda\0\2" * 150  # as a preview in EXIF
    assert np.array_equal(decode(data[:2] + inner + data[2:], 16, 16), expected)


@pytest.mark.parametrize("options", [{"progressive": True}, {"progressive": True, "quality": 5}, {}])
def test_a_jpeg_of_thousands_of_scans_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="more than 100 scans"):
        decode(scans_added(saved(picture(0), "JPEG", **options), 3000), 16, 16)


def test_the_orientation_in_a_text_is_kept() -> None:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="3"/>', zip=True)
    data = saved(picture(0), "PNG", pnginfo=info)
    long = data[:33] + LONG_TEXTS["a colour profile"][0] + data[33:-12] + LONG_TEXTS["zTXt"][0] + data[-12:]
    assert not is_upright(open_image(long))
    assert np.array_equal(decode(long, 32, 32), np.asarray(picture(0))[::-1, ::-1])


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense", b"\xff" * 40])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.filterwarnings("default")
def test_damaged_exif_is_harmless(kind: str, exif: bytes) -> None:
    assert decode(saved(picture(0), kind, exif=exif), 16, 16).shape == (16, 16, 3)


def test_any_mode_becomes_rgb_with_white_behind_it() -> None:
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16)
    assert np.array_equal(decode(saved(Image.fromarray(ramp * 257), "PNG"), 16, 16)[..., 1], ramp)
    assert (decode(saved(Image.new("RGBA", (16, 16), (9, 9, 9, 0)), "PNG"), 16, 16) == 255).all()
    assert (decode(saved(Image.new("LA", (16, 16), (9, 255)), "PNG"), 16, 16) == 9).all()


@pytest.mark.parametrize("kind", ["VP8X", "VP8L", "VP8 "])
def test_the_canvas_of_a_webp_is_looked_at_before_memory_is_taken(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {
        "VP8X": bytes(4) + (59_999).to_bytes(3, "little") * 2,
        "VP8L": b"\x2f" + (16_383 | 16_383 << 14).to_bytes(4, "little"),
        "VP8 ": bytes(6) + (16_383).to_bytes(2, "little") * 2,
    }
    monkeypatch.setitem(images._READERS, "WEBP", (None, images._READERS["WEBP"][1]))  # nothing opens the file
    body = b"WEBP" + kind.encode() + (10).to_bytes(4, "little") + headers[kind]
    with pytest.raises(ValueError, match="pixels"):
        images.open_image(b"RIFF" + len(body).to_bytes(4, "little") + body)
