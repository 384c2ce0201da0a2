"""The data set ``3diebench``: rendered objects with recorded rotation and colours."""

from __future__ import annotations

from contextssl_3diebench.diebench import DIEBench
from contextssl_cli.plugin import Dataset, hookimpl


@hookimpl
def contextssl_datasets() -> list[Dataset]:
    """Bring 3DIEBench."""
    return [DIEBench()]
