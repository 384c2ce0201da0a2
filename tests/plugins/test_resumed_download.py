"""A large download that breaks off goes on where it was, and its digest is checked in the end."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contextssl_cli import paths
from contextssl_cli.errors import CorruptFileError, DataMissingError
from contextssl_cli.plugin import sources
from contextssl_cli.plugin.sources import download

CONTENT = bytes(range(256)) * 1200


@dataclass
class Served:
    """What the server sends, and what it was asked for."""

    content: bytes = CONTENT
    ranges: bool = True
    breaks_after: int | None = None
    """Bytes of an answer before the connection breaks."""
    asked: list[str | None] = field(default_factory=list)
    sent: int = 0


class Handler(BaseHTTPRequestHandler):
    def __init__(self, served: Served, *arguments: object) -> None:
        self.served = served
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        served, asked = self.served, self.headers.get("Range")
        served.asked.append(asked)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and served.ranges else 0
        if start and start >= len(served.content):
            self.send_response(416)
            self.end_headers()
            return
        body = served.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(served.content) - 1}/{len(served.content)}")
        self.end_headers()
        part = body[: served.breaks_after]
        served.sent += len(part)
        self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
def url(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("CONTEXTSSL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sources, "_CHUNK", 1000)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, served)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/big.bin"
        server.shutdown()
        thread.join()


def fetch(url: str) -> bytes:
    digest = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    return (download({url: digest}, "big", "https://example.org", resume=True) / "big.bin").read_bytes()


def kept() -> list[str]:
    return sorted(path.name for path in (paths.cache() / "big").iterdir())


def test_it_goes_on_where_it_broke_off(served: Served, url: str) -> None:
    served.breaks_after = 100_000
    for _ in range(3):
        with pytest.raises(DataMissingError, match="run the same command again"):
            fetch(url)
        assert kept() == ["big.bin.part"]
    served.breaks_after = None
    assert fetch(url) == CONTENT
    assert served.asked == [None, "bytes=100000-", "bytes=200000-", "bytes=300000-"]
    assert served.sent == len(CONTENT)  # nothing came twice
    assert kept() == ["big.bin"]
    assert fetch(url) == CONTENT
    assert len(served.asked) == 4  # and nothing is asked for again


def test_a_server_that_knows_no_ranges_sends_all_again(served: Served, url: str) -> None:
    served.breaks_after, served.ranges = 100_000, False
    with pytest.raises(DataMissingError):
        fetch(url)
    served.breaks_after = None
    assert fetch(url) == CONTENT


def test_a_part_that_was_whole_already(served: Served, url: str) -> None:
    part = paths.make_folder(paths.cache() / "big") / "big.bin.part"
    part.write_bytes(CONTENT)
    assert fetch(url) == CONTENT
    assert served.asked == [f"bytes={len(CONTENT)}-"]
    assert served.sent == 0


@pytest.mark.parametrize("part", [b"of another file", CONTENT + b"more"])
def test_a_part_of_another_file_is_found_and_dropped(served: Served, url: str, part: bytes) -> None:
    (paths.make_folder(paths.cache() / "big") / "big.bin.part").write_bytes(part)
    with pytest.raises(CorruptFileError, match="another digest"):
        fetch(url)
    assert kept() == []
    assert fetch(url) == CONTENT


def test_a_file_that_was_changed_is_refused(served: Served, url: str) -> None:
    served.content = CONTENT[:-1] + b"?"
    with pytest.raises(CorruptFileError, match="another digest"):
        fetch(url)
    assert kept() == []
