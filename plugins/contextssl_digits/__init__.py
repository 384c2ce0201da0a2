"""The data set ``digits``: scikit-learn's handwritten digits, as small images."""

from __future__ import annotations

from contextssl_cli.plugin import Dataset, hookimpl
from contextssl_digits.digits import Digits


@hookimpl
def contextssl_datasets() -> list[Dataset]:
    """Bring the digits."""
    return [Digits()]
