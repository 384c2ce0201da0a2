"""Reading a CSV file: comma-separated UTF-8 text whose first line names the columns."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.plugin.cells import csv_rows
from contextssl_cli.text import printable
from contextssl_table.records import CELLS, Records, without_missing

if TYPE_CHECKING:
    import polars as pl

_CELLS = 400_000  # that are held as Python text at a time


def read_csv(path: Path) -> Records:
    """The records of a CSV file as text; blanks around a cell are dropped, empty lines skipped.

    Raises:
        CorruptFileError: if it is not UTF-8, empty, or a line has another number of cells than the header; byte or
            line are named.
    """
    import polars as pl

    lines, words = array("q"), dict[str, set[str]]()
    with closing(csv_rows(path)) as rows:
        header = [cell.strip() for cell in next(rows, (0, []))[1]]
        _check_header(path, header)
        parts = [without_missing(part, words) for part in _frames(path, header, rows, lines)]
    if not parts:
        raise CorruptFileError(f"{printable(path)} holds no records: its header is all there is")
    columns = dict(zip(header, pl.concat(parts).get_columns(), strict=True))
    return Records(
        {name: column.alias(CELLS) for name, column in columns.items()},
        (path,),
        (len(lines),),
        np.array(lines, dtype=np.int64),
        words={name: words[column.name] for name, column in columns.items() if column.name in words},
    )


def _check_header(path: Path, header: Sequence[str]) -> None:
    shown = printable(path)
    if not header:
        raise CorruptFileError(f"{shown} is empty; expected a line that names the columns, and records below it")
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise CorruptFileError(f"{shown}: the cells of the header are not separated by commas; write it with commas")
    seen = set()
    for number, name in enumerate(header, start=1):
        if not name:
            raise CorruptFileError(f"{shown}: column {number} has no name; the first line must name every column")
        if name in seen:
            raise CorruptFileError(f"{shown}: two columns are called {name!r}; the first line must name each once")
        seen.add(name)


def _frames(
    path: Path, header: Sequence[str], rows: Iterator[tuple[int, list[str]]], lines: array[int]
) -> Iterator[pl.DataFrame]:
    kept: list[list[str]] = []
    for line, row in rows:
        if len(row) != len(header):
            raise CorruptFileError(
                f"{printable(path)}, line {line}: {len(row)} cells, the header has {len(header)}; is the file cut off, "
                "or a comma not in quotation marks?"
            )
        kept.append(row)
        lines.append(line)
        if len(kept) * len(header) >= _CELLS:
            yield _frame(kept)
            kept = []
    if kept:
        yield _frame(kept)


def _frame(rows: Sequence[Sequence[str]]) -> pl.DataFrame:
    import polars as pl

    columns = {str(number): column for number, column in enumerate(zip(*rows, strict=True))}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
