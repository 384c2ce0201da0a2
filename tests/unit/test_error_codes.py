"""The stable codes of errors, and their page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from contextssl_cli import errors
from contextssl_cli.errors import ContextSSLError

ROOT = Path(__file__).parents[2]


def below(kind: type[ContextSSLError]) -> Iterator[type[ContextSSLError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from below(one)


KINDS = sorted({kind for kind in below(ContextSSLError) if kind.__module__ == errors.__name__}, key=lambda k: k.code)


def page() -> dict[str, str]:
    """Exit status by code."""
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (E\d{3}) \| (\d+) \| [^|]+\. \| [^|]+\. \|$", text, flags=re.MULTILINE)
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def test_every_kind_of_error_has_a_code_of_its_own() -> None:
    assert len(KINDS) > 8
    assert len({kind.code for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_has_every_code_with_its_exit_status(kind: type[ContextSSLError]) -> None:
    assert page()[kind.code] == str(kind.exit_code)
    digits = kind.code.removeprefix("E")
    assert digits == str(kind.exit_code) or digits[0] == str(kind.exit_code)


@pytest.mark.parametrize("name", ["README.md", "docs/index.md"])
def test_the_page_is_linked(name: str) -> None:
    assert re.search(r"docs/errors\.md|^errors$", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
