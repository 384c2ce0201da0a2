"""Walking a folder of images: links, loops, depth and odd entries."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path

import pytest

from contextssl_cli.store.folders import notes, walk
from tests.small_images import write_files


def found(root: Path) -> list[str]:
    return [os.path.relpath(path, root) for path in walk(root).all_images()]


def test_files_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    paths = ["b.jpg", "a/2.jpg", "a/10.PNG", "a/b/c.webp", "a/b.gif", "A/z.tiff", "a/a.txt"]
    write_files(tmp_path, dict.fromkeys(paths, b""))
    assert found(tmp_path) == ["b.jpg", "A/z.tiff", "a/10.PNG", "a/2.jpg", "a/b/c.webp", "a/b.gif"]
    assert walk(tmp_path).others == [str(tmp_path / "a" / "a.txt")]


@pytest.mark.parametrize("target", ["cat", ".", "..", "dog/up", "cat/again"])
def test_a_loop_of_links_ends(tmp_path: Path, target: str) -> None:
    root = write_files(tmp_path / "root", {"cat/1.jpg": b"", "dog/2.jpg": b""})
    (root / "dog" / "up").symlink_to(root)
    (root / "cat" / "again").symlink_to(root / target)
    images = found(root)
    assert {"cat/1.jpg", "dog/2.jpg"} <= set(images)
    assert len(images) == len(set(images)) <= 4


def test_folders_that_all_link_to_one_another_take_no_time(tmp_path: Path) -> None:
    names = [f"{number:02}" for number in range(14)]  # followed along every way, these are 14! files
    for name in names:
        write_files(tmp_path, {f"{name}/image.jpg": b""})
        for other in names:
            (tmp_path / name / other).symlink_to(tmp_path / other)
    tree = walk(tmp_path)
    assert {name: len(paths) for name, paths in tree.folders.items()} == dict.fromkeys(names, 14)
    assert set(notes(tree)) == {
        "links to folders that were already read, skipped",
        "images that are links to other images",
    }


def test_a_folder_linked_from_two_others_is_in_both(tmp_path: Path) -> None:
    write_files(tmp_path / "outside", {"deep/1.jpg": b""})
    for name in ("cat", "dog"):
        (tmp_path / "root" / name).mkdir(parents=True)
        (tmp_path / "root" / name / "shared").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "cat" / "twice").symlink_to(tmp_path / "outside" / "deep")
    assert found(tmp_path / "root") == ["cat/shared/deep/1.jpg", "dog/shared/deep/1.jpg"]


def test_folders_deeper_than_the_stack_of_python(tmp_path: Path) -> None:
    write_files(tmp_path, {f"{'d/' * 150}1.jpg": b""})
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        assert len(found(tmp_path)) == 1
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("kind", ["link to itself", "link to nothing", "FIFO", "folder"])
def test_odd_entries_are_files_by_their_names(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "cat" / "odd.jpg"
    path.parent.mkdir()
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path if kind == "link to itself" else "nowhere")
    assert found(tmp_path) == ([] if kind == "folder" else ["cat/odd.jpg"])
