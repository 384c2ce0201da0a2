"""Reading a Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contextssl_cli.errors import CorruptFileError
from contextssl_table.records import MISSING, Records

if TYPE_CHECKING:
    import polars as pl


def read_parquet(path: Path) -> Records:
    """The records of a Parquet file; times of day are dropped from dates, and columns of nested types set aside.

    Raises:
        CorruptFileError: if it is damaged or empty.
    """
    import polars as pl

    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise CorruptFileError(f"{path} is not a whole Parquet file ({reason}); write it again") from error
    if not len(frame):
        raise CorruptFileError(f"{path} holds no records")
    kept, unread = {}, {}
    for column in frame.iter_columns():
        plain = _plain(column)
        if plain is None:
            unread[column.name] = str(column.dtype)
        else:
            kept[column.name] = plain
    return Records(pl.DataFrame(kept), (path,), (len(frame),), None, unread)


def _plain(column: pl.Series) -> pl.Series | None:
    """The column as String, Int64, Float64 or Date; None if it is none of them."""
    import polars as pl

    kind = column.dtype
    if kind in (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null):
        text = column.cast(pl.String).str.strip_chars()
        return text.set(text.is_in(MISSING), None)
    if kind.is_integer():
        whole = column.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == column.null_count() else column.cast(pl.Float64)
    if kind.is_float() or kind.is_decimal():
        return column.cast(pl.Float64).fill_nan(None)
    return column.cast(pl.Date) if kind in (pl.Date, pl.Datetime) else None
