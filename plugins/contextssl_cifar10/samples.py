"""A picture of the data set for its page: ``python -m contextssl_cifar10.samples STORE OUT.png``.

One row of test images for each class, at twice their size.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contextssl_cifar10.classes import CLASSES
from contextssl_cli.store.dataset import Store

COLUMNS = 14
SCALE = 2


def sample_grid(store: Store) -> NDArray[np.uint8]:
    """The first ``COLUMNS`` test images of each class, (height, width, 3), a row for each class."""
    images, labels = store.test.inputs(), store.test.labels("class")
    rows = [np.concatenate(list(images[labels == code][:COLUMNS]), axis=1) for code in range(len(CLASSES))]
    grid: NDArray[np.uint8] = np.concatenate(rows).repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    return grid


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the picture."""
    from PIL import Image

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path, help="a store of cifar10")
    parser.add_argument("out", type=Path, help="the PNG to write")
    given = parser.parse_args(arguments)
    with Store(given.store) as store:
        Image.fromarray(sample_grid(store)).quantize(256).save(given.out, optimize=True)


if __name__ == "__main__":
    main()
