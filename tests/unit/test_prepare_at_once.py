"""Two processes that prepare one store: one waits, and no sample of one source is joined to those of another."""

from __future__ import annotations

import functools
import logging
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from contextssl_cli.data import parts as parts_module
from contextssl_cli.data.parts import make_parts, parts_folder
from contextssl_cli.data.prepare import prepare, prepared_store
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, FileInUseError, UsageError
from contextssl_cli.locks import locked
from contextssl_cli.plugin import Dataset, Options, Prepared
from contextssl_cli.store.dataset import Store
from contextssl_cli.store.part import holds_part, read_part, write_part
from contextssl_cli.store.samples import Samples
from tests.tiny import image_schema

SCHEMA = image_schema(8, 8, dataset="grey")


def grey(value: int, split: str) -> Samples:
    return Samples(split, np.full((2, 8, 8, 3), value, np.uint8))


class Grey(Dataset):
    """Images of the grey that the source file names."""

    name = "grey"
    summary = "grey images"
    modality = "image"
    licence = "none"
    needs_source = False

    class Chosen(Options):
        brighter: int = 0

    options = Chosen

    def __init__(self, *, in_parts: bool = False) -> None:
        self.in_parts, self.times = in_parts, 0

    def prepare(self, source: Path | None, options: Options) -> Prepared:
        self.times += 1
        value = (int(source.read_text()) if source else 1) + options.model_dump()["brighter"]
        made = [functools.partial(grey, value, split) for split in ("train", "test")]
        if self.in_parts:
            return Prepared(SCHEMA, parts=made)
        return Prepared(SCHEMA, samples=(make() for make in made))


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    found = [tmp_path / "ten", tmp_path / "twenty"]
    for path, value in zip(found, (10, 20), strict=True):
        path.write_text(str(value))
    return found


@pytest.fixture(autouse=True)
def in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are made by a thread: a process takes seconds to start."""
    monkeypatch.setattr(parts_module, "_pool", lambda tasks: ThreadPoolExecutor(1))


class Waiting(logging.Handler):
    """Tells that a preparation waits."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "s.h5" in record.getMessage():
            self.begun.set()


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    handler, logger = Waiting(), logging.getLogger("contextssl_cli.locks")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def while_prepared(
    first: tuple[Dataset, Path | None], second: Mapping[str, Any], out: Path, waiting: Waiting
) -> Future[Store]:
    """Start a second preparation, of the same data set, before the first one has finished."""
    dataset, source = first
    begun, go_on = threading.Event(), threading.Event()
    write = dataset.prepare

    def slow(source: Path | None, options: Options) -> Prepared:
        begun.set()
        assert go_on.wait(60)
        dataset.prepare = write  # type: ignore[method-assign]
        return write(source, options)

    dataset.prepare = slow  # type: ignore[method-assign]
    with ThreadPoolExecutor(2) as pool:
        earlier = pool.submit(prepare, dataset, source, out)
        assert begun.wait(60)
        later = pool.submit(prepare, **{"dataset": dataset, "out": out, **second})
        assert waiting.begun.wait(60)
        go_on.set()
        earlier.result(60)
        later.exception(60)
    return later


@pytest.mark.parametrize("in_parts", [True, False])
def test_of_two_sources_at_once_the_second_is_refused(
    in_parts: bool, sources: list[Path], tmp_path: Path, waiting: Waiting
) -> None:
    dataset, out = Grey(in_parts=in_parts), tmp_path / "s.h5"
    later = while_prepared((dataset, sources[0]), {"source": sources[1]}, out, waiting)
    with pytest.raises(UsageError, match="prepared from"):
        later.result()
    with Store(out) as store:
        assert store.provenance["source"] == str(sources[0])
        assert {int(value) for split in (store.train, store.test) for value in np.unique(split.inputs())} == {10}
    assert {path.name for path in tmp_path.iterdir()} == {"ten", "twenty", "s.h5"}


@pytest.mark.parametrize("in_parts", [True, False])
def test_of_one_source_twice_at_once_the_second_uses_the_result(
    in_parts: bool, sources: list[Path], tmp_path: Path, waiting: Waiting
) -> None:
    dataset, out = Grey(in_parts=in_parts), tmp_path / "s.h5"
    later = while_prepared((dataset, sources[0]), {"source": sources[0]}, out, waiting)
    assert dataset.times == 1
    assert later.result().content_hash == Store(out).content_hash


def test_with_force_the_second_waits_and_prepares_again(sources: list[Path], tmp_path: Path, waiting: Waiting) -> None:
    dataset, out = Grey(), tmp_path / "s.h5"
    while_prepared((dataset, sources[0]), {"source": sources[1], "force": True}, out, waiting).result()
    assert (dataset.times, Store(out).train.inputs().max()) == (2, 20)


