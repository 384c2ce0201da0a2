"""The data set ``skeleton``: replace the drawing of discs and bars by the reading of your images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contextssl_cli.errors import UsageError
from contextssl_cli.plugin import Dataset, Options, Prepared, Samples, Schema

SIZE = 16
CLASSES = ("disc", "bar")


class SkeletonOptions(Options):
    """Each field is a flag: ``contextssl prepare skeleton --count 1000``."""

    count: int = Field(default=500, ge=50, description="How many images to draw; a fifth of them is test data.")


class SkeletonDataset(Dataset):
    """Small pictures of discs and bars."""

    name = "skeleton"
    summary = "synthetic discs and bars, 16 x 16"
    modality = "image"
    licence = "none needed"
    needs_source = False  # true for files that the user has: then raise DataMissingError where they are not there
    options = SkeletonOptions
    trial: ClassVar[dict[str, Any]] = {"count": 100}
    training: ClassVar[dict[str, Any]] = {
        "steps": 500,
        "batch_size": 64,
        "model": {"encoder": "convnet", "encoder_width": 16, "feature_dim": 32, "width": 32, "block_size": 32},
    }

    def prepare(self, source: Path | None, options: SkeletonOptions) -> Prepared:
        """Describe the data in a schema, and give the samples of both splits."""
        if source is not None:
            raise UsageError("skeleton is drawn on the spot and takes no --source")
        schema = Schema(
            dataset=self.name,
            modality=self.modality,
            shape=(SIZE, SIZE, 3),
            dtype="uint8",
            tasks={"shape": CLASSES},
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        )
        test = options.count // 5
        return Prepared(schema, [_draw("train", options.count - test, seed=0), _draw("test", test, seed=1)])


def _draw(split: str, count: int, seed: int) -> Samples:
    generator = np.random.default_rng(seed)  # seeded: preparing twice gives the same store
    shape = generator.integers(len(CLASSES), size=count)
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5 - SIZE / 2
    cy, cx = generator.uniform(-SIZE / 5, SIZE / 5, size=(2, count, 1, 1))
    disc = (y - cy) ** 2 + (x - cx) ** 2 < (SIZE / 4) ** 2  # (count, SIZE, SIZE)
    bar = (abs(y - cy) < SIZE / 12) & (abs(x - cx) < SIZE / 3)
    inside = np.where((shape == 0)[:, None, None], disc, bar)
    images = _paint(inside, generator)
    return Samples(split, images, labels={"shape": shape}, objects=np.arange(count))


def _paint(inside: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.uint8]:
    """(N, SIZE, SIZE, 3) images: bright shapes on a dark ground, each with its own two colours."""
    bright = generator.integers(130, 256, size=(len(inside), 1, 1, 3))
    dark = generator.integers(0, 90, size=(len(inside), 1, 1, 3))
    return np.where(inside[..., None], bright, dark).astype(np.uint8)
