"""The records of a table as columns of text, numbers or dates, and where each of them stands in its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.errors import CorruptFileError

if TYPE_CHECKING:
    import polars as pl

MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL")
"""Cells of text that say that there is no value."""


@dataclass(frozen=True)
class Records:
    """Records of one file, or of several one after another.

    Attributes:
        frame: columns of the types String, Int64, Float64 and Date; null where a value is missing.
        paths: the files.
        counts: records by file.
        lines: (N,) the line in which each record ends; None for Parquet, which has no lines.
        unread: columns of a type that holds no value to learn from, with the type.
    """

    frame: pl.DataFrame
    paths: tuple[Path, ...]
    counts: tuple[int, ...]
    lines: NDArray[np.int64] | None = None
    unread: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    def place(self, row: int) -> str:
        """Where the record with this number stands, for messages."""
        starts = np.cumsum([0, *self.counts])
        number = int(np.searchsorted(starts, row, side="right")) - 1
        if self.lines is not None:
            return f"{self.paths[number]}, line {self.lines[row]}"
        return f"{self.paths[number]}, row {row - starts[number] + 1}"


def joined(parts: Sequence[Records]) -> Records:
    """The records of several files, which must have the same columns.

    Raises:
        CorruptFileError: if their columns differ, or the type of one.
    """
    import polars as pl

    first = parts[0]
    for other in parts[1:]:
        _check_same(first, other)
    lines = [part.lines for part in parts if part.lines is not None]
    return Records(
        pl.concat([part.frame.select(first.frame.columns) for part in parts]),
        tuple(path for part in parts for path in part.paths),
        tuple(len(part) for part in parts),
        np.concatenate(lines) if lines else None,
        first.unread,
    )


def _check_same(first: Records, other: Records) -> None:
    here, there = first.frame.schema, other.frame.schema
    for mine, yours, left, right in ((here, there, first, other), (there, here, other, first)):
        for name in mine:
            if name not in yours:
                raise CorruptFileError(
                    f"{right.paths[0]} has no column {name!r}, which {left.paths[0]} has: both need the same columns"
                )
    for name, kind in here.items():
        if there[name] != kind:
            raise CorruptFileError(
                f"the column {name!r} has the type {kind} in {first.paths[0]} and {there[name]} in {other.paths[0]}: "
                "write both alike"
            )


def as_text(column: pl.Series) -> pl.Series:
    """A column as text; a whole number is written without a decimal point."""
    import polars as pl

    if column.dtype != pl.Float64:
        return column.cast(pl.String)
    whole = (column == column.floor()).fill_null(value=False) & (column.abs() < 1 << 53).fill_null(value=False)
    frame = pl.select(
        pl.when(whole).then(column.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(column.cast(pl.String))
    )
    return frame.to_series().alias(column.name)
