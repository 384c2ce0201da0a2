"""Every number in the documentation that looks like a result cites the file it is from, and is what stands there."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.citations import citations, resolve, uncited
from tests.docs.conftest import DOCS, EXAMPLE, PLUGINS, ROOT

GENERATED = {"commands.md", "configuration.md", "changelog.md"}
WRITTEN = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *(page for page in sorted(DOCS.glob("*.md")) if page.name not in GENERATED),
    *sorted((DOCS / "results").glob("*.txt")),
    DOCS / "results" / "index.md",
    EXAMPLE / "README.md",
    *PLUGINS,
]
"""The pages that are written by hand."""

NOT_RESULTS = {
    "README.md": {"3.11"},  # Python
    "docs/installation.md": {"3.11"},
    "docs/decisions.md": {"1.10"},  # HDF5
    "docs/guard.md": {"0.01"},  # thresholds
    "docs/inspect.md": {"0.02", "0.005"},
    "docs/method.md": {
        *("0.744", "0.344", "0.986", "0.023", "1.363"),  # the paper's own
        *("0.01", "0.090", "0.180", "0.75"),  # the ridge penalty, the MRR of chance, two bins of two types
    },
    "docs/results/digits.txt": {"1.363"},  # the paper's own
    "docs/results/shapes3d-rotation-color.txt": {"1.363"},
    "plugins/contextssl_3diebench/README.md": {"2.16", "0.53"},  # benchmarks/read_3diebench.py
    "plugins/contextssl_blur/README.md": {"2.25", "1.41"},  # arithmetic
    "plugins/contextssl_color/README.md": {"0.62", "1.62", "0.299", "0.587", "0.114"},  # ranges, luma
    "plugins/contextssl_crop/README.md": {"0.47"},  # the range
    "plugins/contextssl_imagefolder/README.md": {"0.485", "0.456", "0.406", "0.229", "0.224", "0.225"},  # ImageNet's
    "plugins/contextssl_mimic3/README.md": {"0.04", "0.48", "0.44"},  # a record; benchmarks/mimic3_full_size.py
    "plugins/contextssl_shapes3d/README.md": {"0.06", "0.01"},  # arithmetic
    "plugins/contextssl_table/README.md": {"0.33"},  # memory
}
"""Numbers of two or three decimals that were not measured by ``contextssl probe``."""


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_cited_numbers_are_those_of_the_files(page: Path) -> None:
    found = citations(page.read_text(encoding="utf-8"))
    assert [wrong for citation in found if (wrong := citation.wrong(DOCS))] == []


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_no_result_is_printed_without_its_file(page: Path, generate: ModuleType) -> None:
    text = page.read_text(encoding="utf-8")
    if page == ROOT / "README.md":
        text = text.replace(generate.headline(), "").replace(generate.first_table(), "")  # see test_results
    known = NOT_RESULTS.get(name(page), set())
    assert [(line, number) for line, number in uncited(text) if number not in known] == [], (
        f"cite the file of results, as tests/docs/citations.py says; or tell in NOT_RESULTS of {__name__} what it is"
    )


def test_the_exceptions_are_still_there() -> None:
    for page, numbers in NOT_RESULTS.items():
        found = {number for _, number in uncited((ROOT / page).read_text(encoding="utf-8"))}
        assert numbers <= found, f"{page}: {numbers - found}"


def test_there_are_citations() -> None:
    assert sum(len(list(citations(page.read_text(encoding="utf-8")))) for page in WRITTEN) >= 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    row = {"environment": "a b", "context_length": 2, "metric": "r2", "target": "x", "mean": 0.12349, "std": 0.5}
    rows = [row | {"probe": probe} for probe in ("linear (Adam)", "ridge one", "ridge two")]
    values = {"gap": -1.005, "gaps": [1, 2.5], "results": rows}
    (tmp_path / "found.json").write_text(json.dumps(values | {"compared": {"first": values}}))
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "0.123<!-- found.json: a b / 2 / r2 / x / linear -->",
        "| 12 %<!-- found.json: a b / 2 / r2 / x / linear --> |",
        "12.3%<!-- found.json: a b / 2 / r2 / x / linear -->",
        "0.5<!-- found.json: a b / 2 / r2 / x / ridge two / std -->",
        "12.3<!-- found.json: a b / 2 / r2 / x / linear / % --> of it",
        "± 50<!-- found.json: a b / 2 / r2 / x / linear / std % --> %",
        "about 0.12\n<!-- found.json: compared.first > a b / 2 / r2 /\nx / linear --> or so",
        "−1.0<!-- found.json: gap -->",
        "2.50 <!-- found.json: gaps.1 -->",
    ],
)
def test_a_right_number_passes(folder: Path, text: str) -> None:
    (found,) = citations(text)
    assert found.wrong(folder) == ""
    assert uncited(text) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.124<!-- found.json: a b / 2 / r2 / x / linear -->", "0.124 is printed, found.json has 0.123"),
        ("\n0.1<!-- found.json: gap -->", "line 2: 0.1 is printed, found.json has -1.0"),
        ("1.0<!-- found.json: gap -->", "1.0 is printed"),
        ("0.123 %<!-- found.json: a b / 2 / r2 / x / linear -->", "has 12.349"),
        ("0.123<!-- found.json: a b / 2 / r2 / x / ridge -->", "2 rows"),
        ("0.123<!-- found.json: a b / 4 / r2 / x / linear -->", "0 rows"),
        ("0.123<!-- found.json: hap -->", "KeyError"),
        ("0.123<!-- lost.json: gap -->", "FileNotFoundError"),
    ],
)
def test_a_wrong_number_fails(folder: Path, text: str, words: str) -> None:
    (found,) = citations(text)
    assert words in found.wrong(folder)


def test_a_comment_needs_its_number() -> None:
    with pytest.raises(ValueError, match="line 1: no number before"):
        list(citations("much <!-- results/digits.json: adaptation_gap -->"))


def test_what_looks_like_a_result() -> None:
    first = "Gap 1.95, `0.11` and $0.12$.\n```\n0.13\n```\n"
    text = first + "R2 of 0.981; 0.5, 0.4914, 1.2.3, [it](a0.14.md), version 1.10.2. At 0.16."
    assert uncited(text) == [(1, "1.95"), (5, "0.981"), (5, "0.16")]


def test_a_changed_number_in_a_real_page_is_found() -> None:
    page = DOCS / "results" / "cifar10-crop-color.txt"
    text = page.read_text(encoding="utf-8")
    first = next(citations(text))
    changed = text.replace(f"{first.number}<!--", f"{float(first.number) + 0.001:.3f}<!--", 1)
    assert any(citation.wrong(DOCS) for citation in citations(changed))
    assert resolve(json.loads((DOCS / first.file).read_text(encoding="utf-8")), first.figure)
