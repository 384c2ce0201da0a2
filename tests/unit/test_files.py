"""Atomic writing leaves nothing behind, whatever happened before."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from contextssl_cli import files
from contextssl_cli.errors import CorruptFileError, DataMissingError, UnsafeFileError, UsageError

KILLED = """
import os, signal, sys
from pathlib import Path
from contextssl_cli import files
with files.atomic(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_left_is_removed_by_the_next_to_write(tmp_path: Path) -> None:
    path = tmp_path / "store.h5"
    subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    (left,) = names(tmp_path)
    assert left.endswith(".partial")
    files.write_text(path, "whole")
    assert names(tmp_path) == ["store.h5"]


def test_what_others_are_writing_stays(tmp_path: Path) -> None:
    path = tmp_path / "store.h5"
    elsewhere = tmp_path / ".store.h5.00000000-1.abc.partial"  # another machine's process numbers mean nothing here
    longer = tmp_path / f".store.h5.old.{files._place()}-999999999.abc.partial"  # of another file
    elsewhere.touch()
    longer.touch()
    with files.atomic(path):
        begun = set(names(tmp_path)) - {elsewhere.name, longer.name}
        assert all(f"-{os.getpid()}." in name for name in begun)
        files.write_text(path, "whole")  # a second writer of the same file
        assert begun < set(names(tmp_path))
    assert set(names(tmp_path)) == {"store.h5", elsewhere.name, longer.name}


def irregular(folder: Path) -> list[Path]:
    """One path of every kind that is no regular file."""
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "socket"))
    (folder / "folder").mkdir()
    (folder / "link-to-fifo").symlink_to(folder / "fifo")
    return [folder / name for name in ("fifo", "socket", "folder", "link-to-fifo")] + [Path("/dev/zero")]


def test_what_is_no_regular_file_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for path in irregular(tmp_path / "all"):
        with pytest.raises(UnsafeFileError, match=path.name):
            files.read_bytes(path)
    for path in [*irregular(tmp_path / "again"), tmp_path / "link"]:
        before = path.lstat()
        with pytest.raises(UsageError, match=path.name):
            files.write_text(path, "new")
        assert path.lstat().st_ino == before.st_ino
    assert (tmp_path / "target").read_text() == "kept"


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("words")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert files.read_text(tmp_path / "link") == "words"


@pytest.mark.parametrize("name", ["x" * 300, "loop", "gone", "file/below"])
def test_every_reason_why_a_path_cannot_be_read_names_it(name: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").touch()
    with pytest.raises(DataMissingError, match=name.rpartition("/")[2]):
        files.read_json(tmp_path / name)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "9" * 10_000, "", "\ud800"])
def test_json_that_no_parser_takes_is_a_corrupt_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "file.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(CorruptFileError, match=r"file\.json"):
        files.read_json(tmp_path / "file.json")
