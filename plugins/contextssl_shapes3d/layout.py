"""The files of 3DIEBench's layout: ``<class>/<object>/image_{i}.jpg`` with ``latent_{i}.npy`` next to it, and lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contextssl_cli import paths
from contextssl_cli.errors import UsageError
from contextssl_cli.files import atomic
from contextssl_shapes3d.mesh import Floats
from contextssl_shapes3d.plan import Plan
from contextssl_shapes3d.render import Bytes

LISTS = {"train": "train", "test": "val"}
"""The original's name for each split."""
QUALITY = 95  # of the JPEGs, as OpenCV writes them by default
NOTE = """Rendered by `contextssl prepare shapes3d --layout 3diebench`.
These are procedural solids in 3DIEBench's format. They are not 3DIEBench, and figures on them are not figures on it.
"""


def start_layout(folder: Path, plan: Plan) -> None:
    """Write the lists, and a note that says what this is.

    Raises:
        UsageError: if the folder holds anything but an earlier start of the same plan.
    """
    lists = _lists(plan)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not _holds(folder, lists):
        raise UsageError(f"--layout-dir {folder} holds something else than these objects; name a new folder")
    paths.make_folder(folder)
    for name, array in lists.items():
        with atomic(folder / name) as temporary, temporary.open("wb") as stream:
            np.save(stream, array)
    (folder / "README.txt").write_text(NOTE, encoding="utf-8")


def write_object(folder: Path, plan: Plan, number: int, images: Bytes, latents: Floats) -> None:
    """Write the views of one object.

    Args:
        folder: of the layout.
        plan: of the data set.
        number: of the object.
        images: (views, size, size, 3).
        latents: (views, 7).
    """
    from PIL import Image

    place = folder / _place(plan, number)[1:]
    place.mkdir(parents=True, exist_ok=True)
    for view, (image, row) in enumerate(zip(images, latents, strict=True)):
        Image.fromarray(image).save(place / f"image_{view}.jpg", quality=QUALITY)
        np.save(place / f"latent_{view}.npy", row)


def _lists(plan: Plan) -> dict[str, NDArray[np.str_] | NDArray[np.int64]]:
    arrays: dict[str, NDArray[np.str_] | NDArray[np.int64]] = {}
    for split, numbers in plan.splits.items():
        arrays[f"{LISTS[split]}_images.npy"] = np.array([_place(plan, number) for number in numbers])
        arrays[f"{LISTS[split]}_labels.npy"] = np.array([plan.label(number) for number in numbers])
    return arrays


def _holds(folder: Path, lists: dict[str, NDArray[np.str_] | NDArray[np.int64]]) -> bool:
    try:
        return all(np.array_equal(np.load(folder / name), array) for name, array in lists.items())
    except (OSError, ValueError):
        return False


def _place(plan: Plan, number: int) -> str:
    """As the original lists write it, with a slash in front."""
    return f"/{plan.family(number)}/{number:06}"
