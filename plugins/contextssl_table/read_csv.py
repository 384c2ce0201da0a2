"""Reading a CSV file: comma-separated UTF-8 text whose first line names the columns."""

from __future__ import annotations

import codecs
import csv
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contextssl_cli.errors import CorruptFileError
from contextssl_table.records import MISSING, Records

if TYPE_CHECKING:
    from _csv import Reader

    import polars as pl

_ROWS = 20_000  # that are held as Python text at a time
_BYTES = 1 << 20


def read_csv(path: Path) -> Records:
    """The records of a CSV file as text; blanks around a cell are dropped, empty lines skipped.

    Raises:
        CorruptFileError: if it is not UTF-8, empty, or a line has another number of cells than the header; byte or
            line are named.
    """
    import polars as pl

    lines = array("q")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = _rows(path, csv.reader(stream, strict=True))
            _, header = next(rows, (0, []))
            _check_header(path, header)
            parts = list(_frames(path, header, rows, lines))
    except UnicodeDecodeError as error:
        raise CorruptFileError(_bad_byte(path)) from error
    if not parts:
        raise CorruptFileError(f"{path} holds no records: its header is all there is")
    return Records(pl.concat(parts), (path,), (len(lines),), np.array(lines, dtype=np.int64))


def _rows(path: Path, reader: Reader) -> Iterator[tuple[int, list[str]]]:
    """Every row that is not empty, with the line in which it ends."""
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise CorruptFileError(f"{path}, line {reader.line_num}: {error}; is a quotation mark missing?") from error
        if row is None:
            return
        if row:
            yield reader.line_num, [cell.strip() for cell in row]


def _check_header(path: Path, header: Sequence[str]) -> None:
    if not header:
        raise CorruptFileError(f"{path} is empty; expected a line that names the columns, and records below it")
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise CorruptFileError(f"{path}: the cells of the header are not separated by commas; write it with commas")
    for number, name in enumerate(header, start=1):
        if not name:
            raise CorruptFileError(f"{path}: column {number} has no name; the first line must name every column")
        if name in header[: number - 1]:
            raise CorruptFileError(f"{path}: two columns are called {name!r}; the first line must name each once")


def _frames(
    path: Path, header: Sequence[str], rows: Iterator[tuple[int, list[str]]], lines: array[int]
) -> Iterator[pl.DataFrame]:
    kept: list[list[str]] = []
    for line, row in rows:
        if len(row) != len(header):
            raise CorruptFileError(
                f"{path}, line {line}: {len(row)} cells, the header has {len(header)}; is the file cut off, or a comma "
                "not in quotation marks?"
            )
        kept.append(row)
        lines.append(line)
        if len(kept) == _ROWS:
            yield _frame(header, kept)
            kept = []
    if kept:
        yield _frame(header, kept)


def _frame(header: Sequence[str], rows: Sequence[Sequence[str]]) -> pl.DataFrame:
    import polars as pl

    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    return pl.DataFrame(columns, schema=dict.fromkeys(header, pl.String)).with_columns(
        pl.when(pl.all().is_in(MISSING)).then(None).otherwise(pl.all()).name.keep()
    )


def _bad_byte(path: Path) -> str:
    """Which byte of a file is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    read, line = 0, 1
    with path.open("rb") as stream:
        while True:
            part = stream.read(_BYTES)
            try:
                decoder.decode(part, final=not part)
            except UnicodeDecodeError as error:
                held = len(error.object) - len(part)  # of the part before
                place = read - held + error.start
                line += part[: max(0, error.start - held)].count(b"\n")
                return (
                    f"{path}, line {line}: byte {place} (0x{error.object[error.start]:02x}) is not UTF-8; save the "
                    "file as UTF-8"
                )
            read += len(part)
            line += part.count(b"\n")
