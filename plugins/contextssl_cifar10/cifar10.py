"""CIFAR-10 (Krizhevsky, 2009): ten classes of small photographs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from contextssl_cifar10.batches import batch_samples
from contextssl_cifar10.classes import ARCHIVE, CLASSES, COUNTS, MEAN, PAGE, SIZE, STD, URL
from contextssl_cifar10.files import Found, find_files
from contextssl_cifar10.tree import check_complete, tree_samples
from contextssl_cli.files import file_hash
from contextssl_cli.plugin import Dataset, Options, Prepared, Schema
from contextssl_cli.plugin.sources import download

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Cifar10Options(Options):
    """How strictly image files are read."""

    skip_corrupt: bool = Field(
        default=False, description="Leave out images that cannot be read, and list them in the store."
    )


class Cifar10(Dataset):
    """50,000 training and 10,000 test images; from the canonical batches, or from a tree of image files."""

    name = "cifar10"
    summary = "CIFAR-10: 60,000 photographs of 32 x 32 pixels in ten classes; downloaded, or --source"
    modality = "image"
    licence = "none stated by its authors; free for research, cite Krizhevsky (2009)"
    options = Cifar10Options
    training: ClassVar[dict[str, Any]] = {
        "steps": 4000,
        "model": {
            "encoder": "convnet", "stem": "cifar", "feature_dim": 128, "encoder_width": 64, "width": 128,
            "aux_hidden": 256, "skip": True,
        },
    }  # fmt: skip
    probing: ClassVar[dict[str, Any]] = {
        "label_inputs": "samples",
        "action_batch_size": 512,
        "label_batch_size": 2048,
        "label_lr": 0.1,
        "strong": True,
    }

    def augment(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """Mirror every other image: a class looks the same from left and right."""
        from contextssl_cli.data.augment import horizontal_flip

        return horizontal_flip(inputs, generator)

    def prepare(self, source: Path | None, options: Cifar10Options) -> Prepared:
        """Read the batches or the tree."""
        source = source or download({URL: ARCHIVE}, self.name, PAGE) / URL.rpartition("/")[2]
        found = find_files(source)
        schema = Schema(
            dataset=self.name,
            modality=self.modality,
            shape=(SIZE, SIZE, 3),
            dtype="uint8",
            tasks={"class": CLASSES},
            mean=MEAN,
            std=STD,
        )
        sources = {source.name: file_hash(source)} if source.is_file() else {}
        if found.batches:
            return Prepared(schema, batch_samples(found.batches, source), sources, notes={"format": "batches"})
        check_complete(found.images, source)
        samples = tree_samples(found.images, source, skip_corrupt=options.skip_corrupt)
        return Prepared(schema, samples, sources, notes={"format": "image files"} | _incomplete(found))


def _incomplete(found: Found) -> dict[str, str]:
    counts = Counter(at.split for at in found.images)
    if counts == COUNTS:
        return {}
    return {"not the whole of CIFAR-10": ", ".join(f"{counts[split]:,} {split} images" for split in COUNTS)}
