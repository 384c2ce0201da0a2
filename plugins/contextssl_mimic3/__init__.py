"""The data set ``mimic3``: first intensive-care stays of MIMIC-III."""

from __future__ import annotations

from contextssl_cli.plugin import Dataset, hookimpl
from contextssl_mimic3.mimic3 import Mimic3


@hookimpl
def contextssl_datasets() -> list[Dataset]:
    """Bring the intensive-care stays."""
    return [Mimic3()]
