"""A folder of images to try things with: ``python -m contextssl_imagefolder.samples FOLDER [--sheet SHEET.png]``.

Tiles of the two photographs that scikit-learn brings (china.jpg by danielbuechele and flower.jpg by dany13, CC BY 2.0),
one class for each.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contextssl_cli import paths

TILE = 48  # pixels; no tile overlaps another
COLUMNS = 13
GAP = 6  # between the tiles of the picture


def tiles(photograph: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The whole tiles of a photograph (height, width, 3), row by row."""
    height, width, _ = photograph.shape
    return [
        photograph[top : top + TILE, left : left + TILE]
        for top in range(0, height - TILE + 1, TILE)
        for left in range(0, width - TILE + 1, TILE)
    ]


def photographs() -> dict[str, NDArray[np.uint8]]:
    """Those of scikit-learn, by name."""
    from sklearn.datasets import load_sample_images

    bunch = load_sample_images()
    return {Path(name).stem: image for name, image in zip(bunch.filenames, bunch.images, strict=True)}


def write_samples(folder: Path) -> int:
    """Write the tiles of each photograph into a folder of its name; return how many.

    Raises:
        DataMissingError: if the folder cannot be written to.
    """
    from PIL import Image

    count = 0
    for name, photograph in photographs().items():
        target = paths.make_folder(folder / name)
        for number, tile in enumerate(tiles(photograph)):
            Image.fromarray(tile).save(target / f"{number:03}.jpg", quality=95)
            count += 1
    return count


def sample_sheet() -> NDArray[np.uint8]:
    """Two rows of tiles of each photograph, (height, width, 3)."""
    frame = ((0, GAP), (0, GAP), (0, 0))
    rows = []
    for photograph in photographs().values():
        middle = [np.pad(tile, frame, constant_values=255) for tile in tiles(photograph)[2 * COLUMNS : 4 * COLUMNS]]
        rows += [np.concatenate(middle[start : start + COLUMNS], axis=1) for start in (0, COLUMNS)]
    return np.concatenate(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the folder, and a picture of some of it."""
    from PIL import Image

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the class folders are to stand")
    parser.add_argument("--sheet", type=Path, help="a PNG to write, with some of the images")
    given = parser.parse_args(arguments)
    count = write_samples(given.folder)
    if given.sheet:
        Image.fromarray(sample_sheet()).quantize(256).save(given.sheet, optimize=True)
    print(f"{given.folder}: {count} images")


if __name__ == "__main__":
    main()
