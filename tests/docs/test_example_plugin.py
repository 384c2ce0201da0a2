"""The example plugin is found, and works, as a stranger's would; its README's commands run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.conftest import EXAMPLE, blocks
from tests.installed import install_project

SMALL = {
    "prepare": ["--count", "200"],
    "pretrain": ["--steps", "2", "--batch-size", "8", "--set", "model.block_size=8"],
}
"""What is added to the README's commands here."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a process that finds the example as pip would have left it: the package, and its entry point."""
    site = tmp_path_factory.mktemp("site")
    install_project(EXAMPLE, site)
    path = os.pathsep.join([str(site), str(EXAMPLE)])
    return {**os.environ, "PYTHONPATH": path, "CONTEXTSSL_HOME": str(site / "home"), "OMP_NUM_THREADS": "1"}


def contextssl(environment: dict[str, str], folder: Path, *arguments: str) -> str:
    code = "import sys; from contextssl_cli.cli.app import main; main(sys.argv[1:])"
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_listed(environment: dict[str, str], tmp_path: Path) -> None:
    told = contextssl(environment, tmp_path, "plugins")
    for name in ("waves", "shift", "gain"):
        assert f" {name} " in told
    assert "failed" not in told


@pytest.mark.slow
def test_the_commands_of_its_readme(environment: dict[str, str], tmp_path: Path) -> None:
    lines = [line for block in blocks(EXAMPLE / "README.md", "console") for line in block.splitlines()]
    commands = [line.removeprefix("$ contextssl ").split() for line in lines if line.startswith("$ contextssl ")]
    assert [words[0] for words in commands] == [
        "plugins",
        "plugins",
        "prepare",
        "pretrain",
        "probe",
        "context",
        "adapt",
    ]
    for words in commands:
        contextssl(environment, tmp_path, *words, *SMALL.get(words[0], []))
    assert "gain" in contextssl(environment, tmp_path, "info", "gain.h5")
    assert (tmp_path / "embeddings.h5").is_file()


@pytest.mark.slow
def test_its_own_tests_pass(environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(EXAMPLE), str(EXAMPLE)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
