"""No built-in plugin needs another: without one of their folders the others keep the contract, and their tests pass.

The repository is copied without the folder. Since the package may be installed, the folder's import package is hidden
from the processes that run the copy.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest

from tests.places import DATA, ROOT

FOLDERS = sorted(path.name for path in (ROOT / "plugins").glob("contextssl_*"))
COPIED = ("benchmarks", "contextssl_cli", "docs", "plugins", "tests")
CONTRACT = "tests/plugins/test_contract.py"
LIST = """
import contextssl_cli
from contextssl_cli.cli.app import main
print(contextssl_cli.__file__)
main(["plugins", "--json"])
"""
NEEDS = r"^(plugins/\S+::.*) SKIPPED \(needs the built-in plugins ([\w, ]+);"


class Copy:
    """The repository without the folders of some plugins.

    Args:
        folder: where the copy is to stand.
        gone: the plugins' folders.
    """

    def __init__(self, folder: Path, *gone: str) -> None:
        self.folder = folder
        ignore = shutil.ignore_patterns("__pycache__", "_build", "*.egg-info", *gone)
        for name in COPIED:
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
        for name in ("conftest.py", "pyproject.toml"):
            shutil.copy(ROOT / name, folder / name)
        (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules |= dict.fromkeys({gone!r})\n")
        paths = [str(folder), str(folder / "plugins")]
        self._environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths),
            "CONTEXTSSL_DATA": str(DATA),
            "COLUMNS": "500",  # pytest shortens the reasons of what it skips
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy."""
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False
        )

    def python(self, *arguments: str) -> str:
        """Run Python in the copy; return what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pytest(self, *arguments: str) -> None:
        """Run tests of the copy, of which some must pass and none fail."""
        printed = self.python("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)
        assert " passed" in printed.splitlines()[-1]


def check_listing(copy: Copy, gone: str) -> None:
    """The plugin that is gone is a row with the reason; the others are there."""
    place, listing = copy.python("-c", LIST).split("\n", 1)
    assert Path(place).is_relative_to(copy.folder)
    rows = json.loads(listing)
    failed = {row["plugin"]: row["what"] for row in rows if row["kind"] == "failed"}
    assert list(failed) == [gone]
    assert gone in failed[gone]
    assert {row["plugin"] for row in rows} == set(FOLDERS)


def test_without_the_digits(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "copy", "contextssl_digits")
    check_listing(copy, "contextssl_digits")
    copy.pytest(CONTRACT, "plugins/contextssl_rotation", "-k", "rotation")


@pytest.mark.slow
@pytest.mark.parametrize("gone", FOLDERS)
def test_without_any_one(gone: str, tmp_path: Path) -> None:
    """The quick part of the contract; all of it, and the plugins' own tests, are run below with fewer plugins still."""
    copy = Copy(tmp_path / "copy", gone)
    check_listing(copy, gone)
    copy.pytest(CONTRACT, "-k", "plugin or action_type_keeps or definition")


@functools.cache
def run_with(own: str, others: tuple[str, ...] = (), tests: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run tests of a plugin, by default all and the contract, where no plugins are but it and some others."""
    kept = {own, *(f"contextssl_{name}" for name in others)}
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder) / "copy", *(name for name in FOLDERS if name not in kept))
        return copy.run("-m", "pytest", "-v", "-p", "no:cacheprovider", *(tests or (CONTRACT, f"plugins/{own}")))


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_plugins_tests_need_no_other_plugin(folder: str) -> None:
    done = run_with(folder)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_test_that_was_skipped_needs_no_more_than_it_says(folder: str) -> None:
    """So whatever folder is taken out, a test passes, or is skipped since it needs that one."""
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, needs in re.findall(NEEDS, run_with(folder).stdout, re.MULTILINE):
        groups[tuple(needs.split(", "))].append(name)
    for needs, names in groups.items():
        done = run_with(folder, needs, tuple(names))
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.findall(NEEDS, done.stdout, re.MULTILINE) == []
