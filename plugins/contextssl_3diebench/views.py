"""The views of an object: ``image_{i}.jpg`` and, next to it, ``latent_{i}.npy``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contextssl_3diebench.lists import Listed
from contextssl_3diebench.npy import read_array
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError
from contextssl_cli.files import read_error
from contextssl_cli.plugin import Samples
from contextssl_cli.plugin.sources import read_source
from contextssl_cli.store.images import decode
from contextssl_cli.text import printable

ROTATION, COLOR = slice(0, 3), [3, 6]
"""Where a latent file has the angles, and the hues of floor and light."""
LATENT_WIDTHS = (7, 9)
"""The documentation names seven numbers, the published files hold nine; the first seven are the same."""
LARGEST_LATENTS = 1 << 10
"""Bytes of the array of a latent file; nine numbers of 16 bytes have 144."""
ASKED = 25  # objects that tell how many views there are
_FILE = re.compile(r"(?:image_([0-9]+)\.jpg|latent_([0-9]+)\.npy)\Z")
_MEND = "fetch the data again, or leave such views out with --skip-corrupt"


class View(NamedTuple):
    """One image file's bytes, and the latents, (7 or 9,)."""

    image: bytes
    latents: NDArray[np.float64]


def usual_views(source: Path, objects: Sequence[Listed]) -> int:
    """How many views an object has: what most of the first objects have.

    Raises:
        DataMissingError: if there are none.
    """
    counts = Counter(len(_present(source / listed.place)) for listed in objects[:ASKED])
    most = counts.most_common(1)[0][0]
    if most == 0:
        raise DataMissingError(
            f"{printable(source / objects[0].place)} holds no image_0.jpg; --source is the folder that holds the "
            "classes' folders"
        )
    return most


def read_objects(
    source: Path, split: str, objects: Sequence[Listed], views: int, size: int, *, skip: bool
) -> Samples:  # fmt: skip
    """The views of some objects of one split.

    Args:
        source: folder of the data set.
        split: of all these objects.
        objects: to read.
        views: how many an object should have, unless the list names them.
        size: at which images are decoded, to see that they can be.
        skip: leave out views that are missing or cannot be read, and objects that then have fewer than two.

    Raises:
        DataMissingError: if an image or its latents are missing, unless ``skip``.
        CorruptFileError: if one cannot be read, or an object has one view, unless ``skip``.
    """
    kept: list[tuple[Listed, View]] = []
    skipped: list[str] = []
    for listed in objects:
        found, faults = _read_object(source / listed.place, listed, views, size, skip=skip)
        skipped += faults
        if len(found) >= 2:
            kept += [(listed, view) for view in found]
            continue
        if not skip:
            raise CorruptFileError(f"{printable(source / listed.place)} has one view, two are needed; {_MEND}")
        skipped.append(f"{printable(source / listed.place)}: fewer than two views are left")
    latents = np.array([view.latents[:7] for _, view in kept]).reshape(-1, 7)
    return Samples(
        split,
        [view.image for _, view in kept],
        labels={"class": np.array([listed.label for listed, _ in kept], dtype=np.int64)},
        latents={"rotation": latents[:, ROTATION], "color": latents[:, COLOR]},
        objects=np.array([listed.number for listed, _ in kept], dtype=np.int64),
        skipped=skipped,
    )


def read_view(folder: Path, number: int, size: int) -> View:
    """One view.

    Raises:
        DataMissingError: if the image or its latents are missing.
        CorruptFileError: if one of them cannot be read.
    """
    image, latents = folder / f"image_{number}.jpg", folder / f"latent_{number}.npy"
    try:
        data = read_source(image)
    except ContextSSLError as error:
        raise type(error)(f"{error}; {_MEND}") from error
    try:
        decode(data, size, size)
    except ValueError as error:
        raise CorruptFileError(f"{printable(image)} is no readable image ({error}); {_MEND}") from error
    return View(data, read_latents(latents))


def read_latents(path: Path) -> NDArray[np.float64]:
    """The numbers of a latent file, (7,) or (9,).

    Raises:
        CorruptFileError: if it holds something else.
        UnsafeFileError: if it declares a larger array, or is no regular file.
    """
    array = read_array(path, LARGEST_LATENTS, _MEND)
    if array.dtype.kind not in "fiu" or array.shape not in {(width,) for width in LATENT_WIDTHS}:
        raise CorruptFileError(
            f"{printable(path)} holds {array.dtype}{list(array.shape)}, expected 7 or 9 numbers; {_MEND}"
        )
    if not np.isfinite(array).all():
        raise CorruptFileError(f"{printable(path)} holds NaN or infinite values; {_MEND}")
    return np.asarray(array, dtype=np.float64)


def _read_object(folder: Path, listed: Listed, views: int, size: int, *, skip: bool) -> tuple[list[View], list[str]]:
    numbers = listed.views or sorted(_present(folder) | set(range(views)))
    found, faults = [], []
    for number in numbers:
        try:
            found.append(read_view(folder, number, size))
        except ContextSSLError as error:
            if not skip:
                raise
            faults.append(str(error).removesuffix(f"; {_MEND}"))
    return found, faults


def _present(folder: Path) -> set[int]:
    """The numbers of the images and latents in a folder; none if it is not there."""
    try:
        if not folder.is_dir():
            return set()
        matches = [_FILE.match(path.name) for path in folder.iterdir()]
    except OSError as error:
        raise read_error(folder, error) from error
    return {int(match[1] or match[2]) for match in matches if match}
