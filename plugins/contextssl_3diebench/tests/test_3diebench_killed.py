"""Preparation that is killed goes on with what is missing, and ends with the same store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from diebench_tree import TEST, write_tree

from contextssl_cli.data.parts import parts_folder
from contextssl_cli.store.dataset import Store

OBJECTS = [f"/02691156/{number:03}" for number in range(40)]
VIEWS = 10
PREPARE = """
import sys
from pathlib import Path
from contextssl_3diebench import diebench
from contextssl_cli.data.prepare import prepare

diebench.OBJECTS_PER_PART = 1
if __name__ == "__main__":
    print(prepare(diebench.DIEBench(), Path(sys.argv[1]), Path(sys.argv[2])).content_hash)
"""


def started(script: Path, tree: Path, out: Path) -> subprocess.Popen[str]:
    """In a session of its own, so that a kill reaches the processes that it starts."""
    command = [sys.executable, str(script), str(tree), str(out)]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, text=True)


def finished(script: Path, tree: Path, out: Path) -> str:
    process = started(script, tree, out)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return printed.strip()


def done(out: Path) -> set[int]:
    return {int(path.stem) for path in parts_folder(out).glob("0*.h5")}


def test_a_killed_preparation_goes_on_without_repeating_what_is_done(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", views=VIEWS, train=OBJECTS)
    script, out = tmp_path / "run.py", tmp_path / "store.h5"
    script.write_text(PREPARE)
    whole = finished(script, tree, tmp_path / "whole.h5")

    for more in (1, 8):  # killed twice: early, and later on
        process, before = started(script, tree, out), len(done(out))
        deadline = time.monotonic() + 100
        while len(done(out)) < before + more:
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert not out.exists()

    kept = done(out)
    assert 9 <= len(kept) < len(OBJECTS) + len(TEST)
    for number in kept:  # the last parts are the test objects
        place = [*OBJECTS, *TEST][number]
        for path in (tree / place[1:]).iterdir():
            path.write_bytes(b"a second reading would fail")

    assert finished(script, tree, out) == whole
    assert not parts_folder(out).exists()
    with Store(out) as store:
        assert store.content_hash == whole
        assert len(store.train) == len(OBJECTS) * VIEWS


def test_other_options_do_not_take_up_kept_parts(tmp_path: Path) -> None:
    from contextssl_3diebench.diebench import DIEBench
    from contextssl_cli.data.prepare import prepare
    from contextssl_cli.errors import CorruptFileError

    tree = write_tree(tmp_path / "tree")
    image = tree / TEST[1][1:] / "image_0.jpg"
    good = image.read_bytes()
    image.write_bytes(b"")
    with pytest.raises(CorruptFileError):
        prepare(DIEBench(), tree, tmp_path / "store.h5")
    image.write_bytes(good)
    small = prepare(DIEBench(), tree, tmp_path / "store.h5", options={"size": 32})
    assert small.train.inputs().shape[1:] == (32, 32, 3)
