"""Archives as sources: whole ones are read, and what is cut off or points outside is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import os
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contextssl_cli.errors import CorruptFileError, DataMissingError, UnsafeFileError
from contextssl_cli.plugin import archives
from contextssl_cli.plugin.archives import archive_files
from tests.small_images import write_archive

FILES = {f"./top/file{number}": bytes([number]) * 700 for number in range(40)}


def contents(path: Path) -> dict[str, bytes]:
    return {name: read() for name, read in archive_files(path)}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_files_come_with_their_content(tmp_path: Path, mode: str) -> None:
    path = write_archive(tmp_path / "archive", FILES, mode)
    assert contents(path) == {name.removeprefix("./"): data for name, data in FILES.items()}
    assert [name for name, _ in archive_files(path)] == [name.removeprefix("./") for name in FILES]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_an_archive_that_is_cut_off_anywhere(tmp_path: Path, mode: str) -> None:
    path = write_archive(tmp_path / "archive", FILES, mode)
    data = path.read_bytes()
    headers = [512 * block for block in (0, 3, 6)] if mode == "w" else []  # between two files
    for end in {0, 1, 100, len(data) // 3, len(data) // 2, len(data) * 3 // 4, *headers}:
        path.write_bytes(data[:end])
        with pytest.raises(CorruptFileError, match="is not a whole tar archive"):
            contents(path)


def test_a_missing_digest_at_the_end_is_found(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "archive", FILES)
    data = path.read_bytes()
    for broken in (data[:-4], data[:-8] + b"\0\0\0\0" + data[-4:]):
        path.write_bytes(broken)
        with pytest.raises(CorruptFileError, match="is not a whole tar archive"):
            contents(path)


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "archive", FILES)
    data = bytearray(gzip.decompress(path.read_bytes()))
    third = 512 * 3 * 2
    data[third : third + 100] = b"?" * 100
    path.write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(CorruptFileError, match="bad checksum"):
        contents(path)


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "a/..", "..\\evil", ".."])
def test_a_member_that_points_outside(tmp_path: Path, name: str) -> None:
    path = write_archive(tmp_path / "archive", {"good": b"x", name: b"harm", "more": b"y"})
    with pytest.raises(CorruptFileError, match="points outside") as caught:
        contents(path)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("inner/link")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(CorruptFileError, match="'inner/link', a link, a device"):
        contents(path)


def test_a_file_that_would_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_FILE", 600)
    path = write_archive(tmp_path / "archive", FILES)
    assert len([name for name, _ in archive_files(path)]) == len(FILES)  # what is not read may be large
    with pytest.raises(CorruptFileError, match=r"top/file0' has 700 bytes, expected 600 at most"):
        contents(path)


def test_names_that_are_not_utf8_are_escaped_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        member = tarfile.TarInfo("../caf\xe9")
        archive.addfile(member, io.BytesIO())
    with pytest.raises(CorruptFileError, match=r"caf\\\\xe9"):
        contents(path)


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def attributes(**values: str) -> bytes:
    """A member's attributes as pax writes them; each line begins with its own length."""
    lines = [f" {key.replace('__', '.')}={value}\n" for key, value in values.items()]
    data = "".join(f"{len(line) + 2 + (len(line) > 97)}{line}" for line in lines).encode()
    return header("././@PaxHeader", len(data), tarfile.XHDTYPE) + padded(data)


def long_name(size: int) -> Iterator[bytes]:
    yield header("././@LongLink", size, tarfile.GNUTYPE_LONGNAME) + bytes(size)


def long_attributes(size: int) -> Iterator[bytes]:
    yield header("././@PaxHeader", size, tarfile.XHDTYPE) + b"%d comment=" % size + bytes(size)


def sparse_map(size: int) -> Iterator[bytes]:
    yield attributes(GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__name="a", GNU__sparse__realsize="9")
    yield header("a", size) + b"%d\n" % size + b"0\n" * size


def chained_headers(size: int) -> Iterator[bytes]:
    for _ in range(size // 512):
        yield header("././@LongLink", 3, tarfile.GNUTYPE_LONGNAME) + padded(b"ab\0")


def sparse_file(size: int) -> Iterator[bytes]:
    yield attributes(GNU__sparse__size=str(size), GNU__sparse__map="0,0") + header("a", 0)


def skipped(size: int) -> Iterator[bytes]:
    for number in range(4):
        yield header(f"not-read{number}", size // 4) + bytes(size // 4)


def trailing(size: int) -> Iterator[bytes]:
    yield header("a", 0) + bytes(1024 + size)


def empty_files(size: int) -> Iterator[bytes]:
    for number in range(size // 512):
        yield header(str(number), 0)


BOMBS = [long_name, long_attributes, sparse_map, chained_headers, sparse_file, skipped, trailing, empty_files]


@pytest.mark.parametrize(
    ("bomb", "pack"),
    [*itertools.product(BOMBS, (bytes, gzip.compress)), (skipped, bz2.compress), (skipped, lzma.compress)],
)
def test_what_would_fill_memory_or_time_is_refused(
    tmp_path: Path, bomb: Callable[[int], Iterator[bytes]], pack: Callable[[bytes], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(archives, "LARGEST_ARCHIVE", 1 << 19)
    monkeypatch.setattr(archives, "LARGEST_HEADER", 1 << 15)
    monkeypatch.setattr(archives, "MOST_MEMBERS", 100)
    path = tmp_path / "archive"
    path.write_bytes(pack(b"".join(bomb(1 << 20)) + bytes(1024)))
    with pytest.raises(UnsafeFileError, match=path.name):
        for _ in archive_files(path):
            pass


def test_many_headers_in_a_row_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "archive.tar"
    path.write_bytes(b"".join(chained_headers(1 << 19)) + header("a", 0) + bytes(1024))
    with pytest.raises(CorruptFileError, match=path.name):
        contents(path)


def test_a_dictionary_larger_than_memory(tmp_path: Path) -> None:
    """The header of xz may ask for 4 GiB; whether they are given, no more than what is unpacked is used."""
    data = bytearray(lzma.compress(header("a", 600) + padded(b"x" * 600) + bytes(1024), preset=0))
    size = 4 * (data[12] + 1)
    block = data[12 : 12 + size]
    block[block.index(b"\x21\x01") + 2] = 40
    block[-4:] = struct.pack("<I", zlib.crc32(block[:-4]))
    data[12 : 12 + size] = block
    path = tmp_path / "archive.tar.xz"
    path.write_bytes(data)
    try:
        assert contents(path) == {"a": b"x" * 600}
    except CorruptFileError as error:
        assert path.name in str(error)  # noqa: PT017 - a machine with less memory


def test_archives_in_archives_are_files(tmp_path: Path) -> None:
    inner = write_archive(tmp_path / "inner.tar.gz", FILES).read_bytes()
    path = write_archive(tmp_path / "outer.tar.gz", {"inner.tar.gz": inner})
    assert contents(path) == {"inner.tar.gz": inner}


@pytest.mark.parametrize("name", ["fifo", "gone", "/dev/zero", "folder"])
def test_what_is_no_file_is_not_read(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataMissingError if name == "gone" else UnsafeFileError, match=name):
        contents(tmp_path / name)
