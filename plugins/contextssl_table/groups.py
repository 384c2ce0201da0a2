"""Columns that put records into a few groups: labels and sensitive attributes."""

from __future__ import annotations

from contextssl_cli.errors import UsageError

MAX_GROUPS = 50


def check_groups(what: str, values: int, others: int = 0) -> None:
    """Whether a column can tell records apart, by few groups.

    Args:
        what: the column, for messages.
        values: how many it has in the training split.
        others: further groups, such as the records without a value.

    Raises:
        UsageError: if there is one, or too many.
    """
    if values + others < 2:
        found = "no value" if not values else "one value"
        raise UsageError(f"{what} has {found} in the training split; it needs two or more")
    if values > MAX_GROUPS:
        raise UsageError(f"{what} has {values:,} different values, more than {MAX_GROUPS}: bin it, as into quartiles")
