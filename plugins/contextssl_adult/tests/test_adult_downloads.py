"""Downloads, from a server of our own: checked against their digests, and half a file is never kept."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contextssl_adult import adult
from contextssl_cli.cli.app import run
from contextssl_cli.plugin.sources import PublishedFile
from tests.places import real_data


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONTEXTSSL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address that serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.02,))
        thread.start()
        yield folder, f"http://127.0.0.1:{found.server_address[1]}"
        found.shutdown()
        thread.join()


def publish(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, **texts: bytes) -> None:
    """Serve files, under the digests of these contents."""
    folder, address = server
    urls = {}
    for name, text in texts.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(text)
        urls[f"{address}/{path.name}"] = PublishedFile(hashlib.sha256(text).hexdigest(), len(text))
    monkeypatch.setattr(adult, "URLS", urls)


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def test_a_download_is_prepared(
    server: tuple[Path, str], home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = real_data("adult")
    publish(
        server,
        monkeypatch,
        **{name.replace(".", "_"): (source / name).read_bytes() for name in ("adult.data", "adult.test")},
    )
    assert run(["prepare", "adult"]) == 0
    assert "32561 training and 16281 test samples" in capsys.readouterr().out
    assert files_below(home) == ["adult.data", "adult.h5", "adult.test"]
    for path in server[0].iterdir():
        path.unlink()  # the second time nothing is fetched
    assert run(["prepare", "adult", "--force"]) == 0


def test_a_download_that_was_changed_is_refused(
    server: tuple[Path, str], home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, monkeypatch, adult_data=b"1, 2", adult_test=b"3, 4")
    (server[0] / "adult.test").write_bytes(b"5, 6")
    assert run(["prepare", "adult"]) == 4
    message = capsys.readouterr().err
    assert "adult.test" in message
    assert "--source DIR" in message
    assert files_below(home) == ["adult.data"]


def test_a_download_that_is_not_there(
    server: tuple[Path, str], home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, monkeypatch, adult_data=b"1, 2")
    (server[0] / "adult.data").unlink()
    assert run(["prepare", "adult"]) == 3
    message = capsys.readouterr().err
    assert "cannot download" in message
    assert "contextssl prepare adult --source DIR" in message
    assert files_below(home) == []


def test_a_server_that_does_not_answer(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(adult, "URLS", {"http://127.0.0.1:9/adult.data": PublishedFile("0", 1)})
    assert run(["prepare", "adult"]) == 3
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error[E300]: cannot download http://127.0.0.1:9/adult.data")
    assert "https://archive.ics.uci.edu" in message
    assert "--source DIR" in message
    assert files_below(home) == []


def test_a_connection_that_breaks_leaves_what_came(
    server: tuple[Path, str], home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, monkeypatch, adult_data=b"x" * 100_000)

    def half(self: Quiet) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(b"x" * 50_000)

    monkeypatch.setattr(Quiet, "do_GET", half)
    assert run(["prepare", "adult"]) == 3
    assert "--source DIR" in capsys.readouterr().err
    assert files_below(home) == ["adult.data.part"]


def test_the_digests_are_those_of_the_files() -> None:
    source = real_data("adult")
    for url, expected in adult.URLS.items():
        data = (source / url.rpartition("/")[2]).read_bytes()
        assert PublishedFile(hashlib.sha256(data).hexdigest(), len(data)) == expected
