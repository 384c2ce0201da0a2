"""What every text table has in common: the rows of a CSV file, the words for a missing value, and what is a number.

The data set ``table`` and the label files of ``adapt --labels`` follow these rules; a plugin that reads CSV may too.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Generator, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.files import check_input, read_error
from contextssl_cli.text import printable

if TYPE_CHECKING:
    from _csv import Reader

MISSING = frozenset(
    {
        "", "?", "na", "n/a", "<na>", "#na", "#n/a", "#n/a n/a", "nan", "+nan", "-nan", "nat", "null", "none",
        "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
    }
)  # fmt: skip
"""Cells that say that there is no value, in small letters and without the blanks around them."""

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
"""A number as tables write it, for Python and polars alike: no ``1_000``, ``0x1F``, ``inf`` or digits beyond ASCII."""

LONGEST_CELL = 1 << 24
"""Characters. A longer cell is taken for a quotation mark that nothing closes."""

_NUMBER = re.compile(NUMBER)
_ESCAPED = re.compile("[\udc80-\udcff]")  # a byte that is not UTF-8, in text that was read with surrogateescape


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value: it is empty or one of ``MISSING``, in capitals or not."""
    return cell.strip().lower() in MISSING


def is_number(cell: str) -> bool:
    """Whether a cell is written as a number."""
    return _NUMBER.fullmatch(cell) is not None


def in_order(cells: Iterable[str]) -> list[str]:
    """Different cells in the order of their numbers, exactly, if all are numbers; else in the order of the alphabet."""
    found = list(cells)
    if all(map(is_number, found)):
        try:
            return sorted(found, key=lambda cell: (Decimal(cell), cell))
        except InvalidOperation:  # an exponent of more than eighteen digits
            pass
    return sorted(found)


def csv_rows(path: Path) -> Generator[tuple[int, list[str]]]:
    """Every row of a CSV file that is not empty, with the number of the line in which it ends.

    The file is comma-separated UTF-8 text, with or without a byte-order mark; lines end with LF, CR LF or CR. Cells are
    given as they are written, with the blanks around them.

    The file stays open until the last row: close the generator where that may not be reached.

    Raises:
        DataMissingError: if the file does not exist or cannot be read.
        UnsafeFileError: if it is no regular file.
        CorruptFileError: naming the line, if it is not UTF-8 or not CSV, holds a NUL character, or a cell is longer
            than ``LONGEST_CELL``.
    """
    path = check_input(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(_lines(path, stream), strict=True)
            while (row := _next(path, reader)) is not None:
                if row:
                    yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise CorruptFileError(_bad_byte(path)) from error
    except OSError as error:
        raise read_error(path, error) from error


def _lines(path: Path, stream: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(stream, start=1):
        if "\0" in line:
            raise CorruptFileError(
                f"{printable(path)}, line {number}: a NUL character, as UTF-16 text has; save the file as UTF-8"
            )
        yield line


def _next(path: Path, reader: Reader) -> list[str] | None:
    before = csv.field_size_limit(LONGEST_CELL)  # one for the whole process, so it is put back before anyone else reads
    try:
        return next(reader, None)
    except csv.Error as error:
        raise CorruptFileError(
            f"{printable(path)}, line {reader.line_num}: {error}; is a quotation mark missing?"
        ) from error
    finally:
        csv.field_size_limit(before)


def _bad_byte(path: Path) -> str:
    """Which byte of a file is not UTF-8."""
    place = 0
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        for number, line in enumerate(stream, start=1):
            bad = _ESCAPED.search(line)
            if bad:
                place += len(line[: bad.start()].encode())
                value = bad[0].encode(errors="surrogateescape").hex()
                return (
                    f"{printable(path)}, line {number}: byte {place} (0x{value}) is not UTF-8; save the file as UTF-8"
                )
            place += len(line.encode())
    return f"{printable(path)} is not UTF-8; save it as UTF-8"  # it has been changed meanwhile
