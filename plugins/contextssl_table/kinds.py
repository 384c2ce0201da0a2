"""Whether a column holds numbers, dates or categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.errors import CorruptFileError
from contextssl_table.records import Records

if TYPE_CHECKING:
    import polars as pl

Kind: TypeAlias = Literal["numbers", "dates"]
_DATE = r"^\d{4}-\d{2}-\d{2}([T ].*)?$"


@dataclass(frozen=True)
class Numbers:
    """A column of numbers or dates.

    Attributes:
        values: (N,) float64, NaN where missing; days since 1970-01-01 of dates.
        kind: what they were.
    """

    values: NDArray[np.float64]
    kind: Kind


def numbers_of(column: pl.Series, records: Records) -> Numbers | None:
    """The column as numbers, or None if it is text.

    Text is a column of numbers, or of dates (``2024-01-31``, with or without a time, which is not read), if more than
    half of its values are; then all have to be.

    Raises:
        CorruptFileError: naming the first record whose value is something else.
    """
    import polars as pl

    if column.dtype == pl.Date:
        return Numbers(_floats(column.cast(pl.Int32)), "dates")
    if column.dtype != pl.String:
        values = _floats(column)
        _check(np.isfinite(values) | np.isnan(values), column, records, "numbers", "finite")
        return Numbers(values, "numbers")
    number = column.cast(pl.Float64, strict=False)
    number = number.set(number.is_infinite() | number.is_nan(), None)
    date = column.set(~column.str.contains(_DATE).fill_null(value=False), None)
    date = date.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    readings: dict[Kind, pl.Series] = {"numbers": number, "dates": date.cast(pl.Int32)}
    for kind, parsed in readings.items():
        if 2 * parsed.count() > column.count():
            _check((parsed.is_not_null() | column.is_null()).to_numpy(), column, records, kind, kind)
            return Numbers(_floats(parsed), kind)
    return None


def _check(right: NDArray[np.bool_], column: pl.Series, records: Records, kind: str, expected: str) -> None:
    if right.all():
        return
    row = int(np.argmin(right))
    others = f"{right.sum():,} of {len(right):,} records have {expected} there"
    raise CorruptFileError(
        f"{records.place(row)}: the column {column.name!r} holds {_shown(column[row])}, expected {kind} ({others}); "
        f"mend it, read the column as text with --categorical {column.name}, or leave it out with --drop {column.name}"
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _floats(column: pl.Series) -> NDArray[np.float64]:
    import polars as pl

    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