def test_other_options_and_another_data_set_are_refused_after_waiting(
    sources: list[Path], tmp_path: Path, waiting: Waiting
) -> None:
    class Other(Grey):
        name = "other"

    for number, (second, words) in enumerate(
        [({"options": {"brighter": 5}}, "brighter"), ({"dataset": Other()}, "other")]
    ):
        out = tmp_path / str(number) / "s.h5"
        waiting.begun.clear()
        later = while_prepared((Grey(), sources[0]), {"source": sources[0], **second}, out, waiting)
        with pytest.raises(UsageError, match=words):
            later.result()


def test_two_runs_that_need_one_store_prepare_it_once(tmp_path: Path, waiting: Waiting) -> None:
    dataset, out = Grey(), tmp_path / "s.h5"
    write, both = dataset.prepare, threading.Barrier(2, timeout=60)

    def slow(source: Path | None, options: Options) -> Prepared:
        assert waiting.begun.wait(60)
        return write(source, options)

    dataset.prepare = slow  # type: ignore[method-assign]

    def start() -> Store:
        both.wait()
        return prepare(dataset, out=out)

    with ThreadPoolExecutor(2) as pool:
        stores = [future.result(60) for future in [pool.submit(start), pool.submit(start)]]
    assert dataset.times == 1
    assert stores[0].content_hash == stores[1].content_hash == prepared_store(dataset, out).content_hash


def test_a_killed_preparation_frees_the_lock_for_the_one_that_waits(
    sources: list[Path], tmp_path: Path, waiting: Waiting
) -> None:
    out = tmp_path / "s.h5"
    ready, told = os.pipe()
    process = os.fork()
    if process == 0:
        with locked(tmp_path / ".s.h5.lock", out):
            os.write(told, b"x")
            signal.pause()
    os.read(ready, 1)
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(prepare, Grey(), sources[1], out)
        assert waiting.begun.wait(60)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        assert later.result(60).train.inputs().max() == 20
    assert not (tmp_path / ".s.h5.lock").exists()


def test_a_lock_file_that_was_left_or_cannot_be_used(sources: list[Path], tmp_path: Path) -> None:
    (tmp_path / ".s.h5.lock").touch()  # by a killed process
    assert prepare(Grey(), sources[0], tmp_path / "s.h5").train.inputs().max() == 10
    (tmp_path / ".t.h5.lock").mkdir()
    with pytest.raises(DataMissingError, match=r"\.t\.h5\.lock"):
        prepare(Grey(), sources[0], tmp_path / "t.h5")


DENIED = [(13, "Permission denied"), (30, "Read-only file system"), (37, "No locks available"), (95, "Not supported")]


