"""Preparation in parts: several processes, and going on after a death."""

from __future__ import annotations

import functools
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from contextssl_cli.data.parts import parts_folder
from contextssl_cli.data.prepare import prepare
from contextssl_cli.errors import ContextSSLError, CorruptFileError, PluginError, UsageError
from contextssl_cli.plugin import Dataset, Options, Prepared
from tests.small_parts import COUNT, make
from tests.tiny import image_schema


class InParts(Dataset):
    name = "inparts"
    summary = "images in parts"
    modality = "image"
    licence = "none"
    needs_source = False

    class Chosen(Options):
        size: int = 8

    options = Chosen

    def __init__(self, trace: Path, fault: str = "") -> None:
        self.trace, self.fault = trace, fault

    def prepare(self, source: Path | None, options: Options) -> Prepared:
        parts = [functools.partial(make, number, self.trace, self.fault) for number in range(COUNT)]
        return Prepared(image_schema(8, 8, dataset="inparts"), parts=parts, notes={"colour": "grey"})


def times_made(trace: Path) -> list[int]:
    return [len((trace / str(number)).read_text()) if (trace / str(number)).exists() else 0 for number in range(COUNT)]


def test_parts_are_joined_in_order(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    store = prepare(InParts(tmp_path), out=tmp_path / "s.h5", report=lambda *news: told.append(news))
    assert store.train.inputs()[:, 0, 0, 0].tolist() == [1, 1, 1, 3, 3, 3, 5, 5, 5]
    assert store.provenance["skipped"] == COUNT
    assert store.provenance["notes"] == {"colour": "grey"}
    assert store.provenance["options"] == {"size": 8}
    assert (told[0], told[-1]) == ((0, COUNT), (COUNT, COUNT))
    assert not parts_folder(tmp_path / "s.h5").exists()


def test_the_folder_of_the_parts_is_never_a_link(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "000000.h5").write_text("precious")
    parts_folder(tmp_path / "s.h5").symlink_to(mine)
    with pytest.raises(UsageError, match="is a symbolic link"):
        prepare(InParts(tmp_path), out=tmp_path / "s.h5")
    assert (mine / "000000.h5").read_text() == "precious"
    assert not (tmp_path / "s.h5").exists()


@pytest.mark.parametrize("name", ["thesis.txt", "photo.h5", ".hidden", "folder/000000.h5"])
def test_only_parts_are_removed(name: str, tmp_path: Path) -> None:
    other = parts_folder(tmp_path / "s.h5") / name
    other.parent.mkdir(parents=True)
    other.write_text("precious")
    prepare(InParts(tmp_path), out=tmp_path / "s.h5")
    assert other.read_text() == "precious"
    left = [path for path in parts_folder(tmp_path / "s.h5").rglob("*") if path.is_file()]
    assert left == [other]


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [("ours", CorruptFileError, "part 5 is bad"), ("odd", PluginError, "RuntimeError: odd"),
     ("death", ContextSSLError, "finished parts are kept")],
)  # fmt: skip
def test_after_a_failure_only_the_missing_part_is_made(
    fault: str, error: type[Exception], text: str, tmp_path: Path
) -> None:
    path = tmp_path / "s.h5"
    with pytest.raises(error, match=text):
        prepare(InParts(tmp_path, fault), out=path)
    assert not path.exists()
    kept = {int(part.stem) for part in parts_folder(path).glob("*.h5")}
    before = times_made(tmp_path)
    resumed = prepare(InParts(tmp_path), out=path)
    again = [after - once for after, once in zip(times_made(tmp_path), before, strict=True)]
    assert {number for number in range(COUNT) if again[number]} == set(range(COUNT)) - kept
    assert resumed.content_hash == prepare(InParts(tmp_path), out=tmp_path / "whole.h5").content_hash


def test_parts_of_other_options_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    with pytest.raises(CorruptFileError):
        prepare(InParts(tmp_path, "ours"), out=path)
    before = times_made(tmp_path)
    prepare(InParts(tmp_path), out=path, options={"size": 9})
    assert all(after > once for after, once in zip(times_made(tmp_path), before, strict=True))


def test_a_store_of_other_options_is_not_taken_for_the_asked_one(tmp_path: Path) -> None:
    prepare(InParts(tmp_path), out=tmp_path / "s.h5")
    prepare(InParts(tmp_path), out=tmp_path / "s.h5", options={"size": 8})
    with pytest.raises(UsageError, match=r"prepared with size = 8.*--force"):
        prepare(InParts(tmp_path), out=tmp_path / "s.h5", options={"size": 9})
    with pytest.raises(UsageError, match="no option 'sise'"):
        prepare(InParts(tmp_path), out=tmp_path / "s.h5", options={"sise": 9})


def test_a_killed_preparation_leaves_no_process_behind(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.small_parts", tmp_path], cwd=root, stderr=subprocess.DEVNULL
    )
    wait_until((tmp_path / "pid").exists)
    wait_until(lambda: bool((tmp_path / "pid").read_text()))
    worker = int((tmp_path / "pid").read_text())
    process.kill()
    process.wait()
    wait_until(lambda: not is_running(worker))


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail("waited for a minute in vain")


def is_running(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(") ")[2][0] != "Z"
