"""What an HDF5 file may hold: groups, and data sets whose numbers and text are in the file itself.

HDF5 can take the bytes of a data set from any other file, load code to decompress them, and declare a petabyte in a
kilobyte. A file is checked when it is opened, before any of its data is read.
"""

from __future__ import annotations

import contextlib
import functools
import math
import mmap
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5z

from contextssl_cli.errors import CorruptFileError, UnsafeFileError
from contextssl_cli.text import printable

MOST_OBJECTS = 10_000
"""Groups and data sets of a file."""
MOST_LEVELS = 50
"""Of groups in groups. HDF5 goes through all of them for each object, which takes minutes for thousands."""
SPARSE = 64 << 20
"""Bytes that a file may declare beyond those it holds: what was never written reads as zeros."""
DEFLATE_RATIO = 1032
"""The most that gzip can compress, so no honest file is refused. LZF reaches less."""
_SCANNED = 1 << 30
"""Bytes of a file that ``check_heaps`` scans; a larger one takes too long."""
_COMPRESSORS = ([h5z.FILTER_DEFLATE], [h5z.FILTER_LZF])
_HARMLESS = {h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32}
_LINKS = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "a link to another file"}


def check_contents(path: Path, file: h5py.File) -> None:
    """Refuse a file that refers to anything outside itself, or declares more data than it can hold.

    Raises:
        UnsafeFileError: on links that are not hard, objects with several names, named types, virtual data sets,
            external storage, filters other than gzip, LZF, shuffle and Fletcher32, oversized shapes, and more than
            ``MOST_OBJECTS`` or ``MOST_LEVELS``.
        CorruptFileError: if a name is not UTF-8.
    """
    size = path.stat().st_size
    seen = {h5o.get_info(file.id).addr}
    needed = 0.0
    for name, link in _links(path, file):
        try:
            where = name.decode()
        except UnicodeDecodeError as error:
            raise CorruptFileError(f"{printable(path)} has the name {name!r}, which is not UTF-8") from error
        if link != h5l.TYPE_HARD:
            raise _unsafe(path, where, f"is {_LINKS.get(link, 'a link of an unknown type')}")
        item = h5o.open(file.id, name)
        address = h5o.get_info(item).addr
        if address in seen:
            raise _unsafe(path, where, "is a second name of another object")
        seen.add(address)
        if isinstance(item, h5d.DatasetID):
            needed += _least_size(path, where, item)
            if needed > size + SPARSE:
                raise UnsafeFileError(
                    f"{printable(path)} has {size:,} bytes, and {printable(where)} of the shape {item.shape} declares "
                    "more data than they can hold; create the file again"
                )
        elif not isinstance(item, h5g.GroupID):
            raise _unsafe(path, where, "is a named type")


def _links(path: Path, file: h5py.File) -> list[tuple[bytes, int]]:
    """Each link below the root by its path, with its type; no group is entered twice, and no other file."""
    found: list[tuple[bytes, int]] = []

    def visit(name: bytes, link: h5l.LinkInfo) -> bool | None:
        found.append((name, link.type))
        return len(found) > MOST_OBJECTS or name.count(b"/") >= MOST_LEVELS or None

    file.id.links.visit(visit, info=True)
    if len(found) > MOST_OBJECTS:
        raise UnsafeFileError(f"{printable(path)} holds more than {MOST_OBJECTS:,} groups and data sets")
    if found and found[-1][0].count(b"/") >= MOST_LEVELS:
        raise UnsafeFileError(f"{printable(path)} holds groups in groups in more than {MOST_LEVELS} levels")
    return found


def check_plain(path: Path, data: h5py.Dataset, rows: int) -> None:
    """Refuse to read what is not numbers or text of a fixed length, or what memory cannot hold.

    Raises:
        UnsafeFileError: on references, variable lengths, records and other types, on data without a shape, and on more
            bytes than this machine has memory.
    """
    shape, dtype = data.shape, data.dtype
    if shape is None:
        raise _refused(path, data, "is empty: it has no shape; write an array there")
    if dtype.kind not in "biufS":
        what = _type_of(dtype)
        raise _refused(path, data, f"holds {what}; only integers, floats, booleans and text of fixed length are read")
    needed = math.prod((rows, *shape[1:])) * dtype.itemsize
    if needed > _memory():
        raise _refused(path, data, f"takes {needed / 1e9:.1f} GB, the memory has {_memory() / 1e9:.1f} GB")


def check_heaps(path: Path, file: h5py.File) -> None:
    """Refuse a file in which HDF5 would look for text of variable length for ever.

    HDF5 2.0 walks through the objects of a global heap by their sizes, and does not stop at a size of 0.

    Raises:
        CorruptFileError: if the objects of a heap do not fit it.
    """
    _, width = file.id.get_create_plist().get_sizes()
    size = path.stat().st_size
    if size > _SCANNED:
        return
    header = 8 + (width + 7) // 8 * 8  # of a heap and of each of its objects: 8 bytes, and a size
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        heap = data.find(b"GCOL\x01\0\0\0")
        while heap >= 0:
            end = min(size, heap + int.from_bytes(data[heap + 8 : heap + 8 + width], "little"))
            place = heap + header
            while end - place >= header:
                taken = int.from_bytes(data[place + 8 : place + 8 + width], "little")
                if data[place : place + 2] != b"\0\0":  # else the free rest, whose size includes its header
                    taken = header + (taken + 7) // 8 * 8
                if not 0 < taken <= end - place:
                    raise CorruptFileError(f"{printable(path)} is damaged: its strings overlap; create it again")
                place += taken
            heap = data.find(b"GCOL\x01\0\0\0", heap + 1)


def _refused(path: Path, data: h5py.Dataset, what: str) -> UnsafeFileError:
    return UnsafeFileError(f"{printable(path)}: {printable(data.name)} {what}")


def _least_size(path: Path, where: str, data: h5d.DatasetID) -> float:
    """The bytes that a data set takes in its file at least, if all of it was written."""
    properties = data.get_create_plist()
    layout = properties.get_layout()  # before the shape, for which HDF5 opens the sources of a virtual data set
    if layout == h5d.VIRTUAL:
        raise _unsafe(path, where, "is a virtual data set")
    if properties.get_external_count():
        raise _unsafe(path, where, "keeps its data in another file (external storage)")
    shape = data.shape or ()
    if layout == h5d.CHUNKED:
        shape = tuple(math.ceil(n / chunk) * chunk for n, chunk in zip(shape, properties.get_chunk(), strict=True))
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    compressors = [code for code in filters if code not in _HARMLESS]
    if compressors and compressors not in _COMPRESSORS:
        codes = ", ".join(map(str, compressors))
        raise UnsafeFileError(
            f"{printable(path)}: {printable(where)} is compressed by the filters {codes}; use gzip or LZF, or none"
        )
    stored: float = math.prod(shape) * data.get_type().get_size() / (DEFLATE_RATIO if compressors else 1)
    return stored


def _type_of(dtype: np.dtype[Any]) -> str:
    if h5py.check_string_dtype(dtype):
        return "text of variable length"
    if h5py.check_ref_dtype(dtype):
        return "references"
    return "records" if dtype.names else f"the type {printable(str(dtype))}"


@functools.cache
def _memory() -> int:
    """Bytes of this machine, or of its container."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")] if hasattr(os, "sysconf") else [1 << 63]
    with contextlib.suppress(OSError, ValueError):  # not in a container, or without a limit
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min(found)


def _unsafe(path: Path, where: str, what: str) -> UnsafeFileError:
    return UnsafeFileError(f"{printable(path)}: {printable(where)} {what}; write the arrays themselves into the file")
