"""The data set ``imagefolder``: a user's own images."""

from __future__ import annotations

from contextssl_cli.plugin import Dataset, hookimpl
from contextssl_imagefolder.imagefolder import ImageFolder


@hookimpl
def contextssl_datasets() -> list[Dataset]:
    """Bring folders of images."""
    return [ImageFolder()]
