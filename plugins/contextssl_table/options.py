"""What a user says of a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pydantic import Field

from contextssl_cli.errors import UsageError, suggestion
from contextssl_cli.plugin import Options
from contextssl_cli.text import printable

SHARE = 0.2
"""Of the records, for the test, where the table does not say."""


class TableOptions(Options):
    """The roles of columns; every other column is learned from."""

    label: tuple[str, ...] = Field(default=(), description="Columns to predict; the first is the main task.")
    sensitive: tuple[str, ...] = Field(
        default=(), description="Columns with sensitive attributes, which action types can change."
    )
    split: str | None = Field(
        default=None,
        description=f"Column with the values train and test, or fraction of records to test on; {SHARE} if unset.",
    )
    id: str | None = Field(default=None, description="Column that identifies each record; its values must be unique.")
    categorical: tuple[str, ...] = Field(
        default=(), description="Columns to treat as categories although they contain numbers or many values."
    )
    linked: tuple[str, ...] = Field(
        default=(),
        description="Values that change with an attribute, such as 'sex=Female: relationship: Husband=Wife': in a "
        "record that becomes Female, Husband becomes Wife.",
    )
    drop: tuple[str, ...] = Field(default=(), description="Columns to leave out.")
    max_categories: int = Field(
        default=50, ge=2, description="Text columns with more values in the training split are left out."
    )
    seed: int = Field(default=0, ge=0, description="Seed for drawing the test records.")


def check_roles(options: TableOptions, columns: Collection[str], unread: Mapping[str, str]) -> None:
    """Whether every column that is named is there, and none has two roles.

    Args:
        options: naming columns.
        columns: that can be read.
        unread: that cannot, with their types; such a one may only be dropped.

    Raises:
        UsageError: naming the column.
    """
    roles: dict[str, str] = {}
    for flag in ("label", "sensitive", "id", "drop", "categorical", "split"):
        value = getattr(options, flag)
        for name in (value,) if isinstance(value, str) else value or ():
            if flag == "split" and name not in columns:  # a share
                continue
            shown = printable(name)
            if name in unread and flag != "drop":
                raise UsageError(f"--{flag} {shown}: the column is of the type {unread[name]}, which cannot be read")
            if name not in columns and name not in unread:
                raise UsageError(f"--{flag} {shown}: the table has no such column; {suggestion(name, columns)}")
            other = roles.get(name)
            if other and not (flag == "categorical" and other in ("label", "sensitive")):  # those are anyway
                raise UsageError(f"the column {name!r} is named by --{other} and by --{flag}; it has one role")
            roles[name] = flag


def learned(options: TableOptions, columns: Collection[str]) -> list[str]:
    """The columns that have no other role than to be learned from; sensitive ones are among them."""
    others = {*options.label, *options.drop, options.id, options.split}
    return [name for name in columns if name not in others]
