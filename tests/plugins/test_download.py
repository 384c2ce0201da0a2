"""Downloads, from a server of our own: whatever it sends, what is kept is what was published, or a part of it."""

from __future__ import annotations

import gzip
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contextssl_cli import paths
from contextssl_cli.errors import CorruptFileError, DataMissingError, UsageError
from contextssl_cli.plugin import sources
from contextssl_cli.plugin.sources import PublishedFile, download

CONTENT = bytes(range(256)) * 1200
PUBLISHED = PublishedFile(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@dataclass
class Served:
    """What the server sends, and what it was asked for."""

    content: bytes = CONTENT
    ranges: bool = True
    breaks_after: int | None = None
    """Bytes of an answer before the connection breaks."""
    answer: Callable[[BaseHTTPRequestHandler], None] | None = None
    """In place of the content."""
    asked: list[str | None] = field(default_factory=list)
    sent: int = 0


class Handler(BaseHTTPRequestHandler):
    def __init__(self, served: Served, *arguments: object) -> None:
        self.served = served
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        served, asked = self.served, self.headers.get("Range")
        served.asked.append(asked)
        if served.answer:
            served.answer(self)
            return
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
    return (download({url: PUBLISHED}, "big", "https://example.org") / "big.bin").read_bytes()


def kept() -> list[str]:
    return sorted(path.name for path in (paths.cache() / "big").iterdir() if path.name != ".lock")


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


def test_a_part_of_another_file_is_found_and_dropped(served: Served, url: str) -> None:
    (paths.make_folder(paths.cache() / "big") / "big.bin.part").write_bytes(b"of another file")
    with pytest.raises(CorruptFileError, match=PUBLISHED.sha256):
        fetch(url)
    assert kept() == []
    assert fetch(url) == CONTENT


def test_a_part_that_is_longer_than_the_file_is_not_gone_on_with(served: Served, url: str) -> None:
    (paths.make_folder(paths.cache() / "big") / "big.bin.part").write_bytes(CONTENT + b"more")
    assert fetch(url) == CONTENT
    assert served.asked == [None]


def test_a_file_of_an_older_version_is_fetched_again(served: Served, url: str) -> None:
    (paths.make_folder(paths.cache() / "big") / "big.bin").write_bytes(CONTENT[:-1])
    assert fetch(url) == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"?", CONTENT + b"more", CONTENT[:-1], b"", b"<html>log in</html>"])
def test_a_file_that_was_changed_is_refused(served: Served, url: str, content: bytes) -> None:
    served.content = content
    with pytest.raises(CorruptFileError, match=r"/big\.bin .*--source DIR"):
        fetch(url)
    assert kept() == []


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(1 << 16))
    except OSError:  # whoever asked has gone
        pass


def packed(handler: BaseHTTPRequestHandler) -> None:
    """A bomb, for whoever unpacks what a server says to be packed."""
    data = gzip.compress(bytes(1 << 22))
    send(handler, 200, data, Content_Encoding="gzip", Content_Length=str(len(data)))


def goes_on_elsewhere(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 206, CONTENT, Content_Range=f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}")


def chunked(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, b"4\r\nabcd\r\n0\r\n\r\n", Transfer_Encoding="chunked")


REFUSED: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
    "endless bytes": endless,
    "a short chunked answer": chunked,
    "a length that is too small": lambda handler: send(handler, 200, CONTENT, Content_Length="10"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_answer_that_cannot_be_the_file_is_dropped(served: Served, url: str, name: str) -> None:
    served.answer = REFUSED[name]
    with pytest.raises(CorruptFileError, match=r"/big\.bin "):
        fetch(url)
    assert kept() == []


def test_an_answer_that_goes_on_elsewhere_is_dropped(served: Served, url: str) -> None:
    (paths.make_folder(paths.cache() / "big") / "big.bin.part").write_bytes(CONTENT[:9000])
    served.answer = goes_on_elsewhere
    with pytest.raises(CorruptFileError):
        fetch(url)
    assert kept() == []


def redirect(target: str) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: send(handler, 302, b"", Location=target)


FAILED: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
    "a redirect to a file": redirect("file:///etc/passwd"),
    "a redirect to FTP": redirect("ftp://127.0.0.1/big.bin"),
    "a redirect to data": redirect("data:text/plain,abc"),
    "a redirect in a circle": redirect("/big.bin"),
    "a length that is too large": lambda handler: send(handler, 200, CONTENT, Content_Length=str(10**12)),
    "a length that is no number": lambda handler: send(handler, 200, b"", Content_Length="5, 7"),
    "no length and half of it": lambda handler: send(handler, 200, CONTENT[:9000]),
    "a broken chunk": lambda handler: send(handler, 200, b"zz\r\nabc", Transfer_Encoding="chunked"),
    "not HTTP": lambda handler: handler.wfile.write(b"SSH-2.0\r\n\r\n") and None,
    "nothing": lambda handler: None,
    "an error": lambda handler: send(handler, 503, b"try later"),
}


@pytest.mark.parametrize("name", FAILED)
def test_an_answer_that_fails_is_missing_data(served: Served, url: str, name: str) -> None:
    served.answer = FAILED[name]
    with pytest.raises(DataMissingError, match="--source DIR"):
        fetch(url)
    assert "big.bin" not in kept()
    part = paths.cache() / "big" / "big.bin.part"
    if part.exists():
        assert CONTENT.startswith(part.read_bytes()[: len(CONTENT)])


def test_what_a_server_says_to_be_packed_is_not_unpacked(served: Served, url: str) -> None:
    served.answer = packed
    with pytest.raises(CorruptFileError, match="fewer than"):
        fetch(url)
    served.answer = lambda handler: send(handler, 200, CONTENT, Content_Encoding="gzip")  # an archive, so labelled
    assert fetch(url) == CONTENT


def test_a_link_is_not_written_through(served: Served, url: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("kept")
    (paths.make_folder(paths.cache() / "big") / "big.bin.part").symlink_to(target)
    with pytest.raises(UsageError, match=r"big\.bin\.part is a symbolic link"):
        fetch(url)
    assert target.read_text() == "kept"


def test_of_several_at_the_same_time_one_downloads(served: Served, url: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(fetch, [url] * 3)) == [CONTENT] * 3
    assert served.asked == [None]
    assert kept() == ["big.bin"]
