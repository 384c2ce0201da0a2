"""Sine, square and triangle waves of 32 samples: four recordings of each, at different loudness."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from contextssl_cli.errors import UsageError
from contextssl_cli.plugin import ActionType, Dataset, Options, Prepared, Samples, Schema

if TYPE_CHECKING:
    from torch import Tensor

LENGTH = 32
RECORDINGS = 4
OBJECTS = {"train": 200, "test": 100}
SHAPES = ("sine", "square", "triangle")


class Loudness(ActionType):
    """The amplitude of a recording: the data set ships it, so nothing is sampled or applied."""

    name = "loudness"
    summary = "amplitude, recorded with each view, 0.5 to 1.5; one difference"
    modality = "signal"
    recorded = True

    def width(self, schema: Schema) -> int:
        """One amplitude."""
        return 1

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """How much louder the second view is."""
        return second - first


class Waves(Dataset):
    """Synthetic, so it needs no source."""

    name = "waves"
    summary = "1,200 short waves of three shapes; made on the spot"
    modality = "signal"
    licence = "none needed"
    needs_source = False
    actions = (Loudness(),)
    training: ClassVar[dict[str, Any]] = {
        "steps": 500,
        "model": {"encoder": "mlp", "feature_dim": 32, "encoder_width": 64, "width": 64, "aux_hidden": 64},
    }

    def prepare(self, source: Path | None, options: Options) -> Prepared:
        """Draw every recording of every object."""
        if source is not None:
            raise UsageError("waves are made on the spot and take no --source")
        schema = Schema(
            dataset=self.name, modality=self.modality, shape=(LENGTH,), dtype="float32",
            tasks={"shape": SHAPES}, latents={"loudness": 1},
        )  # fmt: skip
        return Prepared(schema, [_draw(split, seed) for seed, split in enumerate(OBJECTS)])


def _draw(split: str, seed: int) -> Samples:
    generator = np.random.default_rng(seed)
    count = OBJECTS[split]
    shape = generator.integers(len(SHAPES), size=count)
    phase = generator.uniform(0, 2 * np.pi, size=(count, 1)) + np.linspace(0, 2 * np.pi, LENGTH, endpoint=False)
    sine = np.sin(phase)
    kinds = np.stack([sine, np.sign(sine), np.arcsin(sine) * 2 / np.pi])  # (shapes, objects, LENGTH)
    waves = kinds[shape, np.arange(count)]
    objects = np.repeat(np.arange(count), RECORDINGS)
    loudness = generator.uniform(0.5, 1.5, size=(len(objects), 1))
    return Samples(
        split,
        (waves[objects] * loudness).astype(np.float32),
        labels={"shape": shape[objects]},
        latents={"loudness": loudness},
        objects=objects,
    )
