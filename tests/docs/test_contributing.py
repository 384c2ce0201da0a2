"""The contributors' pages: the map of folders is complete, paths exist, and there is one list of checks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.conftest import DOCS, ROOT, load

PACKAGE = ROOT / "contextssl_cli"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LAYERS: list[str] = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]


def folder_map() -> dict[str, str]:
    """What each line of the map says, by folder or file."""
    section = CONTRIBUTING.read_text(encoding="utf-8").split("## Find your way")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `([\w./]+)` \| (.+) \|$", section, re.MULTILINE))


def test_the_map_has_a_sentence_for_every_folder_and_file_in_the_order_of_the_layers() -> None:
    expected = [f"{layer}/" if (PACKAGE / layer).is_dir() else f"{layer}.py" for layer in reversed(LAYERS)]
    named = list(folder_map())
    assert sorted(named) == sorted(expected)
    folders = [name for name in named if name.endswith("/")]
    assert folders == [name for name in expected if name.endswith("/")]
    assert all(len(sentence.split()) >= 3 for sentence in folder_map().values())


def test_the_layers_are_all_folders_and_files_of_the_package() -> None:
    found = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert set(LAYERS) == found - {"__init__", "__pycache__"}


@pytest.mark.parametrize("page", [CONTRIBUTING, DOCS / "development.md", DOCS / "release.md"], ids=lambda p: p.name)
def test_every_path_on_a_page_exists(page: Path) -> None:
    code = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S))
    paths = [text for text in code if re.fullmatch(r"[\w.*<>-]+(/[\w.*<>-]+)*/?", text) and is_path(text)]
    assert paths
    places = (ROOT, PACKAGE, DOCS)
    assert [path for path in paths if not any((place / path).exists() for place in places)] == []


def is_path(text: str) -> bool:
    """Whether code on a page is the path of a file or folder that is in the repository."""
    placeholder = re.search(r"[<>*]|NAME|^\.\.|^dist/|^contextssl_cli/$", text)
    return not placeholder and ("/" in text or text.endswith((".py", ".toml", ".md", ".cff")))


def test_there_is_one_list_of_checks() -> None:
    script = (ROOT / ".ci" / "checks").read_text(encoding="utf-8")
    functions = re.findall(r"^(\w+)\(\) \{", script, re.MULTILINE)
    (listed,) = re.findall(r"^all=\((.*)\)$", script, re.MULTILINE)
    assert set(listed.split()) == {*functions} - {"install_plugin"}
    assert "\n.ci/checks\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert ".ci/checks" in (ROOT / "tox.ini").read_text(encoding="utf-8")
    assert ".ci/checks" in (ROOT / "justfile").read_text(encoding="utf-8")


def test_the_hosted_checks_are_the_same() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    named = [name for command in commands if command.startswith(".ci/checks ") for name in command.split()[1:]]
    script = (ROOT / ".ci" / "checks").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^all=\((.*)\)$", script, re.MULTILINE)
    assert sorted(named) == sorted(listed.split())
    assert 'pip install ".[test]" && pytest' in commands
    assert jobs["tests"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]


def test_plugins_are_declared_by_their_entry_points_alone() -> None:
    points = PROJECT["project"]["entry-points"]["contextssl"]
    folders = {path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")}
    assert {*points.values()} == folders
    others = repr(PROJECT["tool"] | {"setuptools": {}})
    assert [folder for folder in folders if folder in others] == []
    derived = load(ROOT / ".ci" / "layers.py").configuration()
    assert {*derived["root_packages"]} == folders | {"contextssl_cli"}


def test_contracts_are_derived_from_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    contracts = {c["name"]: c for c in load(ROOT / ".ci" / "layers.py").configuration()["contracts"]}
    sources = set(contracts["Only store imports h5py"]["source_modules"])
    assert sources == {f"contextssl_cli.{layer}" for layer in LAYERS if layer != "store"}


def test_the_version_is_the_same_everywhere() -> None:
    version = PROJECT["project"]["version"]
    assert (
        re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)[1] == version
    )
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:2] == ["Unreleased", version]


@pytest.mark.parametrize(
    "path", [*sorted((ROOT / ".github").rglob("*.yml")), ROOT / ".pre-commit-config.yaml"], ids=lambda p: p.name
)
def test_configuration_of_hosted_services_is_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)
