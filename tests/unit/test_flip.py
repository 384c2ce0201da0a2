"""Horizontal flips: each image as it is or mirrored, by the generator alone."""

from __future__ import annotations

import torch

from contextssl_cli.data.augment import horizontal_flip
from tests.draws import seeded

IMAGES = torch.rand(400, 3, 4, 6, generator=seeded(0))


def mirrored(flipped: torch.Tensor) -> torch.Tensor:
    """Which images were mirrored; every one must be either mirrored or as it was."""
    same = (flipped == IMAGES).flatten(1).all(1)
    other = (flipped == IMAGES.flip(3)).flatten(1).all(1)
    assert bool((same ^ other).all())
    return other


def test_half_of_the_images_are_mirrored_left_to_right() -> None:
    before = IMAGES.clone()
    count = int(mirrored(horizontal_flip(IMAGES, seeded(1))).sum())
    assert 150 < count < 250
    assert torch.equal(IMAGES, before)


def test_a_seed_decides() -> None:
    first, again, other = (horizontal_flip(IMAGES, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
