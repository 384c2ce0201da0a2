"""Names from outside become names of HDF5 objects and come back as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.store.context import Context
from contextssl_cli.store.dataset import Store, create_store
from contextssl_cli.store.embeddings import Embeddings
from contextssl_cli.store.names import escaped, unescaped
from contextssl_cli.store.part import read_part, write_part
from contextssl_cli.store.samples import SPLITS, Samples
from contextssl_cli.store.schema import Schema
from tests.small_files import ROWS

ODD = [
    "income/year", "/abs", "a//b", "a/", "/", ".", "..", "...", "./a", "../../x", ".hidden", "", "%", "%2F", "50%",
    "%%", "100%25", "a\0b", "\0", "tab\t", "line\nbreak", "\x7f", "\x1b[31m", "größe", "e\u0301", "\u00e9", "数",
    "\U0001f600", "\u202ereversed", " ", " a ", "x" * 70_000, "/" * 3_000, "inputs", "labels", "train/inputs",
]  # fmt: skip
KEY = "plan 0"
LONE = ["\udce9", "caf\udce9", "\ud800", "\ud83d\ude00", "\udfff/"]
anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=30) | st.sampled_from(ODD + LONE)
few = settings(max_examples=15)


@settings(max_examples=200)
@given(anything)
def test_any_text_is_escaped_reversibly_into_one_harmless_component(name: str) -> None:
    made = escaped(name)
    assert unescaped(made) == name
    assert made not in ("", ".", "..")
    assert not set(made) & {"/", "\0", "\n"}
    made.encode()


@given(st.lists(anything, unique=True, max_size=8))
def test_different_names_stay_different(names: list[str]) -> None:
    assert len({escaped(name) for name in names}) == len(names)


@given(st.text(st.characters(categories=("L", "N", "Zs"), include_characters="-_.,:+=()"), min_size=3))
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    if set(name) != {"."}:
        assert escaped(name) == name


@pytest.mark.parametrize("name", ["50%", "a%zz", "%ff", "100 %", "%", "% of"])
def test_what_is_no_escape_is_kept_or_is_one(name: str) -> None:
    assert unescaped(name) == ("" if name == "%" else name)


def written(path: Path, schema: Schema, samples: dict[str, Samples]) -> Store:
    with create_store(path, schema, {}) as writer:
        for split in SPLITS:
            writer.append(samples[split])
    return Store(path)


def assert_a_store_keeps(names: list[str], folder: Path) -> None:
    schema = Schema(
        dataset="names", modality="table", shape=(3,), dtype="float32",
        tasks=dict.fromkeys(names, ("a", "b")), attributes=dict.fromkeys(names, ("f", "m")),
        latents=dict.fromkeys(names, 2),
    )  # fmt: skip
    draw = np.random.default_rng(0)
    samples = {
        split: Samples(
            split, ROWS,
            {name: draw.integers(0, 2, 4) for name in names}, {name: draw.integers(0, 2, 4) for name in names},
            {name: draw.normal(size=(4, 2)).astype(np.float32) for name in names},
        )
        for split in SPLITS
    }  # fmt: skip
    write_part(folder / "part.h5", schema, samples["test"], KEY)
    part = read_part(folder / "part.h5", schema, KEY)
    with written(folder / "store.h5", schema, samples) as store:
        store.verify()
        for name in names:
            for split, given_samples in ((store.train, samples["train"]), (store.test, part)):
                np.testing.assert_array_equal(split.labels(name), given_samples.labels[name])
                np.testing.assert_array_equal(split.attribute(name), given_samples.attributes[name])
                np.testing.assert_array_equal(split.latents(name), given_samples.latents[name])
        assert {*part.labels} == {*part.attributes} == {*part.latents} == {*names}


def test_a_store_keeps_odd_names(tmp_path: Path) -> None:
    assert_a_store_keeps(ODD, tmp_path)


@settings(max_examples=8)
@given(st.lists(st.text(), unique=True, max_size=3))
def test_a_store_keeps_any_names(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    assert_a_store_keeps(names, tmp_path_factory.mktemp("names"))


def blocks(names: list[str], shape: tuple[int, ...] = (4, 2)) -> dict[str, np.ndarray[Any, Any]]:
    return {name: np.full(shape, number, np.float32) for number, name in enumerate(names)}


@few
@given(st.lists(anything, unique=True, max_size=4))
def test_contexts_and_embeddings_keep_any_names(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    folder = tmp_path_factory.mktemp("names")
    Context(ROWS, ROWS, blocks(names), changes=blocks(names, (1, 2, 3))).save(folder / "context.h5")
    for context in (Context.load(folder / "context.h5"), saved_pairs(folder, names)):
        assert {*context.actions} == {*names}
        assert [block[0, 0] for block in map(context.actions.get, names) if block is not None] == [*range(len(names))]
    Embeddings(ROWS, blocks(names, (4,)), blocks(names, (4,))).save(folder / "embeddings.h5")
    embeddings = Embeddings.load(folder / "embeddings.h5")
    for found in (embeddings.labels, embeddings.attributes):
        assert {name: array[0] for name, array in found.items()} == {name: n for n, name in enumerate(names)}


def saved_pairs(folder: Path, names: list[str]) -> Context:
    """The same pairs without the attributes of a context file."""
    with h5py.File(folder / "pairs.h5", "w") as file:
        file["x"], file["y"] = ROWS, ROWS
        file.create_group("actions")
        for name, block in blocks(names).items():
            file[f"actions/{escaped(name)}"] = block
    return Context.from_pairs(folder / "pairs.h5")


def test_a_context_that_a_script_writes_needs_no_escapes_for_ordinary_names(tmp_path: Path) -> None:
    names = ["rotation", "hue shift", "größe", "50%", "a.b", "weight (kg)"]
    with h5py.File(tmp_path / "context.h5", "w") as file:
        file.attrs["format"], file.attrs["version"] = "contextssl-context", 1
        file["x"], file["y"] = ROWS, ROWS
        for name in names:
            file[f"actions/{name}"] = ROWS
    assert {*Context.load(tmp_path / "context.h5").actions} == {*names}


def test_two_objects_for_one_name_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "pairs.h5", "w") as file:
        file["x"], file["y"], file["actions/50%"], file["actions/50%25"] = ROWS, ROWS, ROWS, ROWS + 1
    with pytest.raises(CorruptFileError, match="actions"):
        Context.from_pairs(tmp_path / "pairs.h5")


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "pairs.h5", "w") as file:
        file["x"], file["y"] = ROWS, ROWS
        file[b"actions/gr\xf6\xdfe"] = ROWS
    with pytest.raises(CorruptFileError, match="UTF-8"):
        Context.from_pairs(tmp_path / "pairs.h5")


def test_names_of_files_that_are_no_utf8_come_back(tmp_path: Path) -> None:
    names = ("caf\udce9.png", "größe.png", "a/b.png", "x" * 300)
    Embeddings(ROWS, names=names).save(tmp_path / "embeddings.h5")
    assert Embeddings.load(tmp_path / "embeddings.h5").names == names
    Context(ROWS, ROWS, run="/runs/caf\udce9").save(tmp_path / "context.h5")
    assert Context.load(tmp_path / "context.h5").run == "/runs/caf\udce9"
