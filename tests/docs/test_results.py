"""The figures printed in the README are those of the result files that its pages cite."""

from __future__ import annotations

import json
from types import ModuleType

import pytest

from tests.docs.conftest import DOCS, ROOT


def test_the_readme_prints_the_figures_of_the_result_files(generate: ModuleType) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert generate.first_table() in readme
    assert generate.headline() in readme


@pytest.mark.parametrize("name", ["digits", "adult"])
def test_every_page_of_results_names_three_seeds_and_its_versions(name: str) -> None:
    report = json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
    assert [run["config"]["seed"] for run in report["protocol"]["runs"]] == [0, 1, 2]
    assert report["protocol"]["versions"].keys() >= {"torch", "scikit-learn", "contextssl"}


def test_every_page_of_results_is_linked_and_has_its_figures() -> None:
    pages = {path.stem for path in (DOCS / "results").glob("*.md")} - {"index"}
    assert pages == {path.stem for path in (DOCS / "results").glob("*.json")}
    index = (DOCS / "results" / "index.md").read_text(encoding="utf-8").split()
    assert [page for page in pages if page not in index] == []
