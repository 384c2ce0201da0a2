"""Archives as sources: whole ones are read, and what is cut off or points outside is refused."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from contextssl_cli.errors import CorruptFileError
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
    with pytest.raises(CorruptFileError, match="'inner/link', a link or a device"):
        contents(path)


def test_a_file_that_would_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_MEMBER", 600)
    path = write_archive(tmp_path / "archive", FILES)
    assert len([name for name, _ in archive_files(path)]) == len(FILES)  # what is not read may be large
    with pytest.raises(CorruptFileError, match="top/file0 has 700 bytes, expected 600 at most"):
        contents(path)


def test_names_that_are_not_utf8_are_escaped_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        member = tarfile.TarInfo("../caf\xe9")
        archive.addfile(member, io.BytesIO())
    with pytest.raises(CorruptFileError, match=r"caf\\\\xe9"):
        contents(path)
