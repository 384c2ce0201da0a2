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

BLOCK = 16 * 2**20
"""Bytes of text read at once."""
LONGEST_RECORD = 64 * 2**20
"""A record beyond this is a quotation mark that nothing closes."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Item = TypeVar("Item")


def record_blocks(path: Path) -> Iterator[bytes]:
    """Blocks of whole lines of text, the header's among them.

    polars' own ``scan_csv`` streams as well, but fills up short records, and takes a file that is cut off within a
    record for whole; blocks can be checked.

    Raises:
        CorruptFileError: if the file is cut off, not gzip, not UTF-8, or a quotation mark is never closed.
    """
    rest = b""
    first = True
    for piece in _pieces(path):
        text = rest + (piece.removeprefix(_BYTE_ORDER_MARK) if first else piece)
        first = False
        end = _end_of_records(text)
        if end:
            yield _checked(text[:end], path)
        rest = text[end:]
        if len(rest) > LONGEST_RECORD:
            raise CorruptFileError(f"{path} holds a quotation mark that is never closed; fetch the file again")
    if rest:
        raise CorruptFileError(f"{path} is cut off: it does not end with a whole line; fetch it again")


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


def _pieces(path: Path) -> Iterator[bytes]:
    """Pieces of ``BLOCK`` bytes of text; the last may be shorter."""
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as stream:
            while piece := stream.read(BLOCK):
                yield piece
    except EOFError as error:
        raise CorruptFileError(f"{path} is cut off in the middle of its gzip data; fetch it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise CorruptFileError(f"{path} is damaged or not gzip ({error}); fetch it again") from error


def _end_of_records(text: bytes) -> int:
    """Where the last whole record ends. A line break between quotation marks ends none."""
    end = text.rfind(b"\n") + 1
    quotes = text.count(b'"', 0, end)
    while end and quotes % 2:
        shorter = text.rfind(b"\n", 0, end - 1) + 1
        quotes -= text.count(b'"', shorter, end)
        end = shorter
    return end


def _checked(block: bytes, path: Path) -> bytes:
    if not block.isascii():
        try:
            block.decode("utf-8")
        except UnicodeDecodeError as error:
            line = block[block.rfind(b"\n", 0, error.start) + 1 :][:60].split(b"\n")[0]
            raise CorruptFileError(
                f"{path} is not UTF-8 text (byte {block[error.start]:#04x} in the line {line!r}); fetch it again, or "
                "convert it to UTF-8"
            ) from error
    return block
