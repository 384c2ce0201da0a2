"""Every built-in plugin has a page; that of a data set tells its options, its licence and the whole way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contextssl_cli.plugin import Dataset
from contextssl_cli.plugin.registry import registry
from tests.docs.conftest import DOCS, PLUGINS, ROOT, blocks

CATALOGUES = ("datasets", "actions", "recipes")
WAY = ("prepare", "pretrain", "probe", "context", "adapt")
DATASETS = [(row.name, dataset) for row in registry().rows if row.owner == "contextssl" for dataset in row.datasets]


def test_every_plugin_folder_has_a_page() -> None:
    folders = {path.name for path in (ROOT / "plugins").glob("contextssl_*")}
    assert {page.parent.name for page in PLUGINS} == folders
    pages = {path.stem for folder in CATALOGUES for path in (DOCS / folder).glob("*.md")} - {"index"}
    assert {f"contextssl_{page}" for page in pages} == folders


@pytest.mark.parametrize(("folder", "dataset"), DATASETS, ids=lambda value: getattr(value, "name", ""))
def test_the_page_of_a_data_set_is_complete(folder: str, dataset: Dataset) -> None:
    page = ROOT / "plugins" / folder / "README.md"
    text = page.read_text(encoding="utf-8")
    flags = [f"--{name.replace('_', '-')}" for name in dataset.options.model_fields]
    assert [flag for flag in flags if f"`{flag}" not in text] == []
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    assert {line.split()[2] for line in lines if line.startswith("$ contextssl ")} >= set(WAY)
    for told in ("licence", r"\d (s|seconds|minutes)\b", r"\b(disk|kB|MB|GB)\b"):  # licence, time, disk
        assert re.search(told, text), told
    assert "](../../docs/images/" in text or text.count("| --- |") > 1  # a sample: a picture, or a table of records


def test_a_page_shows_the_readme_of_its_folder() -> None:
    for page in PLUGINS:
        name = page.parent.name.removeprefix("contextssl_")
        (stub,) = [path for folder in CATALOGUES for path in Path(DOCS, folder).glob(f"{name}.md")]
        assert f"../../plugins/{page.parent.name}/README.md" in stub.read_text(encoding="utf-8")
