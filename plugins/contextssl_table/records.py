"""The records of a table as columns, and the place of each in its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.plugin.cells import MISSING
from contextssl_cli.text import printable

if TYPE_CHECKING:
    import polars as pl

CELLS = "cells"
"""What polars may call every column: it takes some names, as ``*`` and ``^a$``, for patterns."""

TIMESTAMP = "%Y-%m-%d %H:%M:%S%.f"
"""A timestamp as text; fractions of a second are written where there are any."""


@dataclass(frozen=True)
class Records:
    """Records of one file, or of several one after another.

    Attributes:
        columns: (N,) by name: text, whole numbers, floats, decimals, dates and timestamps, each of its own type so that
            no digit is lost; null where a value is missing.
        paths: the files.
        counts: records by file.
        lines: (N,) the line in which each record ends; None for Parquet, which has no lines.
        unread: columns of a type that holds no value to learn from, with the type.
        words: by column of text, the words that were read as missing.
    """

    columns: Mapping[str, pl.Series]
    paths: tuple[Path, ...]
    counts: tuple[int, ...]
    lines: NDArray[np.int64] | None = None
    unread: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, set[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(self.counts)

    def place(self, row: int) -> str:
        """The place of the record with this number, for messages."""
        starts = np.cumsum([0, *self.counts])
        number = int(np.searchsorted(starts, row, side="right")) - 1
        if self.lines is not None:
            return f"{printable(self.paths[number])}, line {self.lines[row]}"
        return f"{printable(self.paths[number])}, row {row - starts[number] + 1}"


def joined(parts: Sequence[Records]) -> Records:
    """The records of several files, which must have the same columns.

    Raises:
        CorruptFileError: if their columns differ, or the type of one.
    """
    import polars as pl

    first = parts[0]
    kinds = {name: column.dtype for name, column in first.columns.items()}
    for other in parts[1:]:
        kinds = _common_kinds(kinds, first, other)
    lines = [part.lines for part in parts if part.lines is not None]
    return Records(
        {name: pl.concat([_exactly(part.columns[name], kind) for part in parts]) for name, kind in kinds.items()},
        tuple(path for part in parts for path in part.paths),
        tuple(len(part) for part in parts),
        np.concatenate(lines) if lines else None,
        {name: kind for part in parts for name, kind in part.unread.items()},
        {name: set().union(*(part.words.get(name, ()) for part in parts)) for part in parts for name in part.words},
    )


def _common_kinds(kinds: Mapping[str, Any], first: Records, other: Records) -> dict[str, Any]:
    """The types that hold the columns of both, by name."""
    there = {name: column.dtype for name, column in other.columns.items()}
    for mine, yours, left, right in ((kinds, there, first, other), (there, kinds, other, first)):
        for name in mine:
            if name not in yours:
                kind = right.unread.get(name)
                lacks = (
                    f"cannot be read in its column {name!r} (of the type {kind})" if kind else f"has no column {name!r}"
                )
                raise CorruptFileError(
                    f"{printable(right.paths[0])} {lacks}, which {printable(left.paths[0])} has: both need the same "
                    "columns"
                )
    common = {name: _common_kind(kind, there[name]) for name, kind in kinds.items()}
    for name, kind in common.items():
        if kind is None:
            raise CorruptFileError(
                f"the column {name!r} has the type {kinds[name]} in {printable(first.paths[0])} and {there[name]} in "
                f"{printable(other.paths[0])}: write both alike"
            )
    return common


def _common_kind(left: pl.DataType, right: pl.DataType) -> Any:
    """The type that holds the values of both exactly, or None."""
    import polars as pl

    if left == right:
        return left
    if left.is_integer() and right.is_integer() and "UInt128" not in (str(left), str(right)):
        return pl.Int128
    return pl.Float64 if left.is_float() and right.is_float() else None


def _exactly(column: pl.Series, kind: Any) -> pl.Series:
    """A column in the type that the files have in common; a float keeps the digits that it is written with."""
    import polars as pl

    if column.dtype.is_float() and column.dtype != kind:
        return column.cast(pl.String).cast(kind)
    return column.cast(kind)


def without_missing(frame: pl.DataFrame, words: dict[str, set[str]]) -> pl.DataFrame:
    """Text without the blanks around it, null where it is a word for a missing value; ``words`` gets those found."""
    import polars as pl

    text = pl.all().str.strip_chars()
    clean = frame.select(pl.when(text.str.to_lowercase().is_in(list(MISSING))).then(None).otherwise(text).name.keep())
    lacking = [name for name, count in zip(clean.columns, clean.null_count().row(0), strict=True) if count]
    text = pl.col(lacking).str.strip_chars()
    missing = text.str.to_lowercase().is_in([*MISSING - {""}])
    for column in frame.select(text.filter(missing).unique().implode()) if lacking else ():
        if found := set(column[0]):
            words.setdefault(column.name, set()).update(found)
    return clean


def as_text(column: pl.Series) -> pl.Series:
    """A column as text with all its digits; a whole number is written without a decimal point."""
    import polars as pl

    kind = column.dtype
    if isinstance(kind, pl.Datetime):
        return column.dt.to_string(f"{TIMESTAMP}%:z" if kind.time_zone else TIMESTAMP)
    if not kind.is_float():
        return column.cast(pl.String)
    wide = column.cast(pl.Float64)
    whole = (wide == wide.floor()).fill_null(value=False) & (wide.abs() < 1 << 53).fill_null(value=False)
    return pl.select(
        pl.when(whole).then(wide.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(column.cast(pl.String))
    ).to_series()
