"""The contract of every plugin; add tests of what is special about yours."""

from __future__ import annotations

from contextssl_cli.testing import check_dataset, check_plugin
from contextssl_skeleton.dataset import SkeletonDataset


def test_plugin() -> None:
    check_plugin("contextssl_skeleton")


def test_dataset() -> None:
    check_dataset(SkeletonDataset())  # one that needs a source gets a small one: check_dataset(..., Path("tests/data"))
