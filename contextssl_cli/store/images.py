"""Image files: opening them safely, and fitting them to the frame of a model's input."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from contextssl_cli import files
from contextssl_cli.cpus import cpu_count
from contextssl_cli.errors import ContextSSLError, CorruptFileError
from contextssl_cli.text import printable

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
"""Of the image files in a folder, in lower case."""
MAX_PIXELS = 2**27
"""Of one image, in width times height: 134 million. Decoded it takes half a gibibyte, at Pillow's 4 bytes a pixel, and
three times as much while transparent parts are laid over white."""
MAX_BYTES = 2**30
"""Of one file: as much as ``MAX_PIXELS`` take where nothing is compressed, at 8 bytes a pixel."""
_READERS: dict[str, tuple[type[ImageFile.ImageFile], bytes]] = {
    "JPEG": (JpegImagePlugin.JpegImageFile, rb"\xff\xd8\xff"),
    "PNG": (PngImagePlugin.PngImageFile, rb"\x89PNG\r\n\x1a\n"),
    "WEBP": (WebPImagePlugin.WebPImageFile, rb"RIFF....WEBP"),
    "GIF": (GifImagePlugin.GifImageFile, rb"GIF8[79]a"),
    "BMP": (BmpImagePlugin.BmpImageFile, rb"BM"),
    "TIFF": (TiffImagePlugin.TiffImageFile, rb"II[*+]\0|MM\0[*+]"),
}
"""By format, the reader and a pattern for how a file begins."""
FORMATS = tuple(_READERS)
"""The formats that are read. Pillow knows others; some of them start other programs, as EPS does Ghostscript."""
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # TIFF
_MAX_COVERAGE = 8  # how many times the pieces of a file may cover its image: once for each of a TIFF's planes
_ORIENTATION = 0x0112  # EXIF
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DEEP = ("I", "I;16", "I;16B", "I;16L")
_WHITE = (255, 255, 255, 255)
_MAX_SCANS = 100
"""Of a JPEG. Encoders write about ten; each costs the time of a pass over the image, and a hundred bytes can be one."""
_JPEG_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")  # in a scan, all else after 0xff belongs to the scan
_SCAN, _END = 0xDA, 0xD9
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_MAX_TEXT = 2**20  # bytes of all texts of a PNG together; Pillow refuses a file with a longer one
_MAX_THREADS = 8  # Pillow lets go of the interpreter's lock while it decodes
_BLOCK = 64  # images a thread takes at a time


def open_image(data: bytes, *, formats: Sequence[str] = FORMATS, enough: tuple[int, int] | None = None) -> Image.Image:
    """Decode an image file. Every image that this program reads comes through here.

    The format is recognised by the content. Of an animation or a file of several pages the first is decoded.

    Args:
        data: the bytes of the file.
        formats: which of ``FORMATS`` are expected.
        enough: width and height in pixels that suffice. A JPEG that is much larger is decoded at a half, a quarter or
            an eighth of its size, which costs a fraction of the time.

    Returns:
        The image with its pixels loaded, in the mode of the file.

    Raises:
        ValueError: if the file is of no expected format, is damaged or cut off, or has more than ``MAX_PIXELS``. The
            message continues a sentence that begins with the name of the file.
    """
    name = next((name for name in formats if re.match(_READERS[name][1], data, re.DOTALL)), None)
    if name is None:
        raise ValueError(f"it is not a {' or '.join(filter(None, [', '.join(formats[:-1]), formats[-1]]))} file")
    if name == "PNG":
        data = _without_long_texts(data)
    if name == "JPEG" and _scans(data) > _MAX_SCANS:
        raise ValueError(f"it is damaged: it has more than {_MAX_SCANS} scans")
    try:
        if name == "WEBP":
            _check_pixels(_webp_canvas(data))  # Pillow takes memory for the canvas when it opens the file
        # Not Image.open: its bound on pixels is a setting of the process, and from half of it on it warns.
        image = _READERS[name][0](io.BytesIO(data))
        _check_size(image)
        if enough:
            image.draft("RGB", enough)
        image.load()
    except _RefusedError:
        raise
    except Exception as error:  # what a damaged image raises is not limited to anything
        reason = printable(str(error) or type(error).__name__)
        raise ValueError(f"it is damaged or cut off: {reason}") from error
    return image


def read_file(path: str | Path) -> bytes:
    """The bytes of an image file.

    Raises:
        DataMissingError: if it does not exist or cannot be read.
        UnsafeFileError: if it is a folder, a FIFO, a socket or a device.
        ValueError: if it has more than ``MAX_BYTES``.
    """
    path = Path(path)
    size = files.check_input(path, "an image").stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"it has {size:,} bytes, more than {MAX_BYTES:,}")
    return files.read_bytes(path)


@contextmanager
def reading_image(path: str | Path) -> Iterator[None]:
    """Around reading an image file: a ``ValueError`` becomes a CorruptFileError that names it."""
    try:
        yield
    except ValueError as error:
        raise CorruptFileError(f"{printable(path)} cannot be read as an image ({error})") from error


class _RefusedError(ValueError):
    pass


def _check_pixels(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise _RefusedError(f"it has {width} x {height} pixels, more than {MAX_PIXELS:,}: scale it down")


def _webp_canvas(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP file, from its first chunk; 0 x 0 if that is cut off or of another kind."""
    kind, begin = data[12:16], data[20:30].ljust(10, b"\0")
    if kind == b"VP8X":
        return 1 + int.from_bytes(begin[4:7], "little"), 1 + int.from_bytes(begin[7:10], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(begin[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(begin[6:8], "little") & 0x3FFF, int.from_bytes(begin[8:10], "little") & 0x3FFF
    return 0, 0


def _check_size(image: ImageFile.ImageFile) -> None:
    """Refuse what would take too much memory or time, before it is decoded."""
    sizes = [image.size]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        sizes.append((image.tag_v2.get(_TILE_WIDTH, 1), image.tag_v2.get(_TILE_LENGTH, 1)))
    for size in sizes:
        _check_pixels(size)
    areas = [tile[1] or (0, 0, 0, 0) for tile in image.tile]
    covered = sum((right - left) * (bottom - top) for left, top, right, bottom in areas)
    if covered > _MAX_COVERAGE * image.width * image.height:
        raise _RefusedError("it is damaged: its parts overlap")


def _scans(data: bytes) -> int:
    """How many scans a JPEG has, up to its end; what follows, as the film of a phone's camera, does not count."""
    found = place = 0
    while found <= _MAX_SCANS and (marker := _JPEG_MARKER.search(data, place)):
        kind, place = data[marker.end() - 1], marker.end()
        if kind == _END:
            break
        if kind != 0xD8:  # the beginning has no content
            place += int.from_bytes(data[place : place + 2], "big")
        found += kind == _SCAN
    return found


def _without_long_texts(data: bytes) -> bytes:
    """A PNG without colour profiles, and without the texts for which Pillow would refuse it. No pixel changes."""
    kept, start, budget = [data[:8]], 8, _MAX_TEXT
    while start + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        if kind in _PNG_TEXTS and budget >= 0:  # unpacking thousands of them takes minutes
            budget -= _text_size(kind, data[start + 8 : end - 4])
        if kind != b"iCCP" and (kind not in _PNG_TEXTS or budget >= 0):
            kept.append(data[start:end])
        start = end
    return b"".join(kept)


def _text_size(kind: bytes, chunk: bytes) -> int:
    """Bytes of a text when it is unpacked; only as much is unpacked as shows that it is too long."""
    if kind == b"tEXt":
        return len(chunk)
    _, _, rest = chunk.partition(b"\0")
    if kind == b"iTXt":
        if rest[:1] != b"\1":
            return len(chunk)
        rest = rest.split(b"\0", 3)[-1]  # compression method, language and translated keyword come first
    try:
        return len(zlib.decompressobj().decompress(rest[kind == b"zTXt" :], _MAX_TEXT + 1))
    except zlib.error:
        return _MAX_TEXT + 1


def is_upright(image: Image.Image) -> bool:
    """Whether the camera noted no turn (EXIF)."""
    return _orientation(image) not in _TRANSPOSITIONS


def _orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(_ORIENTATION)
    except Exception:  # damaged EXIF changes no pixel
        return None


def fit(image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
    """An image as (height, width, 3) RGB.

    It is turned upright as its camera noted (EXIF), laid over white where it is transparent, scaled from 16 bits to 8,
    and converted to RGB without colour profiles. Then it is scaled until it covers the frame, and its centre is cut
    out.

    Raises:
        ValueError: if it has no 8 or 16 bits a channel.
    """
    method = _TRANSPOSITIONS.get(_orientation(image))  # type: ignore[call-overload]
    upright = image if method is None else image.transpose(method)
    rgb = _rgb(upright)
    if rgb.size != (width, height):
        rgb = ImageOps.fit(rgb, (width, height), Image.Resampling.BILINEAR)
    return np.asarray(rgb, dtype=np.uint8)


def _rgb(image: Image.Image) -> Image.Image:
    """An image of any mode as RGB."""
    if image.mode in _DEEP:
        values = np.asarray(image).astype(np.int32)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its values do not fit into 16 bits")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("it has floating-point values, expected 8 or 16 bits")
    if image.has_transparency_data:
        layer = image if image.mode == "RGBA" else image.convert("RGBA")  # which copies
        return Image.alpha_composite(Image.new("RGBA", layer.size, _WHITE), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def decode(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """One image file as (height, width, 3) RGB: ``open_image``, then ``fit``.

    Raises:
        ValueError: if the bytes are no image, are cut off, or have too many pixels or bits.
    """
    side = max(height, width)  # of a camera's turned image, either may be the height
    return fit(open_image(data, enough=(side, side)), height, width)


def decode_all(encoded: Sequence[bytes], height: int, width: int) -> NDArray[np.uint8]:
    """Many image files as (N, height, width, 3), decoded by several threads; the order is kept.

    Raises:
        ValueError: if one of them is no image; its number is named.
    """
    images = np.empty((len(encoded), height, width, 3), np.uint8)

    def read(row: int) -> None:
        try:
            images[row] = decode(encoded[row], height, width)
        except ValueError as error:
            raise ValueError(f"image {row}: {error}") from error

    _in_threads(len(encoded), read)
    return images


def decode_files(
    paths: Sequence[str], shape: tuple[int, ...], failed: dict[str, str] | None = None
) -> NDArray[np.uint8]:
    """As ``decode_all``, from paths, as (N, *shape); in shades of grey where ``shape`` has one channel.

    Reasons of files that cannot be read go to ``failed``, by path, if it is given.

    Raises:
        ContextSSLError: naming a file that cannot be read, if ``failed`` is not given.
    """
    height, width, channels = shape
    images = np.empty((len(paths), *shape), np.uint8)

    def read(row: int) -> None:
        try:
            with reading_image(paths[row]):
                image = decode(read_file(paths[row]), height, width)
        except ContextSSLError as error:
            if failed is None:
                raise
            failed[paths[row]] = str(error)
            return
        images[row] = image if channels == 3 else np.asarray(Image.fromarray(image).convert("L"))[..., None]

    _in_threads(len(paths), read)
    return images


def _in_threads(count: int, do: Callable[[int], None]) -> None:
    """Call ``do`` for 0 to ``count`` - 1, in blocks of numbers that several threads take."""

    def block(start: int) -> None:
        for row in range(start, min(start + _BLOCK, count)):
            do(row)

    blocks = range(0, count, _BLOCK)
    if len(blocks) < 2:  # a small batch of training: no threads are started for it
        for start in blocks:
            block(start)
        return
    with ThreadPoolExecutor(min(_MAX_THREADS, cpu_count())) as pool:
        list(pool.map(block, blocks))
