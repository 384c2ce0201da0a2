"""How fast the image action types make views, and the pictures of their pages.

Run: ``OMP_NUM_THREADS=1 python benchmarks/image_actions.py``. Prints one JSON object: by action type, milliseconds of
one processor per batch (sampling included, the median of all batches) and views per second. ``--pictures docs/images``
draws the pictures instead, from the photograph china.jpg that ships inside scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median

import torch
from sklearn.datasets import load_sample_image
from torch import Tensor
from torchvision.transforms import functional as tv
from torchvision.utils import make_grid, save_image

from contextssl_cli.plugin import ActionType
from contextssl_cli.plugin.registry import registry
from contextssl_cli.store.schema import Schema

NAMES = ("crop", "color", "blur", "rotation")
SIDE = 64  # of a view in a picture


def main() -> None:
    """Measure, or draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.pictures is None:
        found = {name: speed(registry().actions[name], options.batch, options.size, options.repeats) for name in NAMES}
        print(json.dumps({"batch": options.batch, "size": options.size} | found, indent=2))
        return
    for name, rows in parameters().items():
        draw(registry().actions[name], rows, options.pictures / f"{name}-views.png")


def speed(action: ActionType, batch: int, size: int, repeats: int) -> dict[str, float]:
    """Processor time, not the clock's: other work on the machine does not count."""
    schema, generator = schema_of(size), torch.Generator().manual_seed(0)
    inputs = torch.rand(batch, 3, size, size, generator=generator)
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        action.apply(inputs, action.sample(inputs, schema, generator), schema)
        seconds.append(time.process_time() - start)
    middle = median(seconds)
    return {"ms": round(middle * 1000, 2), "views_per_s": round(batch / middle)}


def parameters() -> dict[str, list[Tensor]]:
    """Latents of the views to draw, by action type; a row of the picture each."""
    steps = torch.linspace(-1, 1, 7)[:, None]
    ranges = torch.tensor([0.7, 0.7, 1.0, 0.8])
    generator = torch.Generator().manual_seed(0)
    return {
        "color": [steps * row for row in torch.diag(ranges)],
        "crop": [registry().actions["crop"].sample(torch.zeros(7, 3, 1, 1), schema_of(1), generator)],
        "blur": [(steps + 1) / 2 * 1.5],
        "rotation": [steps],
    }


def draw(action: ActionType, rows: list[Tensor], path: Path) -> None:
    """Views of one photograph, small enough for a page."""
    photograph = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1) / 255
    small = tv.resize(tv.center_crop(photograph, [420, 420]), [SIDE, SIDE], antialias=True)[None]
    views = [action.apply(small.expand(len(row), -1, -1, -1), row, schema_of(SIDE)) for row in rows]
    save_image(make_grid(torch.cat(views), nrow=len(rows[0]), padding=2, pad_value=1.0), path)


def schema_of(size: int) -> Schema:
    """Images of one size."""
    return Schema(dataset="benchmark", modality="image", shape=(size, size, 3), dtype="uint8")


if __name__ == "__main__":
    main()
