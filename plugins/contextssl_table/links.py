"""What ``--linked`` says: which values of a column change with a sensitive attribute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from contextssl_cli.errors import UsageError, suggestion
from contextssl_cli.plugin import Column
from contextssl_table.options import TableOptions

Links: TypeAlias = dict[str, dict[str, dict[str, dict[str, str]]]]
"""By column, by attribute, by the category that it takes, old value: new value; see ``Column.linked``."""
_FORM = "'ATTRIBUTE=CATEGORY: COLUMN: OLD=NEW', as in 'sex=Female: relationship: Husband=Wife'"


def parse_links(options: TableOptions) -> Links:
    """The links by column.

    Raises:
        UsageError: if one is not written as it should be, or its attribute is not sensitive.
    """
    links: Links = {}
    for text in options.linked:
        parts = [part.strip() for part in text.split(":")]
        ends = [[side.strip() for side in part.split("=")] for part in (parts[0], parts[-1])]
        if len(parts) != 3 or any(len(sides) != 2 or not all(sides) for sides in ends):
            raise UsageError(f"--linked {text!r}: expected {_FORM}")
        (attribute, category), (old, new) = ends
        if attribute not in options.sensitive:
            raise UsageError(f"--linked {text!r}: {attribute} is not named by --sensitive")
        if parts[1] == attribute:
            raise UsageError(f"--linked {text!r}: the column must be another than the attribute's")
        values = links.setdefault(parts[1], {}).setdefault(attribute, {}).setdefault(category, {})
        if values.setdefault(old, new) != new:
            raise UsageError(f"--linked {text!r}: {old} becomes {values[old]} already")
        for chained in values.keys() & values.values():
            raise UsageError(f"--linked {text!r}: something becomes {chained}, which changes too; name its last value")
    return links


def check_links(links: Links, table: list[str]) -> None:
    """Whether every linked column is one of the table.

    Raises:
        UsageError: naming the column.
    """
    for name in links:
        if name not in table:
            raise UsageError(f"--linked: the table has no column {name!r} to learn from; {suggestion(name, table)}")


def check_values(name: str, links: dict[str, dict[str, dict[str, str]]], categories: Sequence[str]) -> None:
    """Whether the values that a column's links name are values of it.

    Raises:
        UsageError: naming the value.
    """
    for by_category in links.values():
        for values in by_category.values():
            for value in (*values, *values.values()):
                _check_known(value, name, categories)


def check_linked(links: Links, columns: Sequence[Column]) -> None:
    """Whether every linked column was kept, and its attribute has the categories that are named.

    Raises:
        UsageError: naming the column or the category.
    """
    known = {column.name: column.categories for column in columns}
    for name, by_attribute in links.items():
        if name not in known:
            raise UsageError(f"--linked: the column {name!r} has one value, or too many, and was left out")
        for attribute, by_category in by_attribute.items():
            for category in by_category:
                _check_known(category, attribute, known[attribute])


def _check_known(value: str, name: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UsageError(f"--linked: the column {name!r} has no value {value!r}; {suggestion(value, known)}")
