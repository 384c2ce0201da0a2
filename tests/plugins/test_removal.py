"""No built-in plugin needs another: without one of their folders the others keep the contract, and their tests pass.

The repository is copied without the folder. Since the package may be installed, the folder's import package is hidden
from the processes that run the copy.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from contextssl_cli.cpus import cpu_count
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

    def python(self, *arguments: str) -> str:
        """Run Python in the copy; return what it printed."""
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pytest(self, *arguments: str) -> None:
        """Run tests of the copy, of which some must pass and none fail."""
        printed = self.python("-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *arguments)
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


@pytest.mark.slow
def test_without_the_digits(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "copy", "contextssl_digits")
    check_listing(copy, "contextssl_digits")
    copy.pytest(CONTRACT, "plugins/contextssl_rotation", "-k", "rotation")


def examine(plugin: str) -> None:
    """Take a plugin out; then take all others out, and leave it alone with what its tests say they need.

    So whatever one folder is taken out, a test passes, or is skipped since it needs that one.
    """
    with copy_without(plugin) as copy:
        check_listing(copy, plugin)
        copy.pytest(CONTRACT, "-k", "loads or action_type_keeps or definition")
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for test, needs in run_with((plugin,), CONTRACT, f"plugins/{plugin}"):
        groups[tuple(needs.split(", "))].append(test)
    for needs, tests in groups.items():
        assert run_with((plugin, *(f"contextssl_{name}" for name in needs)), *tests) == []


@contextmanager
def copy_without(*gone: str) -> Iterator[Copy]:
    """A copy for the time of its use."""
    with tempfile.TemporaryDirectory() as folder:
        yield Copy(Path(folder) / "copy", *gone)


def run_with(kept: tuple[str, ...], *tests: str) -> list[tuple[str, str]]:
    """Run tests where there are a few plugins only; those that were skipped, and which plugins they need."""
    with copy_without(*(name for name in FOLDERS if name not in kept)) as copy:
        printed = copy.python("-m", "pytest", "-v", "-n", "0", "-p", "no:cacheprovider", *tests)
    return re.findall(NEEDS, printed, re.MULTILINE)


@pytest.fixture(scope="module")
def examined(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[None]]]:
    """The plugins that are asked for, examined by as many threads as there are cores; each waits for its processes."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    chosen = [call.params["examined_plugin"] for call in calls if call and "examined_plugin" in call.params]
    with ThreadPoolExecutor(cpu_count()) as pool:
        yield {plugin: pool.submit(examine, plugin) for plugin in chosen}


@pytest.mark.slow
@pytest.mark.parametrize("examined_plugin", FOLDERS)
def test_no_other_needs_it_and_it_needs_no_other(examined_plugin: str, examined: dict[str, Future[None]]) -> None:
    examined[examined_plugin].result()
