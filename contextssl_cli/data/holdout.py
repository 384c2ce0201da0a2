"""Objects of the training split that are held out, to watch a training and to choose settings."""

from __future__ import annotations

import torch

from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.pairs import PairSource
from contextssl_cli.data.random import Purpose, seeded
from contextssl_cli.errors import UsageError


def hold_out(source: PairSource, config: TrainConfig) -> tuple[PairSource, PairSource]:
    """Split a source into training samples and held-out samples.

    A fraction of the *objects* is held out, so that no view of a held-out object is trained on.

    Raises:
        UsageError: if there are too few objects.
    """
    objects = source.objects.unique()
    count = held_out_count(len(objects), config)
    order = objects[torch.randperm(len(objects), generator=seeded(config.seed, Purpose.HOLD_OUT))]
    held_out = torch.isin(source.objects, order[:count])
    return source.subset((~held_out).nonzero()[:, 0]), source.subset(held_out.nonzero()[:, 0])


def held_out_count(objects: int, config: TrainConfig) -> int:
    """The number of held-out objects, of those in the training split.

    Raises:
        UsageError: if there are too few objects.
    """
    count = round(objects * config.holdout)
    if count < 2 or objects - count < config.model.block_size // 2:
        raise UsageError(
            f"the training split has {objects} objects: too few to hold out a fraction of "
            f"{config.holdout:g} and leave a sequence of {config.model.block_size // 2} pairs"
        )
    return count
