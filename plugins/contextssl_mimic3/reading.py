"""One table as a stream of typed frames, checked record by record."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.text import printable
from contextssl_mimic3.blocks import ahead, record_blocks, unequal_record, unquoted_commas
from contextssl_mimic3.tables import Kind, Table

if TYPE_CHECKING:
    import polars as pl

TIME = "%Y-%m-%d %H:%M:%S"
LARGEST_ROW_ID = 2**31
EXPECTED: dict[Kind, str] = {
    "id": "a whole number",
    "integer": "a whole number",
    "flag": "0 or 1",
    "number": "a number",
    "time": "a time such as 2101-10-20 19:08:00",
    "day": "a time such as 2101-10-20 00:00:00",
    "text": "text",
}
_WHOLE = (r"^(-?\d+)\.0+$", "${1}")
_TIME = (r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.0+)?$", "${1} ${2}")
_REPAIRS: dict[Kind, tuple[tuple[str, str], ...]] = {
    "id": (_WHOLE,),
    "integer": (_WHOLE,),
    "flag": (_WHOLE, ("^(?i:true)$", "1"), ("^(?i:false)$", "0")),
    "time": (_TIME,),
    "day": (_TIME, (r"^(\d{4}-\d\d-\d\d)$", "${1} 00:00:00")),
}
"""Other forms of the same value, as pandas, polars and R write them, and the published form. A form that can mean
several values, such as 1/2/2101 or 1E+05, is not among them."""


@dataclass
class Rewritten:
    """Cells of a column that another program has written in another form, with the same value.

    Attributes:
        cells: how many.
        example: the first of them.
    """

    cells: int
    example: str


def read_table(path: Path, table: Table, rewritten: dict[str, Rewritten]) -> Iterator[pl.DataFrame]:
    """Frames of the columns of ``table``, named in small letters.

    Args:
        path: of the file.
        table: what is read.
        rewritten: takes, by column, what another program has written in another form.

    Raises:
        DataMissingError: if the file does not exist or cannot be read.
        UnsafeFileError: if it is no regular file.
        CorruptFileError: if the file is cut off, not CSV or not UTF-8, lacks a column, holds no record, a record with
            too few or too many columns, a value of another type, or a ROW_ID twice. The message names the file.
    """
    with closing(ahead(record_blocks(path))) as blocks:
        header, block = _header(next(blocks, b""), path, table)
        seen = _RowIds(path)
        records = 0
        while True:
            if block:
                text = _parsed(block, header, path, table, records)
                frame = _typed(text, path, table, records, rewritten)
                seen.add(frame["row_id"].to_numpy())
                records += len(frame)
                yield frame
            following = next(blocks, None)
            if following is None:
                break
            block = following
    if not records:
        raise CorruptFileError(f"{printable(path)} holds no records; fetch it again")


class _RowIds:
    """The values of ROW_ID so far: a byte for each possible one, 0.3 GB for the largest table."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = np.zeros(0, bool)

    def add(self, ids: NDArray[np.int64]) -> None:
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high > LARGEST_ROW_ID:
            raise CorruptFileError(
                f"{printable(self._path)}: the column ROW_ID holds {low if low < 0 else high}, expected 0 to "
                f"{LARGEST_ROW_ID}"
            )
        if high >= len(self._seen):
            larger = np.zeros(max(high + 1, 2 * len(self._seen)), bool)  # takes memory only where it is written
            larger[: len(self._seen)] = self._seen
            self._seen = larger
        known = ids[self._seen[ids]]
        if not len(known) and not (np.diff(ids) > 0).all():
            values, counts = np.unique(ids, return_counts=True)
            known = values[counts > 1]
        if len(known):
            raise CorruptFileError(
                f"{printable(self._path)} holds the ROW_ID {known[0]} twice; each record must stand there once"
            )
        self._seen[ids] = True


