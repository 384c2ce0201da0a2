"""Whether a column holds numbers, dates or categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.plugin.cells import NUMBER
from contextssl_cli.text import printable
from contextssl_table.notes import shown
from contextssl_table.records import CELLS, Records

if TYPE_CHECKING:
    import polars as pl

Kind: TypeAlias = Literal["numbers", "dates"]
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?$"


@dataclass(frozen=True)
class Numbers:
    """A column of numbers or dates.

    Attributes:
        values: (N,) float64, NaN where missing; days since 1970-01-01 of dates.
        kind: what they were.
    """

    values: NDArray[np.float64]
    kind: Kind


def numbers_of(name: str, records: Records) -> Numbers | None:
    """A column as numbers, or None if it is text.

    Text is a column of numbers, or of dates (``2024-01-31``, with or without a time, which is not read), if more than
    half of its values are; then all have to be. The date of a timestamp is that of its own time zone, as it is written.

    Raises:
        CorruptFileError: naming the first record whose value is something else.
    """
    import polars as pl

    column = records.columns[name]
    if column.dtype == pl.Date:
        return Numbers(_floats(column.cast(pl.Int32)), "dates")
    if isinstance(column.dtype, pl.Datetime):
        return Numbers(_floats(column.dt.date().cast(pl.Int32)), "dates")
    if column.dtype != pl.String:
        values = _floats(column)
        _check(np.isfinite(values) | np.isnan(values), name, records, "numbers", "finite")
        return Numbers(values, "numbers")
    text = pl.col(CELLS)
    number = pl.when(text.str.contains(NUMBER)).then(text).cast(pl.Float64, strict=False)
    date = pl.when(text.str.contains(_DATE)).then(text.str.slice(0, 10)).str.to_date("%Y-%m-%d", strict=False)
    numbers, dates = column.to_frame().select(
        pl.when(number.is_finite()).then(number).alias("numbers"), date.cast(pl.Int32).alias("dates")
    )
    readings: dict[Kind, pl.Series] = {"numbers": numbers, "dates": dates}
    for kind, parsed in readings.items():
        if 2 * parsed.count() > column.count():
            _check((parsed.is_not_null() | column.is_null()).to_numpy(), name, records, kind, kind)
            return Numbers(_floats(parsed), kind)
    return None


def _check(right: NDArray[np.bool_], name: str, records: Records, kind: str, expected: str) -> None:
    if right.all():
        return
    row, named = int(np.argmin(right)), printable(name)
    found = shown(records.columns[name][row])
    others = f"{right.sum():,} of {len(right):,} records have {expected} there"
    raise CorruptFileError(
        f"{records.place(row)}: the column {name!r} holds {found}, expected {kind} ({others}); "
        f"correct it, read the column as text with --categorical {named}, or leave it out with --drop {named}"
    )


def _floats(column: pl.Series) -> NDArray[np.float64]:
    import polars as pl

    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
