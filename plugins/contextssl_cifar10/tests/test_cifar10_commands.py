"""CIFAR-10 through the commands, and from its server."""

from __future__ import annotations

import hashlib
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cifar10_files
import numpy as np
import pytest

from contextssl_cifar10 import batches, cifar10
from contextssl_cifar10.classes import COUNTS
from contextssl_cli.plugin.sources import PublishedFile
from contextssl_cli.store.dataset import Store
from tests.places import built_in, real_data
from tests.small_images import write_archive
from tests.walk import command, refusal, walk


@pytest.mark.parametrize("task", ["cifar10-color", "cifar10-crop-blur", "cifar10-color-blur", "cifar10-crop-color"])
def test_the_whole_way(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    actions = task.split("-")[1:]
    built_in(*actions)
    source = write_archive(tmp_path / "small.tar.gz", cifar10_files.tree())
    prepared, probed, adapted = walk(capsys, monkeypatch, tmp_path, task, "--source", source)
    assert "40 training and 20 test samples" in prepared.out
    assert {row["target"] for row in probed.json["results"]} == {"class", *actions}
    assert adapted.json["embeddings"] == [20, 8]
    assert adapted.json["environment"] == actions[0]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_without_a_source_the_canonical_archive_is_downloaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "IMAGES", 10)
    monkeypatch.setenv("CONTEXTSSL_HOME", str(tmp_path / "home"))
    files = {
        f"cifar-10-batches-py/{name}": cifar10_files.python2_pickle(*content)
        for name, content in cifar10_files.batches(10).items()
    }
    archive = write_archive(tmp_path / "cifar-10-python.tar.gz", files)
    published = PublishedFile(hashlib.sha256(archive.read_bytes()).hexdigest(), archive.stat().st_size)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setattr(cifar10, "URL", f"http://127.0.0.1:{server.server_address[1]}/{archive.name}")
        monkeypatch.setattr(cifar10, "ARCHIVE", published)
        outcome = command(capsys, "prepare", "cifar10")
        server.shutdown()
        thread.join()
    assert outcome.code == 0, outcome.err
    assert "50 training and 10 test samples" in outcome.out


def test_a_server_that_does_not_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTEXTSSL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cifar10, "URL", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    message = refusal(capsys, 3, "prepare", "cifar10")
    assert "contextssl prepare cifar10 --source DIR" in message
    assert "https://www.cs.toronto.edu" in message


@pytest.mark.parametrize(("name", "words"), [("../evil", "'../evil'"), ("/evil-cifar", "'/evil-cifar'")])
def test_an_archive_that_points_outside(
    tmp_path: Path, name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    source = write_archive(folder / "evil.tar.gz", cifar10_files.tree() | {name: b"harm"})
    before = sorted(tmp_path.rglob("*"))
    message = refusal(capsys, 4, "prepare", "cifar10", "--source", source, "--out", tmp_path / "s.h5")
    assert words in message
    assert "points outside" in message
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/evil-cifar").exists()


def test_an_archive_that_is_cut_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_archive(tmp_path / "cut.tar.gz", cifar10_files.tree())
    source.write_bytes(source.read_bytes()[:-5000])
    message = refusal(capsys, 4, "prepare", "cifar10", "--source", source, "--out", tmp_path / "s.h5")
    assert f"{source} is not a whole tar archive" in message
    assert not (tmp_path / "s.h5").exists()


def test_the_same_file_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = cifar10_files.tree()
    files |= {"again/test/cat/0000.jpg": files["test/cat/0000.jpg"]}
    source = write_archive(tmp_path / "twice.tar.gz", files)
    message = refusal(capsys, 4, "prepare", "cifar10", "--source", source, "--out", tmp_path / "s.h5")
    assert "again/test/cat/0000.jpg twice" in message


@pytest.mark.slow
def test_all_60000_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the archive and from its folder: the same store, whose channels have CIFAR-10's statistics."""
    archive = real_data("cifar10-jpeg.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "tree", filter="data")
    hashes = []
    for number, source in enumerate((archive, tmp_path / "tree")):
        out = tmp_path / f"{number}.h5"
        assert command(capsys, "prepare", "cifar10", "--source", source, "--out", out).code == 0
        with Store(out) as store:
            hashes.append(store.content_hash)
            assert {"train": len(store.train), "test": len(store.test)} == COUNTS
            assert np.bincount(store.train.labels("class")).tolist() == [5000] * 10
            pixels = store.train.inputs() / 255
            assert pixels.mean(axis=(0, 1, 2)) == pytest.approx(store.schema.mean, abs=0.005)
            assert pixels.std(axis=(0, 1, 2)) == pytest.approx(store.schema.std, abs=0.01)
    assert len(set(hashes)) == 1
