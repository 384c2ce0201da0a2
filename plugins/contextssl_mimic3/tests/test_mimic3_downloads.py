"""The demo, from a server of our own; and what is said where there is nothing to read."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mimic3_tables import demo, made, write

from contextssl_cli.cli.app import run
from contextssl_cli.plugin.sources import PublishedFile
from contextssl_mimic3 import source
from contextssl_mimic3.demo import DEMO, URLS
from contextssl_mimic3.tables import TABLES


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONTEXTSSL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of tables that a server of our own serves under their digests."""
    folder = write(made(), tmp_path / "served", capitals=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr(source, "URLS", {f"{address}/{p.name}": published(p) for p in sorted(folder.iterdir())})
        yield folder
        server.shutdown()
        thread.join()


def published(path: Path) -> PublishedFile:
    return PublishedFile(hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")


def test_the_demo_is_downloaded_and_prepared(served: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prepare", "mimic3", "--demo"]) == 0
    assert "training and" in capsys.readouterr().out
    assert files_below(home) == sorted([*(f"{name}.csv" for name in TABLES), "mimic3.h5"])
    for path in served.iterdir():
        path.unlink()  # the second time nothing is fetched
    assert run(["prepare", "mimic3", "--demo", "--force"]) == 0


def test_a_table_that_was_changed_is_refused(served: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (served / "PATIENTS.csv").write_bytes(b"changed")
    assert run(["prepare", "mimic3", "--demo"]) == 4
    message = capsys.readouterr().err
    assert "PATIENTS.csv" in message
    assert "mimic3.h5" not in files_below(home)


def test_a_table_that_is_not_there(served: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (served / "PATIENTS.csv").unlink()
    assert run(["prepare", "mimic3", "--demo"]) == 3
    assert "contextssl prepare mimic3 --source DIR" in capsys.readouterr().err


def test_the_digests_are_those_of_the_demo() -> None:
    folder = demo()
    for name, expected in DEMO.items():
        assert published(folder / f"{name}.csv") == expected
    assert {url.rpartition("/")[2] for url in URLS} == {f"{name}.csv" for name in DEMO}


def test_without_a_source_it_says_where_it_looked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prepare", "mimic3"]) == 3
    message = capsys.readouterr().err
    assert str(home / "sources" / "mimic3") in message
    for words in ("https://physionet.org/content/mimiciii/1.4/", "credentialing", "--source DIR", "--demo"):
        assert words in message


def test_without_a_source_the_usual_folder_is_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(made(), home / "sources" / "mimic3", compress=True)
    assert run(["prepare", "mimic3"]) == 0
    assert "training and" in capsys.readouterr().out


def test_a_source_and_the_demo_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["prepare", "mimic3", "--demo", "--source", str(tmp_path), "--out", str(tmp_path / "store.h5")]
    assert run(arguments) == 2
    assert "give one of them" in capsys.readouterr().err
