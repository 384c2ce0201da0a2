"""The digits in the store: all of them, once, in equal shares of every class."""

from __future__ import annotations

import numpy as np

from contextssl_cli.store.dataset import Store


def test_every_image_is_there_once(digits_store: Store) -> None:
    objects = np.concatenate([split.objects()[:] for split in (digits_store.train, digits_store.test)])
    assert sorted(objects) == list(range(1797))


def test_the_split_keeps_the_shares_of_the_classes(digits_store: Store) -> None:
    shares = [
        np.bincount(split.labels("digit"), minlength=10) / len(split)
        for split in (digits_store.train, digits_store.test)
    ]
    assert np.abs(shares[0] - shares[1]).max() < 0.005
