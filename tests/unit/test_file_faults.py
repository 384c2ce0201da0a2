"""Every way in which one of our HDF5 files can be wrong, or its writing can fail."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import pytest

from contextssl_cli.errors import CorruptFileError, DataMissingError
from contextssl_cli.store import hdf5
from tests.small_files import READ, ROWS, WRITE, write_context

kinds = pytest.mark.parametrize("kind", WRITE)


@pytest.fixture
def good(kind: str, tmp_path: Path) -> Path:
    path = tmp_path / f"{kind}.h5"
    WRITE[kind](path)
    return path


@kinds
def test_a_whole_file_is_read(kind: str, good: Path) -> None:
    READ[kind](good)
    assert [path.name for path in good.parent.iterdir()] == [good.name]


@kinds
def test_a_file_cut_off_anywhere_is_corrupt_and_nothing_else(kind: str, good: Path) -> None:
    whole = good.read_bytes()
    lengths = {0, 1, 7, 8, 47, 48, 95, 96, len(whole) // 2, len(whole) - 1, *range(0, len(whole), len(whole) // 60)}
    for length in lengths:
        good.write_bytes(whole[:length])
        with pytest.raises(CorruptFileError, match=good.name):
            READ[kind](good)


@kinds
@pytest.mark.parametrize("structure", [b"OHDR", b"GCOL", b"EAHD", b"EAIB"])
def test_a_damaged_structure_is_corrupt_or_harmless_and_nothing_else(kind: str, structure: bytes, good: Path) -> None:
    whole = good.read_bytes()
    places = [found.start() for found in re.finditer(structure, whole)]
    if not places:
        pytest.skip("only a file that grew has this structure")
    refused = 0
    for place in places:
        good.write_bytes(whole[:place] + b"XXXX" + whole[place + 4 :])
        try:
            READ[kind](good)
        except CorruptFileError as error:
            assert good.name in str(error)  # noqa: PT017 - what is not read raises nothing
            refused += 1
    assert refused


def change(path: Path, **attributes: Any) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs.update(attributes)


@kinds
def test_a_newer_format_asks_for_an_upgrade(kind: str, good: Path) -> None:
    change(good, version=99)
    with pytest.raises(CorruptFileError, match=r"version 99.*upgrade"):
        READ[kind](good)


@kinds
def test_an_incomplete_file_is_refused(kind: str, good: Path) -> None:
    change(good, complete=False)
    with pytest.raises(CorruptFileError, match="incomplete"):
        READ[kind](good)


@kinds
@pytest.mark.parametrize("version", ["one", 1.5])
def test_a_version_that_is_no_number_is_refused(kind: str, good: Path, version: Any) -> None:
    change(good, version=version)
    with pytest.raises(CorruptFileError, match="no integer attribute 'version'"):
        READ[kind](good)


@pytest.mark.parametrize(("kind", "other"), list(itertools.permutations(WRITE, 2)))
def test_another_of_our_kinds_is_refused_by_name(kind: str, other: str, good: Path) -> None:
    with pytest.raises(CorruptFileError, match=rf"{good.name}.*\b{kind}\b.*\b{other}\b"):
        READ[other](good)


@kinds
def test_a_foreign_file_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "foreign.h5"
    with h5py.File(path, "w") as file:
        file["data"] = ROWS
    with pytest.raises(CorruptFileError, match="unknown"):
        READ[kind](path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(CorruptFileError, match=path.name):
        READ[kind](path)
    with pytest.raises(CorruptFileError, match="folder"):
        READ[kind](tmp_path)
    with pytest.raises(DataMissingError):
        READ[kind](tmp_path / "nothing.h5")


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("store", "train"),
        ("store", "test/inputs"),
        ("store", "train/labels/kind"),
        ("context", "y"),
        ("embeddings", "embeddings"),
    ],
)
def test_a_missing_array_is_corrupt(kind: str, missing: str, good: Path) -> None:
    with h5py.File(good, "r+") as file:
        del file[missing]
    with pytest.raises(CorruptFileError, match=missing.split("/")[-1]):
        READ[kind](good)


@pytest.mark.parametrize(("kind", "attribute"), [("store", "schema"), ("store", "provenance"), ("embeddings", "about")])
def test_a_damaged_header_is_corrupt(kind: str, attribute: str, good: Path) -> None:
    change(good, **{attribute: "{"})
    with pytest.raises(CorruptFileError, match=good.name):
        READ[kind](good)


def test_a_failure_while_writing_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    write_context(path)
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), hdf5.create_file(path, "contextssl-context", 1) as file:
        file["x"] = ROWS / (1 // len(file))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def child(code: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run code in another process, which may come to harm."""
    program = f"import os, signal, sys\nfrom tests.small_files import *\npath = Path(sys.argv[1])\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    write_context(path)
    before = path.read_bytes()
    done = child(
        "with hdf5.create_file(path, 'contextssl-context', 1) as file:\n"
        "    file['x'] = ROWS\n    file.flush()\n    os.kill(os.getpid(), signal.SIGKILL)",
        path,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert path.read_bytes() == before


FULL_DISK = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    WRITE[{kind!r}](path, np.zeros((20_000, 3), np.float32))
except ContextSSLError as error:
    sys.exit(f"exit code {{error.exit_code}}: {{error}}")
"""


@kinds
def test_a_full_disk_is_said_and_leaves_the_old_file_and_no_other(kind: str, good: Path) -> None:
    if not hasattr(signal, "SIGXFSZ"):
        pytest.skip("this system cannot limit the size of a file")
    before = good.read_bytes()
    done = child(FULL_DISK.format(kind=kind), good)
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert f"exit code 1: no space left while writing {good}" in done.stderr
    assert good.read_bytes() == before
    assert os.listdir(good.parent) == [good.name]  # noqa: PTH208