def _header(block: bytes, path: Path, table: Table) -> tuple[list[str], bytes]:
    """The names of all columns in capitals, and the rest of the first block."""
    line, _, rest = block.partition(b"\n")
    try:
        names = [name.strip().upper() for name in next(csv.reader([line.decode("utf-8")]), [])]
    except csv.Error as error:
        raise CorruptFileError(f"{printable(path)}, line 1: {error}; fetch the file again") from error
    missing = [name for name in table.columns if name not in names]
    if missing:
        other = next((sign for sign in (";", "\t", "|") if line.count(sign.encode()) >= len(table.columns) - 1), None)
        found = f": its cells are parted by {other!r}, expected commas" if other else ""
        raise CorruptFileError(
            f"{printable(path)} has no column {missing[0]}{found}; expected the table {table.name} of MIMIC-III v1.4, "
            f"its first line naming {', '.join(table.columns)}"
        )
    double = [name for name in names if names.count(name) > 1]
    if double:
        raise CorruptFileError(f"{printable(path)} has the column {printable(double[0])} twice")
    return names, rest


def _parsed(block: bytes, header: Sequence[str], path: Path, table: Table, before: int) -> pl.DataFrame:
    """The wanted columns of one block as text; ``before`` counts the records of earlier blocks."""
    import polars as pl

    places = sorted(header.index(name) for name in table.columns)
    schema = dict.fromkeys(header, pl.String)
    commas = len(header) - 1
    try:
        frame = pl.read_csv(block, has_header=False, columns=places, schema=schema, infer_schema=False)
        # polars fills the cells that a short record lacks, so they are counted.
        if unquoted_commas(block) == len(frame) * commas:
            return frame
        reason = ""
    except pl.exceptions.PolarsError as error:
        reason = f" ({printable(str(error).splitlines()[0])})"
    place, found = unequal_record(block, commas)
    if found == commas:
        raise CorruptFileError(f"{printable(path)} is not CSV{reason}; the file is damaged, fetch it again")
    raise CorruptFileError(
        f"{printable(path)}, record {before + place + 1}: {found + 1} columns, expected {commas + 1}; the file is "
        "damaged, fetch it again"
    )


def _typed(
    text: pl.DataFrame, path: Path, table: Table, before: int, rewritten: dict[str, Rewritten]
) -> pl.DataFrame:  # fmt: skip
    """Cast each column to its kind; ``before`` counts the records of earlier blocks."""
    import polars as pl

    text = text.select(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in table.columns)
    frame = text.select(_cast(name, kind).alias(name.lower()) for name, kind in table.columns.items())
    for name, kind in table.columns.items():
        values, cells = frame[name.lower()], text[name]
        if kind != "text" and values.null_count() > cells.null_count():
            wrong = values.is_null() & cells.is_not_null()
            repaired = cells.to_frame().select(_repaired(name, kind))
            values = repaired.select(_cast(name, kind).alias(name.lower())).to_series()
            if values.null_count() > cells.null_count():
                _refuse(values.is_null() & cells.is_not_null(), cells, path, kind, before)
            known = rewritten.setdefault(name, Rewritten(0, cells.filter(wrong)[0]))
            known.cells += int(wrong.sum())
            frame = frame.with_columns(values)
        if kind == "id" and values.null_count():
            _refuse(values.is_null(), cells, path, kind, before)
    return frame


def _cast(name: str, kind: Kind) -> pl.Expr:
    """A column as its kind; null where a cell is not of it."""
    import polars as pl

    cells = pl.col(name)
    if kind in ("time", "day"):
        return cells.str.to_datetime(TIME, time_unit="us", strict=False)
    if kind == "text":
        return cells.str.strip_chars()
    if kind == "number":
        number = cells.cast(pl.Float64, strict=False)
        return pl.when(number.is_finite()).then(number)
    whole = cells.cast(pl.Int64, strict=False)
    return pl.when(whole.is_in([0, 1])).then(whole) if kind == "flag" else whole


def _repaired(name: str, kind: Kind) -> pl.Expr:
    import polars as pl

    cells = pl.col(name).str.strip_chars()
    for pattern, value in _REPAIRS.get(kind, ()):
        cells = cells.str.replace(pattern, value)
    return cells


def _refuse(wrong: pl.Series, cells: pl.Series, path: Path, kind: Kind, before: int) -> None:
    place = wrong.arg_true()[0]
    found = "nothing" if cells[place] is None else repr(cells[place][:80])
    raise CorruptFileError(
        f"{printable(path)}, record {before + place + 1}: the column {cells.name} holds {found}, expected "
        f"{EXPECTED[kind]}"
    )
