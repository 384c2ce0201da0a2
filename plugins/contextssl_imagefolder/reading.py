"""Reading a block of image files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.plugin import Samples
from contextssl_cli.store.images import decode
from contextssl_cli.text import printable

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_ORIENTATION = 0x0112  # EXIF
_PLAIN = ("1", "L", "P", "RGB", "CMYK", "YCbCr")  # modes that the store's decoder turns into RGB as it should
_DEEP = ("I", "I;16", "I;16B", "I;16L")
_WHITE = (255, 255, 255, 255)


def read_block(
    split: str, images: Sequence[tuple[str, int]], size: int, *, labelled: bool, encoded: bool, skip_corrupt: bool
) -> Samples:
    """The samples of one block.

    Args:
        split: of the block.
        images: path and class code of each image.
        size: height and width in the store.
        labelled: whether there are classes.
        encoded: whether the store keeps files.
        skip_corrupt: leave out what cannot be read, and say so in the samples.

    Raises:
        CorruptFileError: naming the first image that cannot be read; or if none can.
    """
    kept: list[Any] = []
    codes: list[int] = []
    skipped: list[str] = []
    for path, code in images:
        try:
            data = Path(path).read_bytes()
            picture, as_it_is = read_image(data, size)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            if not skip_corrupt:
                raise CorruptFileError(
                    f"{printable(path)} cannot be read ({reason}); mend it, or leave it out with --skip-corrupt"
                ) from error
            skipped.append(f"{printable(path)}: {reason}")
            continue
        kept.append((data if as_it_is else as_png(picture)) if encoded else picture)
        codes.append(code)
    if not kept:
        raise CorruptFileError(f"none of {len(skipped)} images can be read; the first: {skipped[0]}")
    labels = {"class": np.array(codes, np.int64)} if labelled else {}
    return Samples(split, kept if encoded else np.stack(kept), labels=labels, skipped=skipped)


def read_image(data: bytes, size: int) -> tuple[NDArray[np.uint8], bool]:
    """One image file as (size, size, 3) RGB, and whether the store's decoder gives the same from the file as it is.

    The image is turned upright as its EXIF orientation says, laid over white where it is transparent, scaled from 16
    bits to 8, and converted to RGB without colour profiles. Then it is scaled until it covers the frame, and its
    centre is cut out. Of an animation, the first frame is taken.

    Raises:
        ValueError: if it is not an image, cut off, or has no 8 or 16 bits a channel.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if _is_plain(image):
                return decode(data, size, size), True
            image.draft("RGB", (size, size))
            upright = _rgb(ImageOps.exif_transpose(image))
            return np.asarray(ImageOps.fit(upright, (size, size), Image.Resampling.BILINEAR)), False
    except UnidentifiedImageError as error:
        raise ValueError("it is no image, or of a kind that is not read") from error
    except Exception as error:  # what a damaged image raises is not limited to anything
        raise ValueError(str(error) or type(error).__name__) from error


def as_png(picture: NDArray[np.uint8]) -> bytes:
    """The bytes of a PNG file of (height, width, 3) RGB."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _is_plain(image: Any) -> bool:
    return (
        image.format in ("JPEG", "PNG")
        and image.mode in _PLAIN
        and "transparency" not in image.info
        and image.getexif().get(_ORIENTATION, 1) == 1
    )


def _rgb(image: Any) -> Any:
    """An image of any mode as RGB."""
    from PIL import Image

    if image.mode in _DEEP:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its values do not fit into 16 bits")
        return Image.fromarray((values / 257).round().astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("it has floating-point values, expected 8 or 16 bits")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, _WHITE), layer).convert("RGB")
    return image.convert("RGB")
