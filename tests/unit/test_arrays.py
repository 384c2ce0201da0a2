"""A user's own array files: harmless variety is read; what is hostile or broken is refused before it takes memory."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, UnsafeFileError
from contextssl_cli.store.arrays import read_arrays

VALUES = np.arange(24, dtype=np.float64).reshape(2, 3, 4) / 24


def npy(array: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


def declared(shape: str, descr: str = "'<f8'", data: bytes = b"") -> bytes:
    """An ``.npy`` file whose header says this."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def archive(path: Path, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


HARMLESS: dict[str, np.ndarray] = {
    "big-endian": VALUES.astype(">f8"),
    "big-endian integers": (VALUES * 24).astype(">i2"),
    "Fortran order": np.asfortranarray(VALUES),
    "float16": VALUES.astype(np.float16),
    "bool": VALUES > 0.5,
    "a single number": np.array(3.0),
    "no samples": np.zeros((0, 3)),
    "a long double": VALUES.astype(np.longdouble),
    "text": np.array(["a", "b"]),
}


@pytest.mark.parametrize("case", HARMLESS)
@pytest.mark.parametrize("suffix", [".npy", ".NPY", ".npz", ".Npz"])
def test_arrays_come_back_as_they_were(tmp_path: Path, case: str, suffix: str) -> None:
    array, path = HARMLESS[case], tmp_path / f"mine{suffix}"
    with path.open("wb") as stream:
        if suffix.lower() == ".npy":
            np.save(stream, array)
        else:
            np.savez_compressed(stream, x=array)
    (found,) = read_arrays(path).values()
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


REFUSED: dict[str, bytes] = {
    "a gigantic shape": declared("(1000000000, 1000000000)"),
    "a shape beyond 64 bits": declared("(9999999999999999999999, 4)"),
    "more than the file holds": declared("(3,)", data=bytes(16)),
    "a negative shape": declared("(-1, -2)", data=bytes(16)),
    "a shape of text": declared("('3',)", data=bytes(16)),
    "a deep header": declared("(" * 3000 + ")" * 3000),
    "a long header": declared("(" + "1, " * 20_000 + ")"),
    "code in the header": declared("__import__('os').getcwd()"),
    "objects": npy(np.array([{}, {}], dtype=object), allow_pickle=True),
    "objects in fields": npy(np.array([(1, {})], dtype=[("a", int), ("b", object)]), allow_pickle=True),
    "named fields": npy(np.array([(1, 2.0)], dtype=[("a", int), ("b", float)])),
    "named fields, not ASCII": npy(np.array([(1, 2.0)], dtype=[("é", int), ("日", float)]), version=(3, 0)),
    "a pickle": pickle.dumps([1, 2]),
    "text": b"1,2,3\n",
    "nothing": b"",
    "a newer version": b"\x93NUMPY\x09\x00" + npy(VALUES)[8:],
    "cut off in the header": npy(VALUES)[:50],
    "cut off in the data": npy(VALUES)[:-1],
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_what_cannot_be_numbers_is_refused_by_name(tmp_path: Path, case: str, kind: str) -> None:
    path = tmp_path / f"mine.{kind}"
    if kind == "npy":
        path.write_bytes(REFUSED[case])
    else:
        archive(path, [("x.npy", REFUSED[case])])
    with pytest.raises(CorruptFileError, match="mine") as caught:
        read_arrays(path)
    assert len(str(caught.value).splitlines()) == 1


def bomb(path: Path) -> None:
    zeros = npy(np.zeros(2**20, np.uint8))
    archive(path, [(f"{number}.npy", zeros) for number in range(20)], zipfile.ZIP_DEFLATED)


def lying_directory(path: Path) -> None:
    """Declares that the member unpacks to 3 GiB."""
    archive(path, [("x.npy", npy(VALUES))], zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 3 * 2**30)
    path.write_bytes(data)


def small_directory(path: Path) -> None:
    """Declares that the member unpacks to fewer bytes than it does."""
    archive(path, [("x.npy", npy(np.zeros(2**20, np.uint8)))], zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 200)
    path.write_bytes(data)


def same_name(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        archive(path, [("x.npy", npy(VALUES)), ("x.npy", npy(VALUES + 1))])


def same_name_without_suffix(path: Path) -> None:
    archive(path, [("x.npy", npy(VALUES)), ("x", npy(VALUES + 1))])


def other_file(path: Path) -> None:
    archive(path, [("x.npy", npy(VALUES)), ("readme.txt", b"hello")])


def encrypted(path: Path) -> None:
    archive(path, [("x.npy", npy(VALUES))])
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1
    path.write_bytes(data)


def bad_checksum(path: Path) -> None:
    archive(path, [("x.npy", npy(VALUES))])
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (bomb, UnsafeFileError),
        (lying_directory, UnsafeFileError),
        (small_directory, CorruptFileError),
        (same_name, CorruptFileError),
        (same_name_without_suffix, CorruptFileError),
        (other_file, CorruptFileError),
        (encrypted, CorruptFileError),
        (bad_checksum, CorruptFileError),
    ],
)
def test_archives_that_are_refused(
    tmp_path: Path, make: Callable[[Path], None], error: type[ContextSSLError], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.npz"
    make(path)
    if make is bomb:
        monkeypatch.setattr("contextssl_cli.store.arrays.MAX_UNPACKED", 2**24)  # in place of 1 GiB
    with pytest.raises(error, match=r"mine\.npz") as caught:
        read_arrays(path)
    assert type(caught.value) is error


@pytest.mark.parametrize("name", ["../x", "/etc/x", "C:\\x", "a/../../x", "x\x1b[31m", "actions/rotation", "é", ""])
def test_names_in_an_archive_are_names_and_no_paths(tmp_path: Path, name: str) -> None:
    path = archive(
        tmp_path / "deep.npz", [(f"{name}.npy", npy(VALUES)), ("__MACOSX/._x.npy", b"resource fork"), ("d/", b"")]
    )
    assert list(read_arrays(path)) == [name]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep.npz"]


def test_zeros_may_be_packed_well(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "zeros.npz", x=np.zeros((2**22,), np.uint8))
    assert read_arrays(tmp_path / "zeros.npz")["x"].shape == (2**22,)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
@pytest.mark.parametrize("kind", ["FIFO", "folder", "device", "nothing"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str, suffix: str) -> None:
    path = tmp_path / f"mine{suffix}"
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    with pytest.raises(DataMissingError if kind == "nothing" else UnsafeFileError, match="mine"):
        read_arrays(path)
