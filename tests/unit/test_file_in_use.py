"""A file that another process has open for writing is neither called damaged nor replaced."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from contextssl_cli.data.prepare import prepare
from contextssl_cli.errors import ContextSSLError, CorruptFileError, FileInUseError
from contextssl_cli.plugin.registry import registry
from contextssl_cli.store import hdf5
from contextssl_cli.store.arrays import read_arrays
from contextssl_cli.store.embeddings import EMBEDDINGS_KIND
from contextssl_cli.store.replace import check_replaceable
from tests.small_files import READ, ROWS, WRITE

HOLD = """
import sys, h5py
held = []
for path in sys.argv[1:]:
    mode = "w" if "new" in path else "r" if "read" in path else "r+"
    held.append(h5py.File(path, mode, libver="v110"))
    if "swmr" in path:
        held[-1].swmr_mode = True
print("held", flush=True)
sys.stdin.read()
"""
HELD = ("store", "context", "embeddings", "context-swmr", "store-new", "context-read")


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of files that another process has open; the name says how."""
    folder = tmp_path_factory.mktemp("held")
    for name in HELD:
        WRITE[name.partition("-")[0]](folder / f"{name}.h5")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, *(str(folder / f"{name}.h5") for name in HELD)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield folder


@pytest.mark.parametrize("name", HELD[:-1])
def test_a_file_that_another_process_writes_is_in_use_for_everybody(name: str, held: Path) -> None:
    path = held / f"{name}.h5"
    before = path.read_bytes()
    kind = name.partition("-")[0]
    for use in (
        READ[kind], WRITE[kind], hdf5.kind_of, read_arrays, hdf5.check_not_in_use,
        lambda path: check_replaceable(path, EMBEDDINGS_KIND),
    ):  # fmt: skip
        with pytest.raises(FileInUseError, match=path.name) as caught:
            use(path)
        assert (caught.value.code, caught.value.exit_code) == ("E301", 3)
    assert path.read_bytes() == before
    assert not list(held.glob(".*"))


@pytest.mark.parametrize("force", [True, False])
def test_a_store_that_another_process_writes_is_not_prepared_again(force: bool, held: Path) -> None:
    path = held / "store.h5"
    before = path.read_bytes()
    with pytest.raises(FileInUseError, match=r"store\.h5") as caught:
        prepare(registry().dataset("digits"), out=path, force=force)
    assert "--force" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_file_that_another_process_reads_is_read_and_replaced(held: Path) -> None:
    path = held / "context-read.h5"
    READ["context"](path)
    WRITE["context"](path, ROWS + 1)
    np.testing.assert_array_equal(READ["context"](path).x, ROWS + 1)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EAGAIN])
def test_a_file_system_without_locks_is_named(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "context.h5"
    WRITE["context"](path)

    def refuse(*_: Any, **__: Any) -> None:
        reason = f"unable to lock file, errno = {code}, error message = '{os.strerror(code)}'"
        raise OSError(code, f"Unable to synchronously open file ({reason})")

    monkeypatch.setattr(h5py, "File", refuse)
    for use in (READ["context"], hdf5.check_not_in_use):
        with pytest.raises(FileInUseError, match="HDF5_USE_FILE_LOCKING"):
            use(path)


@pytest.mark.parametrize(
    ("code", "status"), [(errno.EMFILE, 1), (errno.EIO, 1), (errno.ESTALE, 3), (errno.ENOMEM, 1), (errno.EACCES, 3)]
)
def test_what_the_system_refuses_is_not_called_damage(
    code: int, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "context.h5"
    WRITE["context"](path)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, f"Unable to synchronously open file (unable to open file: errno = {code})")

    monkeypatch.setattr(h5py, "File", refuse)
    with pytest.raises(ContextSSLError, match=os.strerror(code)) as caught:
        READ["context"](path)
    assert caught.value.exit_code == status


def test_an_impossible_place_in_a_file_is_damage(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="damaged"), hdf5.reading(tmp_path / "x.h5"):
        raise OSError(errno.EINVAL, "file read failed: errno = 22")


def test_a_mark_that_a_killed_process_left_is_said(tmp_path: Path) -> None:
    path = tmp_path / "context.h5"
    WRITE["context"](path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    with pytest.raises(FileInUseError, match="h5clear"):
        READ["context"](path)
