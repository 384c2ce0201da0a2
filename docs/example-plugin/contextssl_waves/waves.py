"""Short bursts of sine, square and triangle waves, made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contextssl_cli.errors import UsageError
from contextssl_cli.plugin import Dataset, Options, Prepared, Samples, Schema

LENGTH = 64
SHAPES = ("sine", "square", "triangle")
TEST_SHARE = 0.2


class WavesOptions(Options):
    """Each field is a flag of ``contextssl prepare waves``."""

    count: int = Field(default=2000, ge=100, description="How many waves to make.")
    noise: float = Field(default=0.02, ge=0, description="Standard deviation of the noise; a wave's amplitude is 1.")


class Waves(Dataset):
    """Synthetic, so it needs no source."""

    name = "waves"
    summary = "bursts of sine, square and triangle waves, 64 samples each; made on the spot"
    modality = "signal"
    licence = "none needed"
    needs_source = False
    options = WavesOptions
    trial: ClassVar[dict[str, Any]] = {"count": 200}
    training: ClassVar[dict[str, Any]] = {
        "steps": 3000,
        "batch_size": 64,
        "model": {
            "encoder": "mlp", "encoder_width": 128, "feature_dim": 32, "width": 32, "layers": 2, "heads": 2,
            "block_size": 32, "aux_hidden": 64,
        },
    }  # fmt: skip

    def prepare(self, source: Path | None, options: WavesOptions) -> Prepared:
        """Draw all waves; the same options give the same waves."""
        if source is not None:
            raise UsageError("waves are made on the spot and take no --source")
        schema = Schema(
            dataset=self.name, modality=self.modality, shape=(LENGTH,), dtype="float32", tasks={"shape": SHAPES}
        )
        test = round(options.count * TEST_SHARE)
        counts = {"train": options.count - test, "test": test}
        return Prepared(
            schema, [_draw(split, n, seed, options.noise) for seed, (split, n) in enumerate(counts.items())]
        )


def _draw(split: str, count: int, seed: int, noise: float) -> Samples:
    generator = np.random.default_rng(seed)
    shape = generator.integers(len(SHAPES), size=count)
    signals = bursts(shape, cycles=generator.uniform(4, 8, size=(count, 1)))
    signals += generator.normal(scale=noise, size=signals.shape)
    return Samples(split, signals.astype(np.float32), labels={"shape": shape}, objects=np.arange(count))


def bursts(shape: NDArray[np.int64], cycles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, LENGTH) bursts in the middle of the signal.

    Args:
        shape: (N,) numbers of ``SHAPES``.
        cycles: (N, 1) cycles within the length.
    """
    time = np.linspace(-0.5, 0.5, LENGTH, endpoint=False)
    sine = np.sin(2 * np.pi * cycles * time)
    waves = np.stack([sine, np.sign(sine), np.arcsin(sine) * 2 / np.pi])  # (shapes, N, LENGTH)
    return waves[shape, np.arange(len(shape))] * np.exp(-((time / 0.12) ** 2))
