"""Reading a block of image files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.errors import ContextSSLError, CorruptFileError
from contextssl_cli.plugin import Samples
from contextssl_cli.store.images import fit, is_upright, open_image, read_file, reading_image

_PLAIN = ("1", "L", "P", "RGB", "CMYK", "YCbCr")  # modes that every decoder turns into the same RGB


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
        DataMissingError: if a file cannot be read; it is named.
        UnsafeFileError: if it is a FIFO or a device.
        CorruptFileError: if it is no image, or none of the files can be read.
    """
    kept: list[Any] = []
    codes: list[int] = []
    skipped: list[str] = []
    for path, code in images:
        try:
            with reading_image(path):
                data = read_file(path)
                picture, as_it_is = read_image(data, size)
        except ContextSSLError as error:
            if not skip_corrupt:
                raise type(error)(f"{error}; replace it, or leave it out with --skip-corrupt") from error
            skipped.append(str(error))
            continue
        kept.append((data if as_it_is else as_png(picture)) if encoded else picture)
        codes.append(code)
    if not kept:
        raise CorruptFileError(f"none of {len(skipped)} images can be read; the first: {skipped[0]}")
    labels = {"class": np.array(codes, np.int64)} if labelled else {}
    return Samples(split, kept if encoded else np.stack(kept), labels=labels, skipped=skipped)


def read_image(data: bytes, size: int) -> tuple[NDArray[np.uint8], bool]:
    """One image file as (size, size, 3) RGB, and whether a store can keep the file as it is.

    A store keeps JPEG and PNG files. Those that have more than 8 bits, transparent parts or a turn noted by the camera
    are kept as the result, so that any reader of the store gets the same from it.

    Raises:
        ValueError: if it is not an image, is cut off, or has too many pixels or bits.
    """
    image = open_image(data, enough=(size, size))
    as_it_is = (
        image.format in ("JPEG", "PNG")
        and image.mode in _PLAIN
        and not image.has_transparency_data
        and is_upright(image)
    )
    return fit(image, size, size), as_it_is


def as_png(picture: NDArray[np.uint8]) -> bytes:
    """The bytes of a PNG file of (height, width, 3) RGB."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
