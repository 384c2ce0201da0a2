"""The data set ``cifar10``: 60,000 photographs of 32 x 32 pixels."""

from __future__ import annotations

from contextssl_cifar10.cifar10 import Cifar10
from contextssl_cli.plugin import Dataset, hookimpl


@hookimpl
def contextssl_datasets() -> list[Dataset]:
    """Bring CIFAR-10."""
    return [Cifar10()]
