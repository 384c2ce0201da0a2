"""A picture of the data set for its page: ``python -m contextssl_shapes3d.contact_sheet OUT.png``.

One object of every family, upright and in three of its views.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from contextssl_shapes3d.families import FAMILIES, make_solid
from contextssl_shapes3d.latents import draw_latents
from contextssl_shapes3d.render import Bytes, render

UPRIGHT = np.array([0, 0, 0.4, 0.6, 0.4, 0.8, 0.1])
VIEWS = 3
COLUMNS = 3


def contact_sheet(size: int = 64) -> Bytes:
    """``COLUMNS`` families to a row, (height, width, 3); white where the last row ends early."""
    width, rows = (1 + VIEWS) * size, -(-len(FAMILIES) // COLUMNS)
    sheet = np.full((rows * size, COLUMNS * width, 3), 255, dtype=np.uint8)
    for number, family in enumerate(FAMILIES):
        top, left = number // COLUMNS * size, number % COLUMNS * width
        sheet[top : top + size, left : left + width] = _strip(family, number, size)
    return sheet


def _strip(family: str, number: int, size: int) -> Bytes:
    generator = np.random.default_rng([0, number])
    mesh, palette = make_solid(family, generator)
    latents = np.concatenate([UPRIGHT[None], draw_latents(generator, VIEWS)])
    return np.concatenate(list(render(mesh, palette, latents, size)), axis=1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the picture."""
    from PIL import Image

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the PNG to write")
    out = parser.parse_args(arguments).out
    Image.fromarray(contact_sheet()).quantize(256).save(out, optimize=True)


if __name__ == "__main__":
    main()