@pytest.mark.parametrize("error", [OSError(*arguments) for arguments in DENIED])
def test_a_lock_that_is_denied_is_an_error_with_its_reason(
    error: OSError, sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("filelock.FileLock.acquire", denied)
    with pytest.raises(DataMissingError, match=str(error.strerror)) as raised:
        prepare(Grey(), sources[0], tmp_path / "s.h5")
    assert isinstance(raised.value, FileInUseError) == (error.errno in (37, 95))
    assert not (tmp_path / "s.h5").exists()


def test_a_store_that_is_there_needs_no_lock(sources: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "s.h5"
    prepare(Grey(), sources[0], out)
    with locked(tmp_path / ".s.h5.lock", out):
        assert prepare(Grey(), sources[0], out).train.inputs().max() == 10
        with pytest.raises(FileInUseError, match=r"s\.h5"), locked(tmp_path / ".s.h5.lock", out):
            pass


def test_the_lock_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []

    def enter(_: int) -> int:
        with locked(tmp_path / ".lock", tmp_path, wait=True):
            inside.append(1)
            found = len(inside)
            inside.pop()
            return found

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(enter, range(20))) == {1}
    assert not list(tmp_path.iterdir())


def made(out: Path, value: int = 1, identity: str = "a") -> Iterator[Samples]:
    parts = [functools.partial(grey, value + number, split) for number, split in enumerate(("train", "test", "train"))]
    return make_parts(out, SCHEMA, parts, {"of": identity}, lambda done, total: None)


def greys(samples: Iterator[Samples]) -> list[int]:
    return [int(np.asarray(one.inputs).max()) for one in samples]


def test_parts_of_another_preparation_are_made_again(tmp_path: Path) -> None:
    assert greys(made(tmp_path / "other.h5", 50, "b")) == [50, 51, 52]
    assert greys(made(tmp_path / "s.h5")) == [1, 2, 3]
    for name in ("000000.h5", "000002.h5"):
        shutil.copy(parts_folder(tmp_path / "other.h5") / name, parts_folder(tmp_path / "s.h5") / name)
    assert greys(made(tmp_path / "s.h5")) == [1, 2, 3]


def test_a_part_under_another_number_is_made_again(tmp_path: Path) -> None:
    folder = parts_folder(tmp_path / "s.h5")
    assert greys(made(tmp_path / "s.h5")) == [1, 2, 3]
    shutil.copy(folder / "000002.h5", folder / "000000.h5")
    assert greys(made(tmp_path / "s.h5")) == [1, 2, 3]


@pytest.mark.parametrize("how", ["cut off", "empty", "text", "removed attribute"])
def test_a_damaged_part_is_made_again(how: str, tmp_path: Path) -> None:
    part = parts_folder(tmp_path / "s.h5") / "000001.h5"
    assert greys(made(tmp_path / "s.h5")) == [1, 2, 3]
    data = part.read_bytes()
    part.write_bytes(
        {"cut off": data[: len(data) // 2], "empty": b"", "text": b"text"}.get(how, data.replace(b"plan", b"plum"))
    )
    assert greys(made(tmp_path / "s.h5")) == [1, 2, 3]


@pytest.mark.parametrize("how", ["another preparation", "another number", "cut off", "removed"])
def test_a_part_that_was_exchanged_before_it_is_joined_is_refused(how: str, tmp_path: Path) -> None:
    greys(made(tmp_path / "other.h5", 50, "b"))
    folder = parts_folder(tmp_path / "s.h5")
    samples = made(tmp_path / "s.h5")
    next(samples)
    if how == "another preparation":
        shutil.copy(parts_folder(tmp_path / "other.h5") / "000001.h5", folder / "000001.h5")
    elif how == "another number":
        shutil.copy(folder / "000002.h5", folder / "000001.h5")
    elif how == "cut off":
        (folder / "000001.h5").write_bytes((folder / "000001.h5").read_bytes()[:500])
    else:
        (folder / "000001.h5").unlink()
    with pytest.raises(ContextSSLError, match=r"000001\.h5"):
        next(samples)
    assert not (folder / "000001.h5").exists()
    assert greys(made(tmp_path / "s.h5")) == [1, 2, 3]


def test_a_part_knows_its_plan_and_its_number(tmp_path: Path) -> None:
    path, key = tmp_path / "part.h5", "plan 3"
    assert not holds_part(path, key)
    write_part(path, SCHEMA, grey(4, "test"), key)
    assert holds_part(path, key)
    for other in ("plan 4", " 3", "plan3 3"):
        assert not holds_part(path, other)
        with pytest.raises(CorruptFileError, match=r"part\.h5"):
            read_part(path, SCHEMA, other)
    assert np.asarray(read_part(path, SCHEMA, key).inputs).max() == 4


@pytest.mark.parametrize("name", ["inputs", "objects", "labels/shade"])
def test_a_part_whose_content_changed_is_refused(name: str, tmp_path: Path) -> None:
    path, key = tmp_path / "part.h5", "plan 0"
    samples = Samples(
        "train", np.zeros((3, 4, 4, 1), np.uint8), labels={"shade": np.array([0, 1, 0])}, objects=np.arange(3)
    )
    write_part(path, SCHEMA, samples, key)
    with h5py.File(path, "r+") as file:
        file[name][1] = 2
    with pytest.raises(CorruptFileError, match=r"part\.h5"):
        read_part(path, SCHEMA, key)


def test_parts_that_a_kill_left_after_they_were_joined_are_removed(
    sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "s.h5"
    with monkeypatch.context() as killed:
        killed.setattr("contextssl_cli.data.prepare.remove_parts", lambda path: None)
        prepare(Grey(in_parts=True), sources[0], out)
    next(parts_folder(out).iterdir()).unlink()  # killed while it removed them
    (tmp_path / ".s.h5.lock").touch()
    prepare(Grey(in_parts=True), sources[0], out)
    assert not parts_folder(out).exists()
    assert not (tmp_path / ".s.h5.lock").exists()


def test_parts_of_a_killed_preparation_that_is_to_replace_a_store_are_kept(sources: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "s.h5"
    prepare(Grey(in_parts=True), sources[0], out)
    greys(made(out))
    os.utime(out, ns=(0, 0))
    prepare(Grey(in_parts=True), sources[0], out)
    assert len(list(parts_folder(out).iterdir())) == 3
