"""CIFAR-10 (Krizhevsky, 2009): ten classes of small photographs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from contextssl_cifar10.classes import CLASSES, MEAN, SIZE, STD
from contextssl_cifar10.tree import check_complete, listed, place, tree_samples
from contextssl_cli.errors import DataMissingError
from contextssl_cli.files import file_hash
from contextssl_cli.plugin import Dataset, Options, Prepared, Schema
from contextssl_cli.plugin.sources import archive_members

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Cifar10Options(Options):
    """How strictly image files are read."""

    skip_corrupt: bool = Field(
        default=False, description="Leave out images that cannot be read, and name them in the store."
    )


class Cifar10(Dataset):
    """50,000 training and 10,000 test images; from the canonical batches, or from a tree of image files."""

    name = "cifar10"
    summary = "CIFAR-10: 60,000 photographs of 32 x 32 pixels in ten classes; downloaded, or --source"
    modality = "image"
    licence = "none stated by its authors; free for research, cite Krizhevsky (2009)"
    options = Cifar10Options
    training: ClassVar[dict[str, Any]] = {
        "steps": 3000,
        "model": {
            "encoder": "convnet", "stem": "cifar", "feature_dim": 128, "encoder_width": 64, "width": 128,
            "aux_hidden": 256,
        },
    }  # fmt: skip
    probing: ClassVar[dict[str, Any]] = {"action_batch_size": 512, "label_batch_size": 256}

    def nuisance(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """Mirror every other view: a class looks the same from left and right."""
        from contextssl_cli.data.nuisance import horizontal_flip

        return horizontal_flip(inputs, generator)

    def prepare(self, source: Path | None, options: Cifar10Options) -> Prepared:
        """Read the batches or the tree."""
        if source is None or not source.exists():
            raise DataMissingError(f"--source {source} does not exist")
        schema = Schema(
            dataset=self.name,
            modality=self.modality,
            shape=(SIZE, SIZE, 3),
            dtype="uint8",
            tasks={"class": CLASSES},
            mean=MEAN,
            std=STD,
        )
        files: dict[Any, Any] = {}
        if source.is_dir():
            files = listed(source)
        else:
            for name, data in archive_members(source, lambda name: place(name, source) is not None):
                files[place(name, source)] = data
        check_complete(files, source)
        samples = tree_samples(files, source, skip_corrupt=options.skip_corrupt)
        sources = {} if source.is_dir() else {source.name: file_hash(source)}
        return Prepared(schema, samples, sources)
