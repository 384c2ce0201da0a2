"""Lists and latents whose headers declare anything, and files that are none: refused before they are read."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diebench_tree import TRAIN, prepared, write_tree

from contextssl_3diebench.diebench import DIEBench, DIEBenchOptions
from contextssl_3diebench.lists import read_lists
from contextssl_3diebench.views import read_latents, read_view
from contextssl_cli.errors import CorruptFileError, DataMissingError, UnsafeFileError


def npy(shape: str, kind: str = "<f8", order: str = "False", data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    """A file with any header."""
    header = f"{{'descr': {kind!r}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    size = struct.pack("<H" if version == b"\1\0" else "<I", len(header))
    return b"\x93NUMPY" + version + size + header + data


def saved(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def zipped() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, latents=np.zeros(7))
    return stream.getvalue()


SEVEN = bytes(56)
HOSTILE: dict[str, bytes] = {
    "more than any memory": npy("(1099511627776,)"),
    "more than any number": npy(f"({2**62}, {2**62})"),
    "more than the file": npy("(9,)", data=SEVEN),
    "nothing, many times": npy("(1000000000000,)", "<U0"),
    "a large type": npy("(7,)", "|V2000000000"),
    "less than nothing": npy("(-7,)", data=SEVEN),
    "twice less than nothing": npy("(-1, -7)", data=SEVEN),
    "no number of numbers": npy("('7',)", data=SEVEN),
    "a call": npy("__import__('os').abort()", data=SEVEN),
    "brackets in brackets": npy("(" * 3000 + ")" * 3000, data=SEVEN),
    "a text that nothing closes": npy("'''", data=SEVEN),
    "a header beyond all measure": npy("(7,)" + " " * 20_000, data=SEVEN),
    "another version": npy("(7,)", data=SEVEN, version=b"\3\0"),
    "a version that never was": npy("(7,)", data=SEVEN, version=b"\x09\0"),
    "objects": saved(np.array([{}] * 7)),
    "fields": saved(np.zeros(7, [("a", "f8")])),
    "complex numbers": saved(np.zeros(7, complex)),
    "times": saved(np.zeros(7, "M8[s]")),
    "a number alone": saved(np.float64(3)),
    "a column": saved(np.zeros((7, 1))),
    "a zip file": zipped(),
    "half a header": npy("(7,)")[:30],
    "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_latents_that_declare_anything(name: str, tmp_path: Path) -> None:
    path = tmp_path / "latent_0.npy"
    path.write_bytes(HOSTILE[name])
    tracemalloc.start()
    with pytest.raises(CorruptFileError, match=r"latent_0\.npy"):
        read_latents(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("which", ["train_images", "train_labels"])
def test_lists_that_declare_anything(which: str, name: str, tmp_path: Path) -> None:
    for prefix in ("train", "val"):
        np.save(tmp_path / f"{prefix}_images.npy", np.array(TRAIN))
        np.save(tmp_path / f"{prefix}_labels.npy", np.array([0, 0, 1, 1]))
    (tmp_path / f"{which}.npy").write_bytes(HOSTILE[name])
    lists = {path.stem: path for path in tmp_path.iterdir()}
    with pytest.raises(CorruptFileError, match=rf"{which}\.npy"):
        read_lists(lists)


HARMLESS: dict[str, bytes] = {
    "another byte order": saved(np.arange(7, dtype=">f8")),
    "half precision": saved(np.arange(7, dtype=np.float16)),
    "quadruple precision": saved(np.arange(9, dtype=np.longdouble)),
    "whole numbers": saved(np.arange(7, dtype=">i2")),
    "the order of Fortran": npy("(7,)", order="True", data=np.arange(7.0).tobytes()),
    "version 2": npy("(7,)", data=np.arange(7.0).tobytes(), version=b"\2\0"),
    "Python 2": npy("(7L,)", data=np.arange(7.0).tobytes()),
    "more behind it": saved(np.arange(7.0)) + b"more",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_other_forms_of_latents_are_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "latent_0.npy"
    path.write_bytes(HARMLESS[name])
    assert read_latents(path)[:7].tolist() == list(range(7))


@pytest.mark.parametrize("kind", [np.dtype("S40"), np.dtype(">U40"), np.dtype("U300")])
def test_other_forms_of_lists_are_read(kind: np.dtype[Any], tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", views=2)
    with prepared(tree, tmp_path) as store:
        expected = store.content_hash
    path = tree / "train_images.npy"
    np.save(path, np.load(path).astype(kind))
    np.save(tree / "train_labels.npy", np.load(tree / "train_labels.npy").astype(">u2"))
    with prepared(tree, tmp_path) as store:
        assert store.content_hash == expected


PLACES = [
    "/02691156/a\0b", "/02691156/a\ud800", "/02691156/\x1b[31ma", f"/02691156/{'a' * 300}", "/02691156/a\n1",
    f"/02691156/a1/image_{'9' * 5000}.jpg", "/02691156/a\u202e1", "//", "/02691156/../../etc",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_an_entry_that_names_no_folder(place: str, tmp_path: Path) -> None:
    for prefix in ("train", "val"):
        np.save(tmp_path / f"{prefix}_images.npy", np.array([place]))
        np.save(tmp_path / f"{prefix}_labels.npy", np.array([0]))
    with pytest.raises(CorruptFileError, match=r"train_images\.npy") as caught:
        read_lists({path.stem: path for path in tmp_path.iterdir()})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("data", [b"\xff" * 32, b"\xff\xff\x10\x00" * 4 + b"\0\0\x11\0" * 4])
def test_texts_of_what_is_no_character(data: bytes, tmp_path: Path) -> None:
    for prefix in ("train", "val"):
        (tmp_path / f"{prefix}_images.npy").write_bytes(npy("(4,)", "<U2", data=data))
        np.save(tmp_path / f"{prefix}_labels.npy", np.zeros(4, int))
    with pytest.raises(CorruptFileError, match=r"train_images\.npy"):
        read_lists({path.stem: path for path in tmp_path.iterdir()})


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def terabyte(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


IRREGULAR = [
    (fifo, UnsafeFileError),
    (device, UnsafeFileError),
    (Path.mkdir, UnsafeFileError),
    (Path.exists, DataMissingError),
]


@pytest.mark.parametrize("name", ["image_0.jpg", "latent_0.npy"])
@pytest.mark.parametrize(("make", "error"), [*IRREGULAR, (terabyte, CorruptFileError)])
def test_a_view_that_is_no_file(
    name: str, make: Callable[[Path], object], error: type[Exception], tmp_path: Path
) -> None:
    folder = write_tree(tmp_path / "tree", views=1, train=TRAIN[:1]) / TRAIN[0][1:]
    (folder / name).unlink()
    make(folder / name)
    with pytest.raises(error, match=rf"{name}.*--skip-corrupt" if make is not terabyte else name):
        read_view(folder, 0, 16)


@pytest.mark.parametrize("name", ["train_images.npy", "val_labels.npy"])
@pytest.mark.parametrize(("make", "error"), IRREGULAR)
def test_a_list_that_is_no_file(
    name: str, make: Callable[[Path], object], error: type[Exception], tmp_path: Path
) -> None:
    tree = write_tree(tmp_path / "tree", views=1, train=TRAIN[:1])
    (tree / name).unlink()
    make(tree / name)
    with pytest.raises(error, match=name):
        DIEBench().prepare(tree, DIEBenchOptions())


@pytest.mark.parametrize(
    ("name", "error"), [("/dev/zero", UnsafeFileError), ("fifo", UnsafeFileError), ("x" * 300, DataMissingError)]
)
def test_a_source_that_is_no_folder(name: str, error: type[Exception], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(error, match=f"--source .*{name}"):
        DIEBench().prepare(tmp_path / name, DIEBenchOptions())
