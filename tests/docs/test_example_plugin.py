"""The plugin of the guide is found, and works, as a stranger's would."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.conftest import DOCS

EXAMPLE = DOCS / "example-plugin"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a process that finds the example as pip would have left it: the package, and its entry point."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    ((group, points),) = project["entry-points"].items()
    site = tmp_path_factory.mktemp("site")
    installed = site / f"contextssl_waves-{project['version']}.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [f"{name} = {module}" for name, module in points.items()]
    (installed / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
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
    for name in ("waves", "shift", "loudness"):
        assert f" {name} " in told
    assert "failed" not in told


def test_it_trains_and_adapts(environment: dict[str, str], tmp_path: Path) -> None:
    small = ["--steps", "2", "--batch-size", "8", "--set", "model.block_size=8"]
    contextssl(environment, tmp_path, "pretrain", "--plugin", "waves-shift-loudness", "--out", "RUN", *small)
    contextssl(environment, tmp_path, "context", "create", "--run", "RUN", "--action", "loudness", "--out", "ctx.h5")
    assert "loudness" in contextssl(environment, tmp_path, "info", "ctx.h5")


def test_its_own_tests_pass(environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(EXAMPLE), str(EXAMPLE)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
