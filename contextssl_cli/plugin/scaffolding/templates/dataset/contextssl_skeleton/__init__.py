"""The data set ``skeleton``: hooks only; nothing heavy is imported here, so that listing plugins stays quick."""

from __future__ import annotations

from contextssl_cli.plugin import Dataset, hookimpl
from contextssl_skeleton.dataset import SkeletonDataset


@hookimpl
def contextssl_datasets() -> list[Dataset]:
    """Bring the data set."""
    return [SkeletonDataset()]
