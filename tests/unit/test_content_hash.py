"""The content hash of a store is checked before anything is made of it, once for each version of the file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from contextssl_cli.adaptation.describe import describe
from contextssl_cli.adaptation.inputs import open_inputs, read_inputs
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError
from contextssl_cli.evaluation.evaluator import Evaluator
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.evaluation.protocol import probe_config
from contextssl_cli.plugin.task import Task
from contextssl_cli.store import content, hdf5
from contextssl_cli.store.content import ContentHash
from contextssl_cli.store.dataset import Store, create_store
from contextssl_cli.store.samples import SPLITS, Samples
from contextssl_cli.store.schema import Schema
from contextssl_cli.training.run import Run
from contextssl_cli.training.start import resume_run, start_run
from tests import tiny
from tests.small_files import WRITE
from tests.unit.test_store import samples, write

Damage = Callable[[h5py.File], Any]


def changed(name: str, add: Any = 1, place: Any = 0) -> Damage:
    def damage(file: h5py.File) -> None:
        values = file[name][()]
        values[place] = values[place] + add
        file[name][()] = values

    return damage


def cut(*names: str) -> Damage:
    return lambda file: [file[name].resize(len(file[name]) - 1, axis=0) for name in names]


def text_changed(name: str, before: str, after: str) -> Damage:
    def damage(file: h5py.File) -> None:
        text = file.attrs[name].decode()
        assert before in text
        hdf5.set_text(file, name, text.replace(before, after, 1))

    return damage


def last_bit(file: h5py.File) -> None:
    values = file["train/latents/pose"]
    values[2, 1] = np.nextafter(values[2, 1], np.float32(np.inf))


EVERY = [f"train/{name}" for name in ("inputs", "labels/kind", "attributes/group", "latents/pose", "objects")]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "an input": (changed("train/inputs", 1e-3), "train/inputs"),
    "the last test input": (changed("test/inputs", 1e-3, -1), "test/inputs"),
    "the last bit of a number": (last_bit, "train/latents/pose"),
    "a label": (changed("test/labels/kind", -1), "test/labels/kind"),
    "an attribute": (lambda file: file["train/attributes/group"].write_direct(np.ones(5, int)), "attributes/group"),
    "a latent": (changed("test/latents/pose", 1e-3, (4, 1)), "test/latents/pose"),
    "an object": (changed("train/objects"), "train/objects"),
    "a class": (text_changed("schema", '"a"', '"A"'), "schema"),
    "the data set's name": (text_changed("schema", "tiny", "tinx"), "schema"),
    "the provenance": (text_changed("provenance", "test", "text"), "provenance"),
    "two rows exchanged": (
        lambda file: file["train/inputs"].write_direct(file["train/inputs"][()][[1, 0, 2, 3, 4]]),
        "train/inputs",
    ),
    "a row less": (cut(*EVERY), "train/attributes/group"),
    "an array more": (lambda file: file.create_dataset("train/labels/other", data=np.zeros(5, int)), "labels/other"),
    "an array at the root": (lambda file: file.create_dataset("other", data=1), "other"),
    "no objects": (lambda file: file.pop("test/objects"), "test/objects"),
    "a digest": (text_changed("digests", "train/inputs", "train/inputx"), "train/inputs"),
    "the digests are none": (lambda file: hdf5.set_text(file, "digests", "[]"), "digests|damaged"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_changed_value_is_found_and_named(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "store.h5"
    write(path).close()
    change, named = DAMAGES[damage]
    with Store(path) as store:
        store.verify()
        store.check()
    with h5py.File(path, "r+") as file:
        change(file)
    with Store(path) as store:
        for check in (store.check, store.verify, lambda: describe(path, verify=True)):
            with pytest.raises(CorruptFileError, match=named) as caught:
                check()
            assert str(path) in str(caught.value)


def test_a_flipped_bit_anywhere_in_the_data_is_found(tmp_path: Path) -> None:
    path = tmp_path / "store.h5"
    with create_store(path, tiny.image_schema(4, 4, storage="encoded"), {}) as writer:
        for split in SPLITS:
            writer.append(Samples(split, [b"these are the bytes of an image"] * 3))
    whole = path.read_bytes()
    for count, bit in ((1, 0), (2, 7), (6, 3)):
        place = -1
        for _ in range(count):
            place = whole.index(b"these are", place + 1)
        flipped = bytearray(whole)
        flipped[place + 5] ^= 1 << bit
        path.write_bytes(flipped)
        with Store(path) as store, pytest.raises(CorruptFileError, match="bytes"):
            store.verify()


def test_a_store_without_digests_is_compared_with_its_hash(tmp_path: Path) -> None:
    write(tmp_path / "store.h5").close()
    with h5py.File(tmp_path / "store.h5", "r+") as file:
        del file.attrs["digests"]
    with Store(tmp_path / "store.h5") as store:
        store.verify()
    with h5py.File(tmp_path / "store.h5", "r+") as file:
        changed("train/inputs")(file)
    with Store(tmp_path / "store.h5") as store, pytest.raises(CorruptFileError, match=r"store\.h5"):
        store.verify()


def test_blocks_of_any_size_and_byte_order_give_one_hash() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 3))
    hashes = set()
    for ends, dtype in (([20], "<f8"), ([1, 20], ">f8"), ([7, 7, 20], "<f8"), ([], "<f8")):
        made, begin = ContentHash(), 0
        for end in ends or [20]:
            made.update("x", np.asfortranarray(rows[begin:end].astype(dtype)))
            begin = end
        hashes.add(made.total("{}"))
    assert len(hashes) == 1


def test_the_memory_of_a_check_takes_no_more_than_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = write(tmp_path / "store.h5", [samples(split, 50) for split in SPLITS])
    sizes: list[int] = []
    update = ContentHash.update
    monkeypatch.setattr(content, "_BLOCK", 64)
    monkeypatch.setattr(
        ContentHash, "update", lambda self, name, rows: (sizes.append(rows.nbytes), update(self, name, rows))
    )
    store.verify()
    assert max(sizes) <= 64
    assert len(sizes) > 50


def settle(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file be old enough for its check to be remembered."""
    monkeypatch.setattr(content, "_SETTLED", 0)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    checked: list[Path] = []
    real = content.hash_file
    monkeypatch.setattr(content, "hash_file", lambda path, file: (checked.append(path), real(path, file))[1])
    return checked


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONTEXTSSL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_version_of_a_file_is_checked_once(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.h5"
    write(path).close()
    checked = counted(monkeypatch)
    with Store(path) as store:
        store.check()
        store.check()
        assert len(checked) == 2  # a file as new as this one may change within a tick of the clock
        settle(path, monkeypatch)
        store.check()
        store.check()
        assert len(checked) == 3
        store.verify()
        assert len(checked) == 4
    Store(path).check()
    assert len(checked) == 4
    shutil.rmtree(own_home / "cache")
    Store(path).check()
    assert len(checked) == 5


@pytest.mark.parametrize("hide", ["nothing", "its times", "its size and times", "its place"])
def test_no_change_of_a_checked_file_is_missed(
    hide: str, tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.h5"
    write(path).close()
    settle(path, monkeypatch)
    with Store(path) as store:
        store.check()
    before = path.stat()
    if hide == "its place":
        path.rename(tmp_path / "first.h5")
        shutil.copy2(tmp_path / "first.h5", path)
    whole = path.read_bytes()
    value = samples("train").inputs[0].tobytes()
    path.write_bytes(whole.replace(value, value[::-1]))
    assert path.stat().st_size == before.st_size
    if hide != "nothing":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with Store(path) as store, pytest.raises(CorruptFileError, match="train/inputs"):
        store.check()


def test_a_cache_that_cannot_be_kept_or_is_damaged_costs_time_alone(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = write(tmp_path / "store.h5")
    settle(store.path, monkeypatch)
    own_home.write_text("a file where the folder should be")
    store.check()
    own_home.unlink()
    store.check()
    (kept,) = (own_home / "cache" / "checked").iterdir()
    values = json.loads(kept.read_text())
    checked = counted(monkeypatch)
    for text in ("", "[]", json.dumps(values | {"content_hash": "0" * 64}), json.dumps(values | {"file": [0] * 5})):
        kept.write_text(text)
        store.check()
    assert len(checked) == 4


def test_a_store_that_was_replaced_while_it_was_open_is_not_mixed_up(tmp_path: Path) -> None:
    path = tmp_path / "store.h5"
    store = write(path)
    write(path, [samples(split, seed=1) for split in SPLITS]).close()
    with pytest.raises(CorruptFileError, match="replaced"):
        store.train.inputs()


@pytest.fixture
def damaged(digits_run: Run, tmp_path: Path) -> Run:
    """A run whose store has one other pixel."""
    path = tmp_path / "digits.h5"
    shutil.copy(digits_run.record.store, path)
    with h5py.File(path, "r+") as file:
        file["train/inputs"][3, 4, 5, 0] ^= 1
    shutil.copytree(digits_run.folder, tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps(record | {"store": str(path)}))
    return Run(tmp_path / "run")


def test_nothing_is_made_of_a_damaged_store(damaged: Run, digits_task: Task, tmp_path: Path) -> None:
    store = Store(Path(damaged.record.store))
    uses: dict[str, Callable[[], Any]] = {
        "pretrain": lambda: start_run(tiny.settled(digits_task), store, tmp_path / "new"),
        "resume": lambda: resume_run(damaged.folder),
        "probe": lambda: Evaluator(OpenRun(damaged, "cpu"), probe_config(digits_task.dataset)),  # type: ignore[arg-type]
        "adapt": lambda: open_inputs(damaged, None),
        "adapt --input": lambda: read_inputs(store.path, store.schema),
        "info --verify": lambda: describe(damaged.folder, verify=True),
    }
    for name, use in uses.items():
        with pytest.raises(CorruptFileError, match="train/inputs") as caught:
            use()
        assert str(store.path) in str(caught.value), name
    assert not (tmp_path / "new").exists()
    assert describe(damaged.folder)["format"] == "run"  # without --verify


def test_info_verifies_every_kind(digits_run: Run, tmp_path: Path) -> None:
    for kind, make in WRITE.items():
        make(tmp_path / f"{kind}.h5")
        assert "verified" in describe(tmp_path / f"{kind}.h5", verify=True)
        assert "verified" not in describe(tmp_path / f"{kind}.h5")
    assert "verified" in describe(digits_run.folder, verify=True)
    run = shutil.copytree(digits_run.folder, tmp_path / "run")
    (weights,) = run.glob("checkpoint/*/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(CorruptFileError, match="model"):
        describe(run, verify=True)
    record = json.loads((run / "run.json").read_text())
    shutil.copy(next(digits_run.folder.glob("checkpoint/*/model.safetensors")), weights)
    (run / "run.json").write_text(json.dumps(record | {"store": str(tmp_path / "gone.h5")}))
    with pytest.raises(DataMissingError, match="gone"):
        describe(run, verify=True)


def test_a_name_that_is_no_unicode_is_the_data_s_fault(tmp_path: Path) -> None:
    schema = Schema(dataset="s", modality="table", shape=(3,), dtype="float32", tasks={"kind": ("caf\udce9", "b")})
    with pytest.raises(ContextSSLError, match=r"\\udce9"), create_store(tmp_path / "s.h5", schema, {}):
        pass
    assert not list(tmp_path.iterdir())


def test_the_check_of_an_empty_split_s_arrays(tmp_path: Path) -> None:
    with create_store(tmp_path / "s.h5", tiny.table_schema((1, 1, 1)), {}) as writer:
        for split, rows in (("train", 0), ("test", 2)):
            writer.append(Samples(split, np.zeros((rows, 3), np.float32)))
    with Store(tmp_path / "s.h5") as store:
        store.verify()
