"""Images that a store keeps as the bytes of their files."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORKERS = min(8, os.cpu_count() or 1)
"""Threads that decode: Pillow lets go of the interpreter's lock while it does."""
_BLOCK = 64  # images a thread takes at a time


def decode(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """One image file as (height, width, 3) RGB.

    The image is turned upright as its camera noted (EXIF), scaled until it covers the frame, and its centre is cut
    out. A JPEG that is much larger is decoded at a half, a quarter or an eighth of its size, which costs a fraction of
    the time.

    Raises:
        ValueError: if the bytes are no image, or cut off.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (width, height))  # of a JPEG: the smallest scale that still covers the frame
            fitted: Any = ImageOps.exif_transpose(image).convert("RGB")
            if fitted.size != (width, height):
                fitted = ImageOps.fit(fitted, (width, height), Image.Resampling.BILINEAR)
            return np.asarray(fitted, dtype=np.uint8)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error


def decode_all(files: Sequence[bytes], height: int, width: int) -> NDArray[np.uint8]:
    """Many image files as (N, height, width, 3), decoded by several threads; the order is kept.

    Raises:
        ValueError: if one of them is no image; its number is named.
    """
    images = np.empty((len(files), height, width, 3), np.uint8)

    def fill(start: int) -> None:
        for row in range(start, min(start + _BLOCK, len(files))):
            try:
                images[row] = decode(files[row], height, width)
            except ValueError as error:
                raise ValueError(f"image {row}: {error}") from error

    blocks = range(0, len(files), _BLOCK)
    if len(blocks) < 2:
        for start in blocks:
            fill(start)
        return images
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(fill, blocks))
    return images
