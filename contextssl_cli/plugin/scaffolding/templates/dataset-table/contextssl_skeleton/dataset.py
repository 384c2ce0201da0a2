"""The data set ``skeleton``: replace the drawing of records by the reading of your table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from contextssl_cli.errors import UsageError
from contextssl_cli.plugin import Column, Dataset, Options, Prepared, Samples, Schema

CLASSES = ("no", "yes")
GROUPS = ("a", "b")
NUMBERS = 4


class SkeletonOptions(Options):
    """Each field is a flag: ``contextssl prepare skeleton --count 1000``."""

    count: int = Field(default=500, ge=50, description="How many records to draw; a fifth of them is test data.")


class SkeletonDataset(Dataset):
    """Records of four numbers and a group; the task depends on both."""

    name = "skeleton"
    summary = "synthetic records of four numbers and a group"
    modality = "table"
    licence = "none needed"
    needs_source = False  # true for files that the user has: then raise DataMissingError where they are not there
    options = SkeletonOptions
    trial: ClassVar[dict[str, Any]] = {"count": 100}
    training: ClassVar[dict[str, Any]] = {
        "steps": 500,
        "batch_size": 64,
        "model": {"encoder": "mlp", "encoder_width": 64, "feature_dim": 32, "width": 32, "block_size": 32},
    }

    def prepare(self, source: Path | None, options: SkeletonOptions) -> Prepared:
        """Describe the data in a schema, and give the samples of both splits."""
        if source is not None:
            raise UsageError("skeleton is drawn on the spot and takes no --source")
        numbers = [Column(name=f"number{n}", kind="numeric", start=n, stop=n + 1) for n in range(NUMBERS)]
        group = Column(
            name="group",
            kind="categorical",
            start=NUMBERS,
            stop=NUMBERS + len(GROUPS),
            categories=GROUPS,
            attribute="group",
        )
        schema = Schema(
            dataset=self.name,
            modality=self.modality,
            shape=(group.stop,),
            dtype="float32",
            columns=(*numbers, group),
            tasks={"outcome": CLASSES},
            attributes={"group": GROUPS},
        )
        test = options.count // 5
        return Prepared(schema, [_draw("train", options.count - test, seed=0), _draw("test", test, seed=1)])


def _draw(split: str, count: int, seed: int) -> Samples:
    generator = np.random.default_rng(seed)  # seeded: preparing twice gives the same store
    group = generator.integers(len(GROUPS), size=count)
    numbers = generator.standard_normal((count, NUMBERS))  # read from a file: standardise by the training records
    outcome = numbers[:, 0] + numbers[:, 1] + group + generator.standard_normal(count) > 0
    table = np.concatenate([numbers, np.eye(len(GROUPS))[group]], axis=1)
    return Samples(
        split,
        table.astype(np.float32),
        labels={"outcome": outcome.astype(np.int64)},
        attributes={"group": group},
        objects=np.arange(count),
    )
