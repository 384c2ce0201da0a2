"""The README's two commands are those that are run, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.conftest import PAGES, ROOT, blocks


def test_the_test_command_is_what_ci_runs() -> None:
    commands = blocks(ROOT / "README.md", "console")
    assert commands[0] == "pip install . && contextssl demo\n"
    assert commands[1] == 'pip install ".[test]" && pytest\n'
    assert commands[1].strip() in (ROOT / ".ci" / "run").read_text().splitlines()


def test_ci_is_executable() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
