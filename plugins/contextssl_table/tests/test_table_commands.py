"""A user's table through the commands, and UCI Adult as such a table."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from table_files import people, written

from contextssl_cli.data.prepare import prepare
from contextssl_cli.plugin.registry import registry
from contextssl_cli.store.dataset import Store
from contextssl_cli.testing import check_dataset
from tests.cli.conftest import QUICK_PROBES, TINY
from tests.places import built_in, real_data
from tests.walk import command, refusal, walk

ADULT = (
    "age,workclass,fnlwgt,education,education-num,marital-status,occupation,relationship,race,sex,capital-gain,"
    "capital-loss,hours-per-week,native-country,income\n"
)
LINKED = "sex=female: role: husband=wife, sex=male: role: wife=husband"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTEXTSSL_HOME", str(tmp_path / "home"))


@pytest.fixture
def adult(tmp_path: Path) -> Path:
    """The canonical files as a user would write them: a header, and labels without the full stop of the test file."""
    source = real_data("adult")
    train = (source / "adult.data").read_text()
    test = (source / "adult.test").read_text().split("\n", 1)[1].replace("K.\n", "K\n")
    for name, text in (("train", train), ("test", test)):
        (tmp_path / f"{name}.csv").write_text(ADULT + text)
    return tmp_path


def test_the_contract(tmp_path: Path) -> None:
    source = written(tmp_path, people())
    check_dataset(registry().dataset("table"), source, {"label": ("income",), "sensitive": ("sex",)})
    check_dataset(registry().dataset("table"), source)


@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_the_whole_way(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in("attribute")
    source = written(tmp_path, people(key=range(60)), name)
    flags = ("--source", source, "--label", "income", "--sensitive", "sex", "--id", "key", "--linked", LINKED)
    prepared, probed, adapted = walk(capsys, monkeypatch, tmp_path, "table-attribute", *flags)
    assert "48 training and 12 test samples" in prepared.out
    assert "numbers: age\n" in prepared.err
    assert "categories: sex (2), role (3)\n" in prepared.err
    results = probed.json["results"]
    assert {row["target"] for row in results} == {"income", "sex", "attribute", "income by sex"}
    assert {row["environment"] for row in results} >= {"attribute", "none", "raw columns without sex"}
    assert adapted.json["embeddings"] == [12, 8]
    assert adapted.json["environment"] == "attribute"


@pytest.mark.parametrize("sensitive", ["sex", "role"])
@pytest.mark.parametrize("pairing", ["alone", "counterfactual", "matched"])
def test_either_attribute_in_every_pairing(
    sensitive: str, pairing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in("attribute")
    kind = type(registry().dataset("table"))
    monkeypatch.setattr(kind, "probing", {**kind.probing, **QUICK_PROBES})
    monkeypatch.chdir(tmp_path)
    source = written(tmp_path, people())
    chosen = ("--sensitive", sensitive, "--pairing", pairing)
    for arguments in (
        ("prepare", "table", "--source", source, "--label", "income", "--sensitive", "sex,role", "--linked", LINKED),
        ("pretrain", "--plugin", "table-attribute", "--out", "run", *chosen, *TINY),
        ("context", "create", "--run", "run", "--action", "none"),
        ("adapt", "--run", "run", "--context", "ctx.h5"),
    ):
        outcome = command(capsys, *arguments)
        assert outcome.code == 0, outcome.err
    blocks = command(capsys, "info", "run", "--json").json["action blocks"]
    assert str(blocks) == str({"attribute": 1 if sensitive == "sex" else 3})


def test_a_table_without_labels_or_attributes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in("attribute")
    monkeypatch.chdir(tmp_path)
    source = written(tmp_path, people())
    assert command(capsys, "prepare", "table", "--source", source).code == 0
    start = ("pretrain", "--plugin", "table-attribute", *TINY, "--out", "run")
    assert "name a categorical column with --sensitive COLUMN" in refusal(capsys, 2, *start)
    assert command(capsys, *start, "--sensitive", "sex").code == 0


def test_what_prepare_says_of_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    text = command(capsys, "prepare", "table", "--help").out
    for flag in ("label", "sensitive", "split", "id", "categorical", "linked", "drop", "max-categories", "seed"):
        assert f"--{flag} " in text


def test_faults_reach_the_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, people())
    assert "name the table" in refusal(capsys, 3, "prepare", "table")
    assert "is a folder without train.csv" in refusal(capsys, 3, "prepare", "table", "--source", tmp_path)
    assert "did you mean 'income'" in refusal(capsys, 2, "prepare", "table", "--source", path, "--label", "incom")
    path.write_bytes(path.read_bytes() + b"1,2\n")
    assert "line 62: 2 cells" in refusal(capsys, 4, "prepare", "table", "--source", path)
    assert not list(tmp_path.glob("home/stores/*"))


def test_the_census_as_a_table(adult: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--source", adult, "--label", "income", "--sensitive", "sex,race", "--out", tmp_path / "census.h5")
    outcome = command(capsys, "prepare", "table", *flags)
    assert "32561 training and 16281 test samples" in outcome.out
    assert "records without a value: workclass 2,799 (?), occupation 2,809 (?), native-country 857 (?)\n" in outcome.err
    with h5py.File(tmp_path / "census.h5") as file:
        assert file["train/labels/income"][:].mean() == pytest.approx(7841 / 32561)
        assert file["test/labels/income"][:].mean() == pytest.approx(3846 / 16281)
        assert file["train/attributes/sex"][:].mean() == pytest.approx(21790 / 32561)


def test_the_census_is_encoded_as_by_its_own_plugin(adult: Path, tmp_path: Path) -> None:
    built_in("adult")
    table = prepare(registry().dataset("table"), adult, tmp_path / "table.h5", options={"sensitive": ("sex",)})
    own = prepare(registry().dataset("adult"), real_data("adult"), tmp_path / "adult.h5")
    assert [column.name for column in table.schema.columns][:-1] == [column.name for column in own.schema.columns]
    for mine, theirs in zip(table.schema.columns, own.schema.columns, strict=False):
        if theirs.kind == "numeric":
            assert (mine.mean, mine.std) == pytest.approx((theirs.mean, theirs.std))
            mine_values, their_values = (
                store.test.inputs()[:, column.start] for store, column in ((table, mine), (own, theirs))
            )
            assert np.allclose(mine_values, their_values, atol=1e-4)
        else:
            renamed = ["?" if name == "(missing)" else name for name in _values(table, mine.name)]
            assert renamed == _values(own, theirs.name)


def _values(store: Store, name: str) -> list[str]:
    column = next(column for column in store.schema.columns if column.name == name)
    return [column.categories[code] for code in store.test.inputs()[:, column.start : column.stop].argmax(1)]


def test_the_source_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = written(tmp_path, people())
    before = source.read_bytes()
    ask = ("prepare", "table", "--source", source, "--label", "income", "--force")
    assert str(source) in refusal(capsys, 2, *ask, "--out", source)
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    assert str(other) in refusal(capsys, 2, *ask, "--out", other)
    arrays = tmp_path / "arrays.h5"
    with h5py.File(arrays, "w") as file:
        file["x"] = np.zeros(3)
    assert str(arrays) in refusal(capsys, 2, *ask, "--out", arrays)
    assert (source.read_bytes(), other.read_text()) == (before, "mine")


def test_a_table_that_was_edited_since_is_not_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = written(tmp_path, people())
    ask = ("prepare", "table", "--source", source, "--label", "income", "--out", tmp_path / "t.h5")
    assert "labels: income (high " in command(capsys, *ask).err
    assert "--force" in command(capsys, *ask).err
    source.write_bytes(source.read_bytes().replace(b"wife", b"aunt"))
    assert f"from {source} before that changed" in refusal(capsys, 2, *ask)
    assert command(capsys, *ask, "--force").code == 0
    source.unlink()
    assert command(capsys, *ask).code == 0  # the store that is there serves on


def test_a_dry_run_looks_for_the_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "does not exist" in refusal(capsys, 3, "prepare", "table", "--source", tmp_path / "no.csv", "--dry-run")
