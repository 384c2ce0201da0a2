"""The data set ``adult``: UCI Adult census records."""

from __future__ import annotations

from contextssl_adult.adult import Adult
from contextssl_cli.plugin import Dataset, hookimpl


@hookimpl
def contextssl_datasets() -> list[Dataset]:
    """Bring the census records."""
    return [Adult()]
