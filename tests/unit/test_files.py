"""Atomic writing leaves nothing behind, whatever happened before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from contextssl_cli import files

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
