"""The data set ``table``: a user's own table, from CSV or Parquet."""

from __future__ import annotations

from contextssl_cli.plugin import Dataset, hookimpl
from contextssl_table.table import Table


@hookimpl
def contextssl_datasets() -> list[Dataset]:
    """Bring tables."""
    return [Table()]
