"""A CSV file, plain or gzip, as blocks of whole records: memory stays bounded however long the file is."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.files import check_input, read_error
from contextssl_cli.text import printable

BLOCK = 16 * 2**20
"""Bytes of text read at once."""
LONGEST_RECORD = 64 * 2**20
"""A record beyond this is a quotation mark that nothing closes."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Item = TypeVar("Item")


def record_blocks(path: Path) -> Iterator[bytes]:
    """Blocks of whole lines of text, the header's among them; blank lines at the end of the file are left out.

    polars' own ``scan_csv`` streams as well, but fills up short records, and takes a file that is cut off within a
    record for whole; blocks can be checked.

    Raises:
        DataMissingError: if the file does not exist or cannot be read.
        UnsafeFileError: if it is no regular file.
        CorruptFileError: if the file is cut off, not gzip, not UTF-8, holds a NUL, or a quotation mark is never closed.
    """
    rest = b""
    start = 0  # of ``rest``, in bytes from the beginning
    for piece in _pieces(path):
        text = rest + piece
        if not start and text.startswith(_BYTE_ORDER_MARK):
            start, text = len(_BYTE_ORDER_MARK), text.removeprefix(_BYTE_ORDER_MARK)
        block = _without_blank_end(text[: _end_of_records(text)])
        if block:
            yield _checked(block, path, start)
        rest = text[len(block) :]
        start += len(block)
        if len(rest) > LONGEST_RECORD:
            raise CorruptFileError(
                f"{printable(path)}, line {_line(path, start)}: more than {LONGEST_RECORD:,} bytes in one record; a "
                "quotation mark is never closed, fetch the file again"
            )
    if rest.strip(b"\r\n"):
        raise CorruptFileError(f"{printable(path)} is cut off: it does not end with a whole line; fetch it again")


def ahead(items: Iterator[Item]) -> Generator[Item]:
    """The items, each made in a thread while the one before is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def unquoted_commas(block: bytes) -> int:
    """How many commas separate cells; those between quotation marks do not."""
    if b'"' not in block:
        return block.count(b",")
    characters = np.frombuffer(block, np.uint8)
    inside = np.logical_xor.accumulate(characters == ord('"'))
    return int(np.count_nonzero((characters == ord(",")) & ~inside))


def unequal_record(block: bytes, commas: int) -> tuple[int, int]:
    """The first record with another number of commas between its cells: its place in the block, and its commas."""
    characters = np.frombuffer(block, np.uint8)
    outside = ~np.logical_xor.accumulate(characters == ord('"'))
    ends = np.flatnonzero((characters == ord("\n")) & outside)
    counts = np.diff(np.cumsum((characters == ord(",")) & outside)[ends], prepend=0)
    place = int(np.argmax(counts != commas))
    return place, int(counts[place])


def _pieces(path: Path) -> Iterator[bytes]:
    """Pieces of ``BLOCK`` bytes of text; the last may be shorter."""
    check_input(path)
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as stream:
            while piece := stream.read(BLOCK):
                yield piece
    except EOFError as error:
        raise CorruptFileError(
            f"{printable(path)} is cut off in the middle of its gzip data; fetch it again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise CorruptFileError(f"{printable(path)} is damaged or not gzip ({error}); fetch it again") from error
    except OSError as error:
        raise read_error(path, error) from error


def _without_blank_end(block: bytes) -> bytes:
    end = len(block.rstrip(b"\r\n"))
    return block[: block.find(b"\n", end) + 1] if end else b""


def _line(path: Path, position: int) -> int:
    """The number of the line at a byte of the text."""
    lines = 1
    for piece in _pieces(path):
        lines += piece.count(b"\n", 0, position)
        position -= len(piece)
        if position <= 0:
            break
    return lines


def _end_of_records(text: bytes) -> int:
    """Where the last whole record ends. A line break between quotation marks ends none."""
    end = text.rfind(b"\n") + 1
    quotes = text.count(b'"', 0, end)
    while end and quotes % 2:
        shorter = text.rfind(b"\n", 0, end - 1) + 1
        quotes -= text.count(b'"', shorter, end)
        end = shorter
    return end


def _checked(block: bytes, path: Path, start: int) -> bytes:
    """The block, if it is text; it begins at the byte ``start``."""
    found = block.find(b"\0")
    if found >= 0:
        raise CorruptFileError(
            f"{printable(path)}, line {_line(path, start + found)}: a NUL, which text has none of; the file is UTF-16 "
            "or damaged: convert it to UTF-8, or fetch it again"
        )
    if not block.isascii():
        try:
            block.decode("utf-8")
        except UnicodeDecodeError as error:
            line = block[block.rfind(b"\n", 0, error.start) + 1 :][:60].split(b"\n")[0]
            raise CorruptFileError(
                f"{printable(path)}, line {_line(path, start + error.start)}: the byte {block[error.start]:#04x} in "
                f"{line!r} is not UTF-8 text; convert the file to UTF-8, or fetch it again"
            ) from error
    return block
