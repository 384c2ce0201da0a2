"""``contextssl plugins new``: the project works as it is written; no bad name or folder is accepted."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest

from contextssl_cli.cli.app import run
from contextssl_cli.plugin.registry import registry
from contextssl_cli.plugin.scaffolding.new import project_name, skeleton
from tests.installed import install_project
from tests.places import built_in, real_data

KINDS = list(product(("dataset", "action"), ("image", "table")))
TINY = [
    "--steps", "2", "--batch-size", "8", "--set", "model.block_size=8", "--set", "model.width=16", "--set",
    "model.layers=1", "--set", "model.heads=2",
]  # fmt: skip

New = Callable[..., Path]


@pytest.fixture
def new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[New]:
    """Make a project by the command, and install it."""
    monkeypatch.chdir(tmp_path)
    site = tmp_path / "site-packages"

    def make(name: str, kind: str = "dataset", modality: str = "image") -> Path:
        assert run(["plugins", "new", name, "--kind", kind, "--modality", modality, "-q"]) == 0
        project = tmp_path / project_name(name)
        install_project(project, site)
        for folder in (site, project):
            monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(project)]))
        registry.cache_clear()
        return project

    yield make
    registry.cache_clear()


def own_tests(project: Path) -> None:
    """Run a project's own tests in a process of their own, as its author would."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(project), str(project)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("kind", "modality"), KINDS)
def test_a_new_plugin_is_found_and_keeps_the_contract(
    new: New, kind: str, modality: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"fresh_{kind}_{modality}"
    new(name, kind, modality)
    assert name in {**registry().datasets, **registry().actions}
    capsys.readouterr()
    assert run(["plugins", "check", f"contextssl_{name}"]) == 0
    results = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert results == {"ok"}


def test_a_new_data_set_trains_and_its_tests_pass(new: New, tmp_path: Path) -> None:
    built_in("rotation")
    project = new("new_pictures")
    own_tests(project)
    out = tmp_path / "run"
    assert run(["prepare", "new_pictures", "--count", "100", "-q"]) == 0
    assert run(["pretrain", "--plugin", "new_pictures-rotation", "--out", str(out), *TINY, "-q"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "modality"), KINDS)
def test_what_the_readme_of_a_new_plugin_says(
    new: New, kind: str, modality: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its commands, in their order, with few steps."""
    project = new(f"told_{kind}_{modality}", kind, modality)
    own_tests(project)
    (block,) = (project / "README.md").read_text().split("```console\n")[1:]
    lines = [line.removeprefix("$ contextssl ").split() for line in block.split("```")[0].splitlines()]
    commands = [words for words in lines if words[0] != "$"]
    for words in commands:
        more = TINY if words[0] == "pretrain" else []
        if words == ["prepare", "adult"]:
            more = ["--source", str(real_data("adult"))]
        assert run([*words, *more]) == 0, capsys.readouterr().err
    assert (tmp_path / "embeddings.h5").is_file()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("write my_flowers", "My-Flowers"),
        ("a-z, 0-9 and _", "_x"),
        ("a-z, 0-9 and _", "../x"),
        ("a-z, 0-9 and _", "ä"),
        ("the plugin contextssl_digits of contextssl", "digits"),
        ("contextssl_rotation", "rotation"),
        ("the package contextssl_cli", "cli"),
    ],
)
def test_a_bad_name_is_refused(
    words: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for more in ([], ["--dry-run"], ["--force"]):
        assert run(["plugins", "new", *more, "--", name]) == 2
        assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_kept(new: New, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = new("kept")
    (project / "README.md").write_text("mine")
    (project / "notes.txt").write_text("mine too")
    registry.cache_clear()
    assert run(["plugins", "new", "kept"]) == 2
    message = capsys.readouterr().err
    assert all(name in message for name in ("contextssl-kept", "--out", "--force"))
    assert run(["plugins", "new", "kept", "--out", str(tmp_path / "elsewhere")]) == 2
    assert "the plugin contextssl_kept of contextssl-kept" in capsys.readouterr().err
    assert (project / "README.md").read_text() == "mine"
    assert run(["plugins", "new", "kept", "--force"]) == 0
    assert "pip install" in (project / "README.md").read_text()
    assert (project / "notes.txt").read_text() == "mine too"


def test_a_file_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    assert run(["plugins", "new", "flowers", "--out", "file", "--force"]) == 2
    assert "choose another --out" in capsys.readouterr().err
    assert run(["plugins", "new", "flowers", "--out", "file/below"]) == 3
    assert "cannot write" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("option", ["--json", "-q", "-v"])
def test_options_stand_behind_the_command(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["plugins", option, "new", "flowers"]) == 2
    error = capsys.readouterr().err
    assert "error[E200]" in error
    assert "contextssl plugins new" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "modality"), KINDS)
@pytest.mark.parametrize("name", ["none", "3d", "a__b_", "dataset", "options", "any", "class", "my_skeleton", "x" * 60])
def test_any_name_gives_valid_files(name: str, kind: str, modality: str) -> None:
    files = skeleton(name, kind, modality)
    names = {str(path) for path in files}
    assert {"README.md", "pyproject.toml", "tests/test_contract.py", f"contextssl_{name}/__init__.py"} <= names
    project = tomllib.loads(files[Path("pyproject.toml")])["project"]
    assert project["entry-points"] == {"contextssl": {f"contextssl_{name}": f"contextssl_{name}"}}
    for path, text in files.items():
        assert ("skeleton" in text.lower()) is ("skeleton" in name)
        if path.suffix == ".py":
            ast.parse(text)
