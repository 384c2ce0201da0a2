"""Reading a Parquet file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from contextssl_cli.errors import CorruptFileError, UnsafeFileError
from contextssl_cli.files import check_input, read_error
from contextssl_cli.text import printable
from contextssl_table.records import CELLS, TIMESTAMP, Records, without_missing

if TYPE_CHECKING:
    import polars as pl

_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")
_MAGIC = (b"PAR1", b"PARE")  # the second is encrypted, which polars says
_CELL = 8  # bytes, at least, that a cell takes on its way to a feature
_YEARS = (-719_162, 2_932_896)  # days since 1970-01-01 of 0001-01-01 and of 9999-12-31


def read_parquet(path: Path) -> Records:
    """The records of a Parquet file; columns whose type holds no value to learn from are set aside.

    Raises:
        CorruptFileError: if it is damaged or empty, or a column has no name.
        UnsafeFileError: if it declares more records than fit in memory.
    """
    import polars as pl

    try:
        # polars is given no name, which it would take for a pattern or for an address in a cloud.
        with _quiet(), _any_zone(), check_input(path).open("rb") as stream:
            _check_size(path, stream)
            return _records(path, pl.read_parquet(stream))
    except OSError as error:
        raise read_error(path, error) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = printable(str(error).strip().split("\n")[0][:200])
        raise CorruptFileError(
            f"{printable(path)} cannot be read as a Parquet file ({reason}); it is damaged, or holds a type that "
            "polars lacks: write it again"
        ) from error


def _records(path: Path, frame: pl.DataFrame) -> Records:
    shown, count, columns = printable(path), len(frame), frame.get_columns()[::-1]
    if not count:
        raise CorruptFileError(f"{shown} holds no records")
    if "" in frame.columns:
        raise CorruptFileError(f"{shown}: column {frame.columns.index('') + 1} has no name; give it one")
    del frame  # each column is let go of when it has been read
    kept: dict[str, pl.Series] = {}
    unread: dict[str, str] = {}
    words: dict[str, set[str]] = {}
    while columns:
        column = columns.pop()
        name, column = column.name, column.alias(CELLS)
        found: dict[str, set[str]] = {}
        plain = _plain(column, found)
        if isinstance(plain, str):
            unread[name] = plain
        else:
            kept[name] = plain
        if found:
            words[name] = found[CELLS]
    return Records(kept, (path,), (count,), None, unread, words)


def _plain(column: pl.Series, words: dict[str, set[str]]) -> pl.Series | str:
    """The column as text, numbers of its own type, dates or timestamps; of another type, a description of the type."""
    import polars as pl

    kind = column.dtype
    if kind in (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null):
        return without_missing(column.cast(pl.String).to_frame(), words).to_series()
    if kind.is_integer():
        return column
    if kind.is_float():
        return column.fill_nan(None)
    if isinstance(kind, pl.Decimal):
        return column.cast(pl.Decimal(38, kind.scale))
    if kind == pl.Time:
        return column.dt.to_string("%H:%M:%S%.f")
    if kind == pl.Date or isinstance(kind, pl.Datetime):
        return _calendar(column)
    return str(kind)


def _calendar(column: pl.Series) -> pl.Series | str:
    """Dates or timestamps that can be written in figures; text, where polars does not know their time zone."""
    import polars as pl

    kind = column.dtype
    moments, first, last = column.to_physical(), *_YEARS
    if isinstance(kind, pl.Datetime):
        second = {"ms": 10**3, "us": 10**6, "ns": 10**9}[kind.time_unit]
        day = 86_400 * second
        # 64 bits hold 292 years of nanoseconds; a time zone adds less than a day.
        first, last = max(first * day, day - 2**63), min((last + 1) * day, 2**63 - day) - 1
    span: Any = moments.min(), moments.max()
    if moments.count() and not first <= span[0] <= span[1] <= last:
        return f"{kind} beyond the years 1 to 9999"
    if not isinstance(kind, pl.Datetime) or kind.time_zone is None:
        return column
    if offset := _OFFSET.fullmatch(kind.time_zone):
        shift = int(f"{offset[1]}1") * (60 * int(offset[2]) + int(offset[3])) * 60 * second
        local = (moments + shift).cast(pl.Datetime(kind.time_unit))
        return local.dt.to_string(f"{TIMESTAMP}{offset[1]}{offset[2]}:{offset[3]}")
    try:
        column.clear().dt.date()
    except pl.exceptions.PolarsError:
        return f"{kind} with a time zone that is not known"
    return column


def _check_size(path: Path, stream: BinaryIO) -> None:
    import polars as pl

    if (magic := stream.read(4)) not in _MAGIC:
        raise CorruptFileError(f"{printable(path)} is not a Parquet file: it begins with {magic!r}")
    scan = pl.scan_parquet(stream)
    columns, rows = len(scan.collect_schema()), scan.select(pl.len()).collect().item()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else float("inf")
    if rows * columns * _CELL > memory:
        raise UnsafeFileError(
            f"{printable(path)} declares {rows:,} records of {columns:,} columns, more than the "
            f"{memory / 2**30:.0f} GiB of memory of this machine hold; prepare a part of it"
        )
    stream.seek(0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what polars writes to stderr itself, by file descriptor, when a damaged file makes it panic."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _any_zone() -> Iterator[None]:
    """Let polars read timestamps of a fixed offset, as +05:30, at which it panics otherwise."""
    name = "POLARS_IGNORE_TIMEZONE_PARSE_ERROR"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
