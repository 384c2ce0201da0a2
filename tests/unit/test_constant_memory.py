"""Inputs are read, converted and embedded in batches: memory does not grow with their number."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from contextssl_cli import ContextEncoder
from contextssl_cli.adaptation.adapt import adapt
from contextssl_cli.adaptation.inputs import Inputs, read_inputs
from contextssl_cli.data.rows import whole
from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.errors import CorruptFileError
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.store import content
from contextssl_cli.store.dataset import create_store
from contextssl_cli.store.embeddings import Embeddings
from contextssl_cli.store.samples import Samples
from tests import tiny

SIDE = 16
SCHEMA = tiny.image_schema(SIDE, SIDE)
FEW, MANY, BATCH = 200, 2000, 50


def images(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(256, size=(count, SIDE, SIDE, 3), dtype=np.uint8)


def write_npy(path: Path, array: NDArray[np.uint8]) -> Path:
    np.save(path.with_suffix(".npy"), array)
    return path.with_suffix(".npy")


def write_npz(path: Path, array: NDArray[np.uint8]) -> Path:
    np.savez(path.with_suffix(".npz"), other=array[:1], x=array)
    return path.with_suffix(".npz")


def write_compressed(path: Path, array: NDArray[np.uint8]) -> Path:
    np.savez_compressed(path.with_suffix(".npz"), array)
    return path.with_suffix(".npz")


def write_hdf5(path: Path, array: NDArray[np.uint8]) -> Path:
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["x"] = array
    return path.with_suffix(".h5")


def write_store(path: Path, array: NDArray[np.uint8]) -> Path:
    with create_store(path.with_suffix(".h5"), SCHEMA, {}) as writer:
        writer.append(Samples("train", array[:2]))
        writer.append(Samples("test", array))
    return path.with_suffix(".h5")


def write_folder(path: Path, array: NDArray[np.uint8]) -> Path:
    path.mkdir()
    for number, image in enumerate(array):
        Image.fromarray(image).save(path / f"{number:05}.png")
    return path


WRITERS: dict[str, Callable[[Path, NDArray[np.uint8]], Path]] = {
    "npy": write_npy, "npz": write_npz, "compressed npz": write_compressed, "HDF5": write_hdf5, "store": write_store,
    "folder": write_folder,
}  # fmt: skip


def peak(work: Callable[[], None]) -> int:
    """The most bytes that Python and NumPy hold at a time."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def read_all(source: Path) -> None:
    rows = read_inputs(source, SCHEMA).rows
    for numbers in torch.arange(len(rows)).split(BATCH):
        assert rows[numbers].shape == (len(numbers), 3, SIDE, SIDE)


@pytest.mark.parametrize("kind", WRITERS)
def test_any_rows_of_any_input_are_the_same_as_those_of_the_array(kind: str, tmp_path: Path) -> None:
    array = images(9)
    rows = read_inputs(WRITERS[kind](tmp_path / "mine", array), SCHEMA).rows
    assert torch.equal(whole(rows), to_tensor(array, SCHEMA))
    for chosen in ([4], [8, 0, 3, 3, 4], [1, 2, 3], []):
        assert torch.equal(rows[torch.tensor(chosen, dtype=torch.int64)], to_tensor(array[chosen], SCHEMA))


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "folder"])
def test_reading_ten_times_as_many_inputs_takes_no_more_memory(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "_BLOCK", 1 << 14)  # bytes of a store that are hashed at a time
    few, many = (WRITERS[kind](tmp_path / f"{count}", images(count)) for count in (FEW, MANY))
    read_all(few)  # what is imported and cached at the first use
    small, large = peak(lambda: read_all(few)), peak(lambda: read_all(many))
    assert large < small + MANY * SIDE * SIDE * 3 // 20


def test_a_folder_takes_a_name_for_each_image_and_no_pixels(tmp_path: Path) -> None:
    few, many = (write_folder(tmp_path / f"{count}", images(count)) for count in (100, 400))
    read_all(few)
    small, large = peak(lambda: read_all(few)), peak(lambda: read_all(many))
    assert large < small + 300 * SIDE * SIDE * 3


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> ContextEncoder:
    run = tiny.untrained(SCHEMA, tmp_path_factory.mktemp("runs") / "run", encoder="convnet")
    return ContextEncoder(run.folder, device="cpu", batch_size=BATCH).fit()


def test_transform_converts_a_batch_at_a_time(encoder: ContextEncoder) -> None:
    array = images(MANY)
    encoder.transform(array[:FEW])
    assert peak(lambda: encoder.transform(array) is None) < array.nbytes


@pytest.mark.parametrize("kind", ["npy", "folder"])
def test_embeddings_are_written_batch_by_batch(encoder: ContextEncoder, kind: str, tmp_path: Path) -> None:
    array = images(FEW)
    source = WRITERS[kind](tmp_path / "mine", array)
    opened, out = OpenRun(encoder.opened_.run), tmp_path / "out.h5"
    adapted = adapt(opened, None, out, inputs=read_inputs(source, SCHEMA))
    found = Embeddings.load(out)
    assert adapted.shape == found.values.shape == (FEW, 16)
    np.testing.assert_allclose(found.values, encoder.transform(array), atol=1e-5)
    assert len(found.names) == (FEW if kind == "folder" else 0)


def test_an_input_that_fails_late_leaves_the_older_file(encoder: ContextEncoder, tmp_path: Path) -> None:
    array = images(4) / 255
    array[3] = np.nan
    np.save(tmp_path / "mine.npy", array)
    out = tmp_path / "out.h5"
    opened = OpenRun(encoder.opened_.run)
    adapt(opened, None, out, inputs=Inputs(torch.zeros(2, 3, SIDE, SIDE), path=tmp_path))
    before = out.read_bytes()
    with pytest.raises(CorruptFileError, match=r"mine\.npy"):
        adapt(opened, None, out, inputs=read_inputs(tmp_path / "mine.npy", SCHEMA))
    assert out.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"mine.npy", "out.h5"}
