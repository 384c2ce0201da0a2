"""Sources that would take all memory or all time: refused, and named."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import cifar10_files
import numpy as np
import pytest

from contextssl_cifar10 import batches
from contextssl_cifar10.batches import BATCHES, read_batch
from contextssl_cifar10.cifar10 import Cifar10, Cifar10Options
from contextssl_cli.data.prepare import prepare
from contextssl_cli.errors import CorruptFileError, DataMissingError, UnsafeFileError
from contextssl_cli.plugin import archives
from tests.small_images import write_archive, write_files

LABELS = b"}C\x06labels"
"""How a pickle of a dictionary with labels begins."""
NESTED = b"K\x01" + b"".join(b"q%ch%c\x86" % (at, at) for at in range(60))
"""A tuple that holds one twice, which holds one twice, and so on."""
DOUBLED = b"".join(b"q" + bytes([at]) + b"](h" + bytes([at]) + b"h" + bytes([at]) + b"e" for at in range(40))

HARMFUL: dict[str, bytes] = {
    "the memo of C's reader": b"\x80\x02Nr" + struct.pack("<I", 2**31 - 1) + b".",
    "the hash of nested tuples": b"\x80\x02}K\x01"
    + b"".join(b"q%ch%c\x86" % (at, at) for at in range(60))
    + b"K\x01s.",
    "the same in another step": b"\x80\x02(" + NESTED + b"K\x01d.",
    "a set of them": b"\x80\x04\x8f(" + NESTED + b"\x90.",
    "labels in labels": b"\x80\x03" + LABELS + b"]" + DOUBLED + b"s.",
    "more lists than memory": b"\x80\x02" + b"]" * 600_000 + b".",
    "a text longer than the file": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"abc.",
    "bytes longer than the file": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"abc.",
    "a number of many digits": b"I" + b"9" * 10_000 + b"\n.",
    "a persistent name": b"Pname\n.",
    "an extension": b"\x80\x02\x82\x01.",
    "an object": b"(inumpy\nndarray\n.",
    "changing a stand-in": b"\x80\x02cnumpy\ndtype\nN}C\x05stateK\x01s\x86b.",
    "nothing": b"",
    "labels of another type": b"\x80\x03" + LABELS + b"](\x88\x88es.",
}


@pytest.mark.parametrize("harm", HARMFUL)
def test_a_pickle_that_would_take_memory_or_time(harm: str) -> None:
    with pytest.raises(CorruptFileError, match="data_batch_1 is not a batch of CIFAR-10") as caught:
        read_batch(HARMFUL[harm], "data_batch_1")
    assert len(str(caught.value)) < 500


def test_a_name_of_megabytes_is_shortened_and_cannot_act() -> None:
    with pytest.raises(CorruptFileError, match="do not trust it") as caught:
        read_batch(b"\x80\x02c" + b"\x1b[31m" * 200_000 + b"\nb\n.", "data_batch_1")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("protocol", [3, 4])
def test_batches_that_python_3_has_written_again_are_read(protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "IMAGES", 12)
    pixels, labels = cifar10_files.batches(12)["test_batch"]
    data = pickle.dumps({b"data": pixels, b"labels": labels}, protocol=protocol)
    images, found = read_batch(data, "test_batch")
    assert np.array_equal(images.transpose(0, 3, 1, 2).reshape(-1, 3072), pixels)
    assert found.tolist() == labels


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def terabyte(path: Path) -> None:
    os.truncate(path, 1 << 40)


def gone(path: Path) -> None:
    path.unlink()
    path.symlink_to("gone")


IRREGULAR = [(fifo, UnsafeFileError), (device, UnsafeFileError), (terabyte, UnsafeFileError), (gone, DataMissingError)]


@pytest.mark.parametrize(("change", "error"), IRREGULAR)
def test_an_image_that_is_no_file_is_refused_or_left_out(
    change: Callable[[Path], None], error: type[Exception], tmp_path: Path
) -> None:
    source = write_files(tmp_path / "tree", cifar10_files.tree())
    change(source / "train" / "cat" / "0002.jpg")
    with pytest.raises(error, match=r"train/cat/0002\.jpg"):
        prepare(Cifar10(), source, tmp_path / "store.h5")
    made = prepare(Cifar10(), source, tmp_path / "store.h5", options={"skip_corrupt": True})
    assert len(made.train) == 39
    assert made.provenance["skipped"] == 1


@pytest.mark.parametrize(("change", "error"), IRREGULAR)
def test_a_batch_that_is_no_file(change: Callable[[Path], None], error: type[Exception], tmp_path: Path) -> None:
    source = write_files(tmp_path / "root", dict.fromkeys(BATCHES, b""))
    change(source / "data_batch_1")
    with pytest.raises(error, match="data_batch_1"):
        list(Cifar10().prepare(source, Cifar10Options()).samples)


@pytest.mark.parametrize("name", ["fifo", "/dev/zero", "absent", "x" * 300])
def test_a_source_that_is_neither_folder_nor_file(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UnsafeFileError if name in ("fifo", "/dev/zero") else DataMissingError, match=name):
        Cifar10().prepare(tmp_path / name, Cifar10Options())


@pytest.mark.parametrize("target", ["..", ".", "../dog"])
def test_a_link_to_a_folder_that_is_read_already(target: str, tmp_path: Path) -> None:
    source = write_files(tmp_path / "tree", cifar10_files.tree(1, 1))
    for name in "abc":
        (source / "train" / "cat" / name).symlink_to(target)
    with pytest.raises(CorruptFileError, match=r"train/(cat|dog)"):
        Cifar10().prepare(source, Cifar10Options())


def test_an_archive_that_would_fill_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_ARCHIVE", 1 << 20)
    files = cifar10_files.tree() | {f"train/cat/a{number}.png": bytes(1 << 19) for number in range(3)}
    source = write_archive(tmp_path / "bomb.tar.gz", files)
    assert source.stat().st_size < 1 << 17
    with pytest.raises(UnsafeFileError, match=r"bomb\.tar\.gz unpacks to more than"):
        Cifar10().prepare(source, Cifar10Options())
