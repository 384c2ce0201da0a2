"""Adult through the commands: its own files, and every way in which they can be wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from contextssl_adult import adult
from tests.cli.conftest import TINY, Command

DATA = Path(os.environ.get("CONTEXTSSL_DATA", Path(__file__).parents[3] / "shared" / "data")) / "adult"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"UCI Adult is not there: {DATA} (CONTEXTSSL_DATA names the folder above it)"
)
FILES = ("adult.data", "adult.test")
FEW = {"train": 2000, "test": 200}


@pytest.fixture
def source() -> Path:
    """A copy of the canonical files."""
    Path("adult").mkdir()
    for name in FILES:
        Path("adult", name).write_bytes((DATA / name).read_bytes())
    return Path("adult")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some records alone, as if that were all; of one country, so that the test has no category of its own."""
    Path("adult").mkdir()
    for name, split in zip(FILES, ("train", "test"), strict=True):
        header, *lines = (DATA / name).read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if b"United-States" in line][: FEW[split]]
        Path("adult", name).write_bytes(b"".join(([header] if split == "test" else []) + kept))
    monkeypatch.setattr(adult, "RECORDS", FEW)
    return Path("adult")


def test_prepare_reads_the_canonical_files(cli: Command) -> None:
    outcome = cli("prepare", "adult", "--source", DATA, "--out", "adult.h5")
    assert outcome.code == 0, outcome.err
    assert outcome.out == "adult.h5: 32561 training and 16281 test samples\n"
    facts = cli("info", "adult.h5", "--json").json
    assert facts["modality"] == "table"
    assert facts["sensitive attributes"] == {"gender": "Female/Male"}
    assert set(facts["provenance"]["sources"]) == set(FILES)
    with h5py.File("adult.h5") as file:
        assert file["train/labels/income"][:].mean() == pytest.approx(7841 / 32561)
        assert file["train/attributes/gender"][:].mean() == pytest.approx(21790 / 32561)
        assert file["test/labels/income"][:].mean() == pytest.approx(3846 / 16281)


def test_a_store_is_not_taken_for_that_of_another_source(cli: Command, few: Path) -> None:
    prepare = ("prepare", "adult", "--out", "adult.h5", "--source")
    assert cli(*prepare, few).code == 0
    assert cli(*prepare, few).code == 0
    few.rename("elsewhere")
    refused = cli(*prepare, "elsewhere")
    assert refused.code == 2
    assert f"was prepared from {few.resolve()}" in refused.err.replace("\n", "")
    assert cli(*prepare, "elsewhere", "--force").code == 0


def test_the_whole_path_on_a_table(cli: Command, few: Path) -> None:
    assert cli("prepare", "adult", "--source", few, "--out", "adult.h5").code == 0
    start = ["pretrain", "--plugin", "adult-gender", "--store", "adult.h5", "--out", "run", *TINY]
    assert cli(*start).code == 0
    found = cli("probe", "--run", "run", "--json").json
    assert {row["environment"] for row in found["results"]} >= {"encoder", "raw columns", "gender", "none"}
    assert {row["target"] for row in found["results"]} >= {"income", "gender"}
    assert len({row["probe"] for row in found["results"] if row["target"] == "gender"}) >= 2
    assert cli("context", "create", "--run", "run", "--action", "none").code == 0
    adapted = cli("adapt", "--context", "ctx.h5", "--run", "run", "--json")
    assert adapted.json["embeddings"] == [FEW["test"], 8]
    assert adapted.json["environment"] == "none"


def test_a_table_takes_no_folder_of_images(cli: Command, fails: Command, few: Path) -> None:
    cli("prepare", "adult", "--source", few, "--out", "adult.h5")
    cli("pretrain", "--plugin", "adult-gender", "--store", "adult.h5", "--out", "run", *TINY)
    cli("context", "create", "--run", "run", "--action", "gender")
    Path("photos").mkdir()
    fails(2, "--retrieval draws images", "probe", "--run", "run", "--retrieval")
    fails(4, "takes table data", "adapt", "--context", "ctx.h5", "--run", "run", "--input", "photos", "--out", "e.h5")
    np.save("few.npy", np.zeros((2, 5), np.float32))
    fails(4, "(5,)", "adapt", "--context", "ctx.h5", "--run", "run", "--input", "few.npy", "--out", "e.h5")


