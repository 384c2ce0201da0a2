"""scikit-learn's digits: 1,797 images that ship inside the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.errors import UsageError
from contextssl_cli.plugin import ActionType, Dataset, Options, Prepared, Samples, Schema
from contextssl_digits.two_hues import TwoHues

if TYPE_CHECKING:
    from torch import Generator, Tensor

SIZE = 16
TEST_FRACTION = 0.2
SHIFT, ZOOM = 1 / SIZE, 0.1  # of a training view: one pixel, a tenth of the size
GREY_LEVELS = 16  # of the package's images, 0 to 16


class Digits(Dataset):
    """Digits of 8 x 8, enlarged to 16 x 16 and stored as grey RGB; every fifth image is test data."""

    name = "digits"
    summary = "scikit-learn's 1,797 handwritten digits, 16 x 16; needs no download"
    modality = "image"
    licence = "CC BY 4.0 (UCI Optical Recognition of Handwritten Digits)"
    needs_source = False
    actions: ClassVar[tuple[ActionType, ...]] = (TwoHues(),)
    training: ClassVar[dict[str, Any]] = {
        "steps": 1500,
        "model": {"encoder": "convnet", "feature_dim": 64, "encoder_width": 64, "width": 64, "aux_hidden": 256},
    }

    probing: ClassVar[dict[str, Any]] = {"views": 4, "action_batch_size": 512, "label_batch_size": 64}

    def augment_view(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """Move each view by up to a pixel and stretch it by up to a tenth: no one writes a digit twice alike."""
        from contextssl_cli.data.augment import jitter

        return jitter(inputs, SHIFT, ZOOM, generator)

    def prepare(self, source: Path | None, options: Options) -> Prepared:
        """Read the digits from scikit-learn and split them, with equal shares of every class."""
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        if source is not None:
            raise UsageError("digits ships inside scikit-learn and takes no --source")
        bunch = load_digits()
        images = enlarge(bunch.images)
        train, test = train_test_split(
            np.arange(len(images)), test_size=TEST_FRACTION, random_state=0, stratify=bunch.target
        )
        schema = Schema(
            dataset=self.name,
            modality=self.modality,
            shape=(SIZE, SIZE, 3),
            dtype="uint8",
            tasks={"digit": tuple(str(name) for name in bunch.target_names)},
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        )
        samples = [
            Samples(split, images[rows], labels={"digit": bunch.target[rows]}, objects=rows)
            for split, rows in (("train", train), ("test", test))
        ]
        return Prepared(schema, samples)


def enlarge(images: NDArray[Any]) -> NDArray[np.uint8]:
    """(N, 8, 8) grey levels to (N, 16, 16, 3) uint8, bilinearly."""
    import torch
    from torch.nn import functional as F

    small = torch.from_numpy(images / GREY_LEVELS).float()[:, None]
    large = F.interpolate(small, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    grey = (large * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    return grey.expand(-1, -1, -1, 3).contiguous().numpy()
