"""The data-set store: what is written is read, whatever its division into batches."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from contextssl_cli.errors import CorruptFileError, DataMissingError, PluginError
from contextssl_cli.store.dataset import Split, Store, create_store
from contextssl_cli.store.samples import SPLITS, Samples
from tests import tiny
from tests.small_files import total

SCHEMA = tiny.table_schema((1, 1, 1), tasks={"kind": ("a", "b")}, attributes={"group": ("f", "m")}, latents={"pose": 2})
few = settings(max_examples=20)
numbers = st.floats(-1e6, 1e6, width=32)


def samples(split: str, rows: int = 5, seed: int = 0) -> Samples:
    generator = np.random.default_rng((seed, split == "test"))
    return Samples(
        split,
        generator.normal(size=(rows, 3)).astype(np.float32),
        labels={"kind": generator.integers(-1, 2, rows)},
        attributes={"group": generator.integers(0, 2, rows)},
        latents={"pose": generator.normal(size=(rows, 2)).astype(np.float32)},
        objects=generator.integers(0, 3, rows),
    )


def part(whole: Samples, rows: slice) -> Samples:
    def cut(named: Any) -> dict[str, Any]:
        return {name: array[rows] for name, array in named.items()}

    assert whole.objects is not None
    return Samples(whole.split, whole.inputs[rows], cut(whole.labels), cut(whole.attributes), cut(whole.latents),
                   whole.objects[rows])  # fmt: skip


def write(path: Path, batches: Iterable[Samples] | None = None, schema: Any = SCHEMA) -> Store:
    with create_store(path, schema, {"why": "a test"}) as writer:
        for batch in [samples(split) for split in SPLITS] if batches is None else batches:
            writer.append(batch)
    return Store(path)


def assert_holds(split: Split, given_samples: Samples) -> None:
    np.testing.assert_array_equal(split.inputs(), given_samples.inputs)
    np.testing.assert_array_equal(split.labels("kind"), given_samples.labels["kind"])
    np.testing.assert_array_equal(split.attribute("group"), given_samples.attributes["group"])
    np.testing.assert_array_equal(split.latents("pose"), given_samples.latents["pose"])
    np.testing.assert_array_equal(split.objects(), given_samples.objects)


def test_a_store_gives_back_what_was_written(tmp_path: Path) -> None:
    with write(tmp_path / "store.h5") as store:
        assert_holds(store.train, samples("train"))
        assert_holds(store.test, samples("test"))
        assert store.schema == SCHEMA
        assert store.provenance == {"why": "a test"}
        assert (len(store.train), store.train.inputs().dtype) == (5, np.float32)


@few
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 7), st.just(3)), elements=numbers),
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.just(3))),
)
def test_any_small_array_survives(tmp_path_factory: pytest.TempPathFactory, table: Any, images: Any) -> None:
    folder = tmp_path_factory.mktemp("stores")
    for array, schema in (
        (table, tiny.table_schema((1, 1, 1))),
        (images, tiny.image_schema(*images.shape[1:3])),
    ):
        with write(folder / f"{schema.modality}.h5", [Samples(split, array) for split in SPLITS], schema) as store:
            np.testing.assert_array_equal(store.test.inputs(), array)
            assert store.test.inputs().dtype == array.dtype


@few
@given(st.lists(st.integers(1, 11), max_size=4))
def test_the_content_hash_does_not_depend_on_batches(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("stores")
    train, test = samples("train", 12), samples("test", 12)
    ends = [0, *sorted(cuts), 12]
    batches = [part(train, slice(a, b)) for a, b in pairwise(ends) if a < b]
    divided = write(folder / "divided.h5", [*batches, test])
    assert divided.content_hash == write(folder / "whole.h5", [test, train]).content_hash
    with divided:
        assert_holds(divided.train, train)


def test_the_content_hash_depends_on_every_array_and_the_schema(tmp_path: Path) -> None:
    train, test = samples("train"), samples("test")
    hashes = {write(tmp_path / "whole.h5").content_hash}
    for name in ("inputs", "objects", "kind", "group", "pose"):
        changed = part(train, slice(None))
        holders = {**changed.labels, **changed.attributes, **changed.latents,
                   "inputs": changed.inputs, "objects": changed.objects}  # fmt: skip
        holders[name][0] += -1 if np.max(holders[name][0]) > 0 else 1  # within the classes
        hashes.add(write(tmp_path / f"{name}.h5", [changed, test]).content_hash)
        train = samples("train")
    renamed = SCHEMA.model_copy(update={"dataset": "other"})
    hashes.add(write(tmp_path / "schema.h5", None, renamed).content_hash)
    assert len(hashes) == 7


def test_without_objects_each_sample_is_its_own(tmp_path: Path) -> None:
    schema = tiny.table_schema((1, 1, 1))
    with write(tmp_path / "store.h5", [Samples(split, np.zeros((4, 3), np.float32)) for split in SPLITS], schema) as s:
        assert s.train.objects().tolist() == [0, 1, 2, 3]


GOOD = samples("train")
BAD = {
    "dtype": (Samples("train", GOOD.inputs.astype(float), GOOD.labels, GOOD.attributes, GOOD.latents), "float64"),
    "shape": (Samples("train", GOOD.inputs[:, :2], GOOD.labels, GOOD.attributes, GOOD.latents), r"\[2\]"),
    "rows": (Samples("train", GOOD.inputs[:2], GOOD.labels, GOOD.attributes, GOOD.latents), "5 rows for 2"),
    "label": (Samples("train", GOOD.inputs, {}, GOOD.attributes, GOOD.latents), "labels"),
    "latent": (Samples("train", GOOD.inputs, GOOD.labels, GOOD.attributes, {"pos": GOOD.latents["pose"]}), "latents"),
    "nan": (Samples("train", GOOD.inputs * np.nan, GOOD.labels, GOOD.attributes, GOOD.latents), "NaN"),
    "label with a fraction": (
        Samples("train", GOOD.inputs, {key: v + 0.5 for key, v in GOOD.labels.items()}, GOOD.attributes, GOOD.latents),
        "float64, expected whole numbers",
    ),
    "label of words": (
        Samples("train", GOOD.inputs, {"kind": GOOD.labels["kind"].astype("U1")}, GOOD.attributes, GOOD.latents),
        "expected whole numbers",
    ),
    "label of no class": (
        Samples("train", GOOD.inputs, {key: v + 100 for key, v in GOOD.labels.items()}, GOOD.attributes, GOOD.latents),
        "name every class",
    ),
    "attribute below -1": (
        Samples("train", GOOD.inputs, GOOD.labels, {key: v - 100 for key, v in GOOD.attributes.items()}, GOOD.latents),
        "name every class",
    ),
    "objects with a fraction": (
        Samples("train", GOOD.inputs, GOOD.labels, GOOD.attributes, GOOD.latents, np.arange(len(GOOD.inputs)) / 2),
        "objects are float64",
    ),
    "objects beyond 64 bits": (
        Samples("train", GOOD.inputs, GOOD.labels, GOOD.attributes, GOOD.latents, np.full(5, 2**63, np.uint64)),
        "objects are uint64",
    ),
    "split": (Samples("tran", GOOD.inputs, GOOD.labels, GOOD.attributes, GOOD.latents), "did you mean 'train'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_samples_that_break_the_schema_are_the_plugin_s_error_and_leave_nothing(fault: str, tmp_path: Path) -> None:
    bad, message = BAD[fault]
    with pytest.raises(PluginError, match=message):
        write(tmp_path / "store.h5", [samples("train"), bad, samples("test")])
    assert list(tmp_path.iterdir()) == []


def test_a_split_without_samples_is_the_plugin_s_error(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no samples to the split 'test'"):
        write(tmp_path / "store.h5", [samples("train")])
    assert list(tmp_path.iterdir()) == []


def test_a_store_may_be_handed_to_another_process_while_it_is_open(tmp_path: Path) -> None:
    with write(tmp_path / "store.h5") as store:
        here = total(store)  # the file is open now
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(total, (store,)) == here
        assert total(store) == here


def test_a_pickled_store_carries_no_open_file(tmp_path: Path) -> None:
    with write(tmp_path / "store.h5") as store:
        store.train.inputs()
        with pickle.loads(pickle.dumps(store)) as copy:  # noqa: S301 - our own
            assert copy.__dict__["_handle"] is None
            assert_holds(copy.test, samples("test"))


def test_a_closed_store_opens_again(tmp_path: Path) -> None:
    store = write(tmp_path / "store.h5")
    before = store.train.inputs()
    store.close()
    store.close()
    np.testing.assert_array_equal(store.train.inputs(), before)
    store.close()


def test_an_unknown_array_is_an_error_that_names_it(tmp_path: Path) -> None:
    with write(tmp_path / "store.h5") as store, pytest.raises(CorruptFileError, match="train/labels/knd"):
        store.train.labels("knd")


def test_a_store_that_is_not_there_is_missing_data(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"store\.h5"):
        Store(tmp_path / "store.h5")
