"""The small moves and stretches of images."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from contextssl_cli.data.augment import jitter

SIZE = 16


def blobs(count: int) -> Tensor:
    """Gaussian blobs in the middle of images (count, 1, SIZE, SIZE)."""
    places = torch.arange(SIZE) - (SIZE - 1) / 2
    line = torch.exp(-places.square() / 8)
    return (line[:, None] * line).expand(count, 1, SIZE, SIZE)


def centres(images: Tensor) -> Tensor:
    """(count, 2) centres of mass in pixels, from the middle."""
    places = torch.arange(SIZE) - (SIZE - 1) / 2
    mass = images[:, 0].sum(dim=(1, 2))
    return (
        torch.stack([(images[:, 0].sum(dim=1) * places).sum(1), (images[:, 0].sum(dim=2) * places).sum(1)], 1)
        / mass[:, None]
    )


def test_no_move_and_no_stretch_change_nothing() -> None:
    images = torch.rand(5, 3, SIZE, SIZE)
    torch.testing.assert_close(jitter(images, 0, 0, Generator().manual_seed(0)), images, atol=1e-5, rtol=0)


def test_images_move_by_up_to_the_shift_and_each_by_its_own() -> None:
    moved = centres(jitter(blobs(400), 2 / SIZE, 0, Generator().manual_seed(0)))
    assert 1.8 < moved.abs().max() <= 2.05
    assert moved.mean(0).abs().max() < 0.2
    assert len(moved.round(decimals=3).unique(dim=0)) > 390


def test_images_are_stretched_by_up_to_the_zoom() -> None:
    mass = jitter(blobs(400), 0, 0.2, Generator().manual_seed(0)).sum(dim=(1, 2, 3)) / blobs(1).sum()
    # A map that reaches 1.2 times as far shows the blob 1.2 times smaller along that side.
    assert 1 / 1.2**2 * 0.98 < mass.min() < 0.75
    assert 1.4 < mass.max() < 1 / 0.8**2 * 1.02


def test_a_seed_gives_the_same_views() -> None:
    images = torch.rand(5, 3, SIZE, SIZE)
    first, second = (jitter(images, 0.1, 0.1, Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
