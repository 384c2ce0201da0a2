"""The canonical batches: read as they were written, and nothing else is read from a pickle."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import cifar10_files
import numpy as np
import pytest

from contextssl_cifar10 import batches
from contextssl_cifar10.batches import BATCHES, read_batch
from contextssl_cli.data.prepare import prepare
from contextssl_cli.errors import CorruptFileError
from contextssl_cli.plugin.registry import registry
from tests.small_images import write_archive, write_files
from tests.walk import refusal

FEW = 12


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "IMAGES", FEW)


def pickled(folder: str = "cifar-10-batches-py/") -> dict[str, bytes]:
    files = {name: cifar10_files.python2_pickle(*content) for name, content in cifar10_files.batches(FEW).items()}
    return {f"{folder}{name}": data for name, data in files.items()} | {f"{folder}batches.meta": b"not read"}


@pytest.mark.usefixtures("few")
def test_the_folder_its_parent_and_the_archive_give_the_same_images(tmp_path: Path) -> None:
    root = write_files(tmp_path / "root", pickled())
    archive = write_archive(tmp_path / "cifar-10-python.tar.gz", pickled())
    stores = [
        prepare(registry().dataset("cifar10"), source, tmp_path / f"{number}.h5")
        for number, source in enumerate((root, root / "cifar-10-batches-py", archive))
    ]
    assert len({store.content_hash for store in stores}) == 1
    written = cifar10_files.batches(FEW)
    pixels = np.concatenate([written[name][0] for name, split in BATCHES.items() if split == "train"])
    labels = np.concatenate([written[name][1] for name, split in BATCHES.items() if split == "train"])
    images = stores[0].train.inputs()
    assert images.shape == (5 * FEW, 32, 32, 3)
    # A row holds 1,024 red values, row by row of the image, then green, then blue.
    assert np.array_equal(images[:, 2, 5, 1], pixels[:, 1024 + 2 * 32 + 5])
    assert np.array_equal(images.transpose(0, 3, 1, 2).reshape(-1, 3072), pixels)
    assert np.array_equal(stores[0].train.labels("class"), labels)
    assert len(stores[0].test) == FEW


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("name", ["data_batch_3", "test_batch"])
def test_a_missing_batch(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path / "root", pickled(""))
    (tmp_path / "root" / name).unlink()
    message = refusal(capsys, 3, "prepare", "cifar10", "--source", tmp_path / "root", "--out", tmp_path / "s.h5")
    assert f"has no file {name}" in message
    assert not (tmp_path / "s.h5").exists()


def test_another_number_of_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path / "root", pickled(""))
    message = refusal(capsys, 4, "prepare", "cifar10", "--source", tmp_path / "root", "--out", tmp_path / "s.h5")
    assert "data_batch_1 holds 12 images and 12 labels, expected 10,000" in message
    assert not (tmp_path / "s.h5").exists()


@pytest.mark.usefixtures("few")
def test_labels_that_do_not_fit() -> None:
    pixels, labels = cifar10_files.batches(FEW)["test_batch"]
    with pytest.raises(CorruptFileError, match="12 images and 11 labels"):
        read_batch(cifar10_files.python2_pickle(pixels, labels[1:]), "test_batch")
    with pytest.raises(CorruptFileError, match="labels from 0 to 10, expected 0 to 9"):
        read_batch(cifar10_files.python2_pickle(pixels, [10, 0, *labels[2:]]), "test_batch")
    with pytest.raises(CorruptFileError, match="12 images"):
        read_batch(cifar10_files.python2_pickle(pixels[:, :-1], labels), "test_batch")


@pytest.mark.usefixtures("few")
def test_a_batch_that_is_cut_off_anywhere() -> None:
    data = cifar10_files.python2_pickle(*cifar10_files.batches(FEW)["test_batch"])
    for end in (0, 1, 40, 100, 200, 1000, len(data) // 2, len(data) - 1):
        with pytest.raises(CorruptFileError, match="test_batch is not a batch"):
            read_batch(data[:end], "test_batch")


class _Harm:
    """Pickled, it asks the reader to call a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._asked = function, arguments

    def __reduce__(self) -> Any:
        return self._asked


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_pickle_is_refused_and_nothing_of_it_runs(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "harmed"
    harms = [
        _Harm(os.mkdir, str(mark)),
        _Harm(eval, f"__import__('os').mkdir({str(mark)!r})"),
        _Harm(np.load, str(mark)),
        _Harm(np.dtype, _Harm(os.mkdir, str(mark))),
    ]
    for harm in harms:
        data = pickle.dumps({b"labels": [0], b"data": harm}, protocol=protocol)
        with pytest.raises(CorruptFileError, match=r"it asks for .+: do not trust it"):
            read_batch(data, "data_batch_1")
        assert not mark.exists()


def test_a_malicious_pickle_through_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mark = tmp_path / "harmed"
    write_files(tmp_path / "root", pickled("") | {"data_batch_1": pickle.dumps(_Harm(os.mkdir, str(mark)), 2)})
    message = refusal(capsys, 4, "prepare", "cifar10", "--source", tmp_path / "root", "--out", tmp_path / "s.h5")
    assert "data_batch_1" in message
    assert "do not trust it" in message
    assert not mark.exists()


def test_arrays_of_objects_and_other_orders_are_refused() -> None:
    for array in (np.array([{}]), np.asfortranarray(np.zeros((2, 3), np.uint8)), np.zeros((2, 3), np.float32), [1]):
        data = pickle.dumps({b"labels": [0], b"data": array}, protocol=2)
        with pytest.raises(CorruptFileError, match="is not a batch of CIFAR-10"):
            read_batch(data, "data_batch_1")
