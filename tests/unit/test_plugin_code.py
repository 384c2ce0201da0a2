"""The hash of a plugin's code follows what the code says, wherever it stands in the package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contextssl_cli.plugin import code
from contextssl_cli.plugin.code import code_hash
from contextssl_cli.plugin.kinds import ActionType
from contextssl_cli.plugin.task import resolve_task

PLUGIN = """
from contextssl_cli.plugin.kinds import ActionType

class Turn(ActionType):
    name = "turn"
    width = 1

    def relative(self, first, second):
        return second - first
"""
HELP = "AMOUNT = 1\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "a_turning_plugin"
    (folder / "deep").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "deep" / "__init__.py").write_text(PLUGIN)
    (folder / "help.py").write_text(HELP)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def hashed(package: Path) -> str:
    code.source_hash.cache_clear()  # a process reads a plugin once
    turn: ActionType = importlib.import_module(f"{package.name}.deep").Turn()
    return code_hash([turn])


def test_what_the_code_says_counts_and_nothing_else(package: Path) -> None:
    before = hashed(package)
    (package / "help.py").write_text("# a comment\nAMOUNT  =  1\n")
    (package / "tests" / "test_turn.py").write_text("assert True\n")
    assert hashed(package) == before
    (package / "help.py").write_text("AMOUNT = 2\n")
    changed = hashed(package)
    assert changed != before
    (package / "README.md").write_text("words")
    assert hashed(package) == changed
    (package / "table.json").write_text("[1]")
    assert hashed(package) not in (before, changed)
    (package / "table.json").unlink()
    (package / "broken.py").write_text("def (\n")
    assert hashed(package) not in (before, changed)


def test_built_in_plugins_differ() -> None:
    tasks = [resolve_task(name) for name in ("digits-rotation", "digits-color", "adult-gender", "shapes3d-rotation")]
    assert len({code_hash([task.dataset, *task.actions]) for task in tasks}) == len(tasks)


def test_what_the_package_itself_defines_is_left_out() -> None:
    rotation = resolve_task("shapes3d-rotation").actions
    assert type(rotation[0]).__module__.startswith("contextssl_cli.")
    assert code_hash(rotation) == code_hash([])
