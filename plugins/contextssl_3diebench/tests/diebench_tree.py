"""A small tree of 3DIEBench's layout. It imports no torch: a child process that comes to harm starts quickly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from contextssl_3diebench.diebench import DIEBench, DIEBenchOptions
from contextssl_cli.store.dataset import Store, create_store

VIEWS = 5
TRAIN = ["/02691156/a1", "/02691156/a2", "/04379243/t1", "/04379243/t2"]
TEST = ["/02691156/a9", "/04379243/t9"]


def write_tree(root: Path, *, width: int = 7, views: int = VIEWS, train: list[str] = TRAIN) -> Path:
    """Two classes; every view a picture of its own."""
    from PIL import Image

    generator = np.random.default_rng(0)
    for place in [*train, *TEST]:
        folder = root / place[1:]
        folder.mkdir(parents=True)
        for view in range(views):
            coarse = generator.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((256, 256)).save(folder / f"image_{view}.jpg")
            latents = generator.uniform(-1.5, 1.5, width)
            latents[3:7] = generator.uniform(0, 1, 4)
            np.save(folder / f"latent_{view}.npy", latents)
    write_lists(root, train, TEST)
    return root


def write_lists(folder: Path, train: list[str], test: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    for prefix, entries in (("train", train), ("val", test)):
        np.save(folder / f"{prefix}_images.npy", np.array(entries))
        np.save(folder / f"{prefix}_labels.npy", np.array([int(entry.startswith("/04")) for entry in entries]))


def prepared(source: Path, out: Path, **options: Any) -> Store:
    """The store of a tree, made in this process: starting others takes longer than the work."""
    made = DIEBench().prepare(source, DIEBenchOptions(**options))
    with create_store(out / "store.h5", made.schema, {}) as writer:
        for part in made.parts:
            writer.append(part())
    return Store(out / "store.h5")
