"""One table as a stream of typed frames, checked record by record."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.errors import CorruptFileError
from contextssl_mimic3.blocks import ahead, record_blocks, unquoted_commas
from contextssl_mimic3.tables import Kind, Table

if TYPE_CHECKING:
    import polars as pl

TIME = "%Y-%m-%d %H:%M:%S"
LARGEST_ROW_ID = 2**31
EXPECTED: dict[Kind, str] = {
    "id": "a whole number",
    "integer": "a whole number",
    "number": "a number",
    "time": "a time such as 2101-10-20 19:08:00",
    "text": "text",
}


def read_table(path: Path, table: Table) -> Iterator[pl.DataFrame]:
    """Frames of the columns of ``table``, named in small letters.

    Raises:
        CorruptFileError: if the file is cut off, not CSV or not UTF-8, lacks a column, holds no record, a record with
            too few or too many columns, a value of another type, or a ROW_ID twice. The message names the file.
    """
    with closing(ahead(record_blocks(path))) as blocks:
        header, block = _header(next(blocks, b""), path, table)
        seen = _RowIds(path)
        records = 0
        while True:
            if block:
                frame = _typed(_parsed(block, header, path, table), path, table, records)
                seen.add(frame["row_id"].to_numpy())
                records += len(frame)
                yield frame
            following = next(blocks, None)
            if following is None:
                break
            block = following
    if not records:
        raise CorruptFileError(f"{path} holds no records; fetch it again")


class _RowIds:
    """The values of ROW_ID so far: a byte for each possible one, 0.3 GB for the largest table."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = np.zeros(0, bool)

    def add(self, ids: NDArray[np.int64]) -> None:
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high > LARGEST_ROW_ID:
            raise CorruptFileError(
                f"{self._path}: the column ROW_ID holds {low if low < 0 else high}, expected 0 to {LARGEST_ROW_ID}"
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
            raise CorruptFileError(f"{self._path} holds the ROW_ID {known[0]} twice; each record must stand there once")
        self._seen[ids] = True


def _header(block: bytes, path: Path, table: Table) -> tuple[list[str], bytes]:
    """The names of all columns in capitals, and the rest of the first block."""
    line, _, rest = block.partition(b"\n")
    names = [name.strip().upper() for name in next(csv.reader([line.decode("utf-8")]), [])]
    missing = [name for name in table.columns if name not in names]
    if missing:
        raise CorruptFileError(
            f"{path} has no column {missing[0]}; expected the table {table.name} of MIMIC-III v1.4, its first line "
            f"naming {', '.join(table.columns)}"
        )
    double = [name for name in names if names.count(name) > 1]
    if double:
        raise CorruptFileError(f"{path} has the column {double[0]} twice")
    return names, rest


def _parsed(block: bytes, header: Sequence[str], path: Path, table: Table) -> pl.DataFrame:
    """The wanted columns of one block as text."""
    import polars as pl

    places = sorted(header.index(name) for name in table.columns)
    schema = dict.fromkeys(header, pl.String)
    try:
        frame = pl.read_csv(block, has_header=False, columns=places, schema=schema, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise CorruptFileError(
            f"{path}: a record does not have {len(header)} columns as the first line has ({reason}); fetch it again"
        ) from error
    # polars fills the cells that a short record lacks, so they are counted.
    if unquoted_commas(block) != len(frame) * (len(header) - 1):
        raise CorruptFileError(
            f"{path}: a record has fewer than {len(header)} columns, or is empty; the file is damaged, fetch it again"
        )
    return frame


def _typed(text: pl.DataFrame, path: Path, table: Table, before: int) -> pl.DataFrame:
    """Cast each column to its kind; ``before`` counts the records of earlier blocks."""
    import polars as pl

    text = text.select(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in table.columns)
    frame = text.select(_cast(name, kind).alias(name.lower()) for name, kind in table.columns.items())
    for name, kind in table.columns.items():
        values, cells = frame[name.lower()], text[name]
        if kind != "text" and values.null_count() > cells.null_count():
            _refuse(values.is_null() & cells.is_not_null(), cells, path, kind, before)
        if kind == "id" and values.null_count():
            _refuse(values.is_null(), cells, path, kind, before)
    return frame


def _cast(name: str, kind: Kind) -> pl.Expr:
    import polars as pl

    cells = pl.col(name)
    if kind == "time":
        return cells.str.to_datetime(TIME, time_unit="us", strict=False)
    if kind == "text":
        return cells.str.strip_chars()
    return cells.cast(pl.Float64 if kind == "number" else pl.Int64, strict=False)


def _refuse(wrong: pl.Series, cells: pl.Series, path: Path, kind: Kind, before: int) -> None:
    place = wrong.arg_true()[0]
    found = "nothing" if cells[place] is None else repr(cells[place])
    raise CorruptFileError(
        f"{path}, record {before + place + 1}: the column {cells.name} holds {found}, expected {EXPECTED[kind]}"
    )
