"""3DIEBench (Garrido et al., ICML 2023): 52,472 objects of 55 classes, 50 rendered views each."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from contextssl_3diebench.lists import Listed, find_lists, read_lists
from contextssl_3diebench.views import read_objects, usual_views
from contextssl_cli.errors import DataMissingError
from contextssl_cli.files import file_hash
from contextssl_cli.plugin import Dataset, Options, Prepared, Schema
from contextssl_cli.plugin.recorded import RecordedDifference, RecordedRotation
from contextssl_cli.plugin.sources import source_folder

PAGE = "https://github.com/facebookresearch/SIE"
OBJECTS_PER_PART = 40
MEAN, STD = (0.5016, 0.5037, 0.5060), (0.1030, 0.0999, 0.0969)
"""The authors' normalisation."""


class DIEBenchOptions(Options):
    """What is read, and how strictly."""

    lists: Path | None = Field(
        default=None, description="Folder with train_images.npy and the other lists; if unset, the source or its meta/."
    )
    limit_objects: int | None = Field(
        default=None, ge=2, description="Use only N objects, taken at even distances from the lists."
    )
    size: int = Field(
        default=128, ge=16, le=256, description="Height and width of the images when they are read, in pixels."
    )
    skip_corrupt: bool = Field(
        default=False, description="Leave out views that are missing or cannot be read, and list them in the store."
    )


class DIEBench(Dataset):
    """The original layout and lists; or other data in that format, such as what shapes3d writes."""

    name = "3diebench"
    summary = "3DIEBench: 52,472 rendered objects of 55 classes, 50 views each, with rotation and hues; needs --source"
    modality = "image"
    licence = "CC BY-NC (Meta Platforms; the models are of ShapeNet, which has terms of its own)"
    options = DIEBenchOptions
    actions = (
        RecordedRotation(),
        RecordedDifference("color", 2, "hues of floor and spot light, each 0 to 1; two differences"),
    )
    training: ClassVar[dict[str, Any]] = {
        "steps": 20_000,
        "batch_size": 512,
        "lr": 1e-3,
        "model": {"encoder": "resnet18", "feature_dim": 512, "width": 512, "aux_hidden": 1024},
    }

    def prepare(self, source: Path | None, options: DIEBenchOptions) -> Prepared:
        """Keep the JPEG files' bytes, each decoded once as a test; in parts, which go on where they were killed.

        Raises:
            DataMissingError: if the source, a list, an image or its latents are not there.
            CorruptFileError: if one of them is not what it should be.
        """
        if source is None:
            raise DataMissingError(
                f"3diebench needs --source DIR: fetch 3DIEBench.tar.gz (17 GB) as {PAGE} says, unpack it, and name its "
                "folder; contextssl prepare shapes3d makes data of the same format without a download"
            )
        lists = find_lists(source_folder(source, "the unpacked folder"), options.lists)
        objects, classes = read_lists(lists)
        chosen = limited(objects, options.limit_objects)
        views = usual_views(source, chosen["train"] + chosen["test"])
        schema = Schema(
            dataset=self.name,
            modality=self.modality,
            shape=(options.size, options.size, 3),
            dtype="uint8",
            storage="encoded",
            tasks={"class": classes},
            latents={"rotation": 3, "color": 2},
            mean=MEAN,
            std=STD,
        )
        parts = [
            functools.partial(read_objects, source, split, part, views, options.size, skip=options.skip_corrupt)
            for split, listed in chosen.items()
            for part in (listed[at : at + OBJECTS_PER_PART] for at in range(0, len(listed), OBJECTS_PER_PART))
        ]
        return Prepared(schema, parts=parts, sources={path.name: file_hash(path) for path in lists.values()})


def limited(objects: dict[str, list[Listed]], limit: int | None) -> dict[str, list[Listed]]:
    """At most ``limit`` objects, of each split in proportion; evenly spaced, for the lists are sorted by class."""
    total = sum(len(listed) for listed in objects.values())
    if limit is None or limit >= total:
        return objects
    test = min(max(1, round(limit * len(objects["test"]) / total)), limit - 1)
    counts = {"train": limit - test, "test": test}
    return {
        split: [listed[at * len(listed) // counts[split]] for at in range(counts[split])]
        for split, listed in objects.items()
    }
