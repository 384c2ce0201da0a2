"""How fast a 3DIEBench-layout tree is prepared and its store is read, against a plain loop over the files.

Run: ``python benchmarks/read_3diebench.py``. It makes a tree of 20,000 JPEG files of 256 x 256 (``--images``), prepares
it with the plugin, and prints one JSON object. Both ways read the same images, in the same shuffled order, at
128 x 128, in turns within one run:

- the plain loop opens each file with Pillow, decodes and resizes it, in one process, as a data set class does;
- the store hands over batches of model inputs as training reads them (``contextssl_cli.store.dataset.Split``).

The pictures are renderings of shapes3d (3DIEBench-format, not 3DIEBench): some are rendered, the others are these
shifted by a random offset, so that no two files are equal.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from contextssl_cli.cpus import cpu_count
from contextssl_cli.data.prepare import prepare
from contextssl_cli.data.rows import Rows, SampleRows
from contextssl_cli.plugin.registry import registry
from contextssl_cli.store.dataset import Store
from contextssl_shapes3d.layout import start_layout, write_object
from contextssl_shapes3d.part import render_object
from contextssl_shapes3d.plan import Plan

VIEWS = 50
RENDERED = 8  # objects
SIDE, READ_SIDE = 256, 128
BATCH = 256
TURNS = 5


def main() -> None:
    """Make the tree, prepare it, read it both ways, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument(
        "--folder", type=Path, help="where the tree and the store are made, and kept; else nothing is kept"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        tree, out = folder / "3diebench-layout", folder / "store.h5"
        if not tree.exists():
            make_tree(tree, options.images // VIEWS)
        start = time.perf_counter()
        prepare(registry().dataset("3diebench"), tree, out, force=True)
        print(json.dumps(measure(tree, out, time.perf_counter() - start), indent=2))


def measure(tree: Path, out: Path, prepared_s: float) -> dict[str, Any]:
    """Images per second of both ways, in turns over the training images."""
    with Store(out) as store:
        files = training_files(tree)
        order = np.random.default_rng(0).permutation(len(files))
        rows = SampleRows(store.train, store.train.schema)
        times = {"plain_loop": 0.0, "store": 0.0}
        for part in np.array_split(order, TURNS):
            times["plain_loop"] += seconds(plain_loop, files, part)
            times["store"] += seconds(batches, rows, part)
        difference = np.abs(batches(rows, order[:BATCH]) * 255 - plain_loop(files, order[:BATCH])).mean()
        images = len(files) + len(store.test)
        sizes = [len(data) for data in store.train.encoded(order[:BATCH])]
    return {
        "images": images,
        "bytes_per_image": round(float(np.mean(sizes))),
        "cores": cpu_count(),
        "load_before": os.getloadavg()[0],
        "prepare_images_per_s": images / prepared_s,
        "plain_loop_images_per_s": len(files) / times["plain_loop"],
        "store_images_per_s": len(files) / times["store"],
        "ratio": times["plain_loop"] / times["store"],
        "mean_difference_of_grey_levels": float(difference),
    }


def plain_loop(files: list[Path], order: NDArray[np.intp]) -> NDArray[np.float32]:
    """One image after the other, as a simple data set class reads them; the last batch is handed back."""
    for start in range(0, len(order), BATCH):
        images = []
        for row in order[start : start + BATCH]:
            with Image.open(files[row]) as image:
                images.append(
                    np.asarray(image.convert("RGB").resize((READ_SIDE, READ_SIDE), Image.Resampling.BILINEAR))
                )
        batch = np.stack(images).astype(np.float32)
    return batch


def batches(rows: Rows, order: NDArray[np.intp]) -> NDArray[np.float32]:
    """The store's way; the last batch is handed back, channels last."""
    for start in range(0, len(order), BATCH):
        batch = rows[torch.from_numpy(order[start : start + BATCH])]
    last: NDArray[np.float32] = batch.permute(0, 2, 3, 1).numpy()
    return last


def training_files(tree: Path) -> list[Path]:
    """In the order of the store."""
    places = np.load(tree / "train_images.npy")
    return [tree / place[1:] / f"image_{view}.jpg" for place in places for view in range(VIEWS)]


def make_tree(tree: Path, objects: int) -> None:
    """A tree of 3DIEBench's layout; a fifth of the objects are in the ``val_`` lists."""
    generator = np.random.default_rng(0)
    plan = Plan(objects, VIEWS, SIDE, 0)
    drawn = [render_object(plan, number) for number in range(min(RENDERED, objects))]
    start_layout(tree, plan)
    for number in range(objects):
        images, latents = drawn[number % len(drawn)]
        offsets = generator.integers(SIDE, size=(VIEWS, 2))
        shifted = [np.roll(image, offset, axis=(0, 1)) for image, offset in zip(images, offsets, strict=True)]
        write_object(tree, plan, number, np.stack(shifted), latents)


def seconds(function: Callable[..., object], *arguments: object) -> float:
    """Of one call."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