def test_pretrain_says_how_to_prepare(fails: Command) -> None:
    fails(3, "contextssl prepare adult --source", "pretrain", "--plugin", "adult-gender")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", ["in a line", "between lines", "everything"])
def test_a_truncated_file(fails: Command, source: Path, name: str, where: str) -> None:
    path = source / name
    data = path.read_bytes()
    end = {"in a line": data.rindex(b",", 0, len(data) // 2), "between lines": data.rindex(b"\n", 0, len(data) // 2),
           "everything": 0}[where]  # fmt: skip
    path.write_bytes(data[:end])
    fails(4, str(path), "prepare", "adult", "--source", source, "--out", "adult.h5")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("words", "edit"),
    [
        ("line 9: 14 columns, expected 15", lambda cells: cells[1:]),
        ("line 9: 16 columns, expected 15", lambda cells: [*cells, "more"]),
        ("'Mail'", lambda cells: [*cells[:9], "Mail", *cells[10:]]),
        ("'income' holds 'rich', expected one of <=50K, >50K", lambda cells: [*cells[:14], "rich"]),
        ("'age' holds 'old', expected a number", lambda cells: ["old", *cells[1:]]),
        ("'age' holds 'nan', expected a number", lambda cells: ["nan", *cells[1:]]),
        ("'fnlwgt' holds '', expected a number", lambda cells: [*cells[:2], "", *cells[3:]]),
    ],
)
def test_a_record_that_is_wrong(
    fails: Command, few: Path, name: str, words: str, edit: Callable[[list[str]], list[str]]
) -> None:
    path = few / name
    lines = path.read_text().splitlines()
    lines[8] = ",".join(edit([cell.strip() for cell in lines[8].rstrip(".").split(",")]))
    path.write_text("\n".join(lines) + "\n")
    fails(4, (str(path), words), "prepare", "adult", "--source", few, "--out", "adult.h5")


@pytest.mark.parametrize("name", FILES)
def test_a_category_that_was_not_published(fails: Command, few: Path, name: str) -> None:
    path = few / name
    path.write_text(path.read_text().replace("Private", "Privat"))
    fails(4, (str(path), "'workclass' holds 'Privat'", "Private"), "prepare", "adult", "--source", few, "--out", "a.h5")


def test_a_file_that_is_not_text(fails: Command, few: Path) -> None:
    path = few / "adult.data"
    path.write_bytes(path.read_bytes().replace(b"Private", b"Priv\xe4te", 1))
    fails(4, (str(path), "not UTF-8"), "prepare", "adult", "--source", few, "--out", "adult.h5")


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("adult.data", "adult/adult.data"),
        ("does not exist", "nowhere"),
        ("adult.data", "."),
    ],
)
def test_a_source_that_is_something_else(fails: Command, few: Path, words: str, place: str) -> None:
    fails(3, (place, words), "prepare", "adult", "--source", place, "--out", "adult.h5")


def test_a_source_with_half_of_the_files(fails: Command, few: Path) -> None:
    (few / "adult.test").unlink()
    fails(3, "adult.test", "prepare", "adult", "--source", few, "--out", "adult.h5")


def test_a_failed_prepare_keeps_the_old_store(cli: Command, fails: Command, few: Path) -> None:
    assert cli("prepare", "adult", "--source", few, "--out", "adult.h5").code == 0
    (few / "adult.data").write_text("1, 2\n")
    fails(4, "adult.data", "prepare", "adult", "--source", few, "--out", "adult.h5", "--force")
    assert cli("info", "adult.h5").code == 0
