"""What the columns of a table are taken for, and how they are encoded."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from table_files import Made, people, prepared, written

from contextssl_cli.errors import UsageError

HALF = ["train", "test"] * 30


def made(folder: Path, columns: dict[str, Any], name: str = "people.csv", **options: Any) -> Made:
    return Made(written(folder, columns, name), **({"split": "part"} if "part" in columns else {}) | options)


def test_a_table_is_read_as_it_stands(tmp_path: Path) -> None:
    columns = people(part=HALF)
    table = made(tmp_path, columns, label=("income",), sensitive=("sex",))
    assert table.names == ["age", "sex", "role"]
    assert table.schema.tasks == {"income": ("high", "low")}
    assert table.schema.attributes == {"sex": ("female", "male")}
    for split, start in (("train", 0), ("test", 1)):
        for name in ("age", "sex", "role"):
            assert table.column(name, split) == columns[name][start::2]
        assert table.labels[split]["income"] == columns["income"][start::2]


def test_csv_and_parquet_give_the_same(tmp_path: Path) -> None:
    columns = people(part=HALF, born=["1990-01-02", "2001-12-31", None] * 20, flag=["true", "false", None] * 20)
    typed = columns | {"born": [date.fromisoformat(b) if b else None for b in columns["born"]],
                       "flag": [{"true": True, "false": False}.get(f) for f in columns["flag"]]}  # fmt: skip
    options = {"label": ("income",), "sensitive": ("sex",)}
    text, parquet = made(tmp_path, columns, **options), made(tmp_path, typed, "people.parquet", **options)
    assert text.schema == parquet.schema
    assert text.notes == parquet.notes
    for split in ("train", "test"):
        assert np.array_equal(np.concatenate(text.inputs[split]), np.concatenate(parquet.inputs[split]))


def test_numbers_are_standardised_by_the_training_split(tmp_path: Path) -> None:
    ages = [10.0, 500.0, 30.0, -7.25] * 15
    table = made(tmp_path, people(age=ages, part=HALF))
    train = np.concatenate(table.inputs["train"])[:, 0]
    assert train.mean() == pytest.approx(0, abs=1e-6)
    assert train.std() == pytest.approx(1, abs=1e-6)
    (age,) = (column for column in table.schema.columns if column.name == "age")
    assert (age.mean, age.std) == (20.0, 10.0)
    assert table.column("age", "test")[:2] == [500.0, -7.25]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2.5", "-3e2"], "numbers"),
        (["1", "3", "?"], "numbers"),
        (["2024-01-31", "1969-12-31", "2024-02-29"], "dates, as days since 1970-01-01"),
        (["2024-01-31 23:59", "2024-02-01T00:00:00Z", ""], "dates, as days since 1970-01-01"),
        (["a", "b", "7"], "categories"),
        (["01.02.2024", "03.04.2024", "05.06.2024"], "categories"),
        (["2024-13-31", "2024-02-30", "x"], "categories"),
        (["True", "False", "True"], "categories"),
        (["1,000", "2,000", "3,000"], "categories"),
    ],
)
@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_what_a_column_of_text_is_taken_for(values: list[str], kind: str, name: str, tmp_path: Path) -> None:
    table = made(tmp_path, people(x=values * 20), name)
    assert "x" in [fact.split(" (")[0] for fact in table.notes[kind].split(", ")]


def test_dates_are_days(tmp_path: Path) -> None:
    days = ["1970-01-01", "1970-01-11 12:30:00", "1969-12-31"]
    assert set(made(tmp_path, people(x=days * 20)).column("x")) == {0.0, 10.0, -1.0}
    typed = [datetime.fromisoformat(day) for day in days]
    assert set(made(tmp_path, people(x=typed * 20), "p.parquet").column("x")) == {0.0, 10.0, -1.0}


@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_numbers_that_are_named_are_categories_in_their_order(name: str, tmp_path: Path) -> None:
    codes = [10, 9, 2] * 20
    table = made(tmp_path, people(code=codes, level=codes, part=HALF), name, sensitive=("code",), label=("level",))
    assert table.schema.attributes == {"code": ("2", "9", "10")}
    assert table.schema.tasks == {"level": ("2", "9", "10")}
    assert table.column("code") == [str(code) for code in codes[::2]]
    other = made(tmp_path, people(code=codes, part=HALF), name, categorical=("code",))
    assert other.categories("code") == ("2", "9", "10")
    assert other.schema.attributes == {}


def test_whole_floats_are_written_without_a_point(tmp_path: Path) -> None:
    table = made(tmp_path, people(x=[1.0, 2.5, None] * 20), "p.parquet", categorical=("x",))
    assert table.categories("x") == ("1", "2.5", "(missing)")


@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_missing_numbers_are_the_mean_and_say_so(name: str, tmp_path: Path) -> None:
    table = made(tmp_path, people(age=[20, None, None, 40, 40, None] * 10, part=HALF), name)
    assert table.column("age") == [20.0, 30.0, 40.0] * 10
    assert table.column("age (missing)") == ["no", "yes", "no"] * 10
    assert table.column("age (missing)", "test") == ["yes", "no", "yes"] * 10


def test_a_mark_has_a_name_of_its_own(tmp_path: Path) -> None:
    columns = people(age=[20, None, 30] * 20) | {"age (missing)": ["a", "b", "c"] * 20}
    table = made(tmp_path, columns, sensitive=("age (missing)",))
    assert table.schema.attributes == {"age (missing)": ("a", "b", "c")}
    assert table.names[:2] == ["age", "age (missing) (missing)"]
    assert set(table.column("age (missing) (missing)")) == {"no", "yes"}


def test_one_number_that_is_missing_here_and_there_leaves_its_mark(tmp_path: Path) -> None:
    table = made(tmp_path, people(age=[20, None, None, 40] * 15, part=HALF))
    assert table.names == ["age (missing)", "sex", "role", "income"]
    assert table.notes["columns left out"] == "age (one value in the training split)"


@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_missing_values_are_counted_and_marked(name: str, tmp_path: Path) -> None:
    ages = [20, None, 30, 40, None, 50] * 10
    sex = ["female", "male", None, None, "male", "male"] * 10
    table = made(tmp_path, people(age=ages, sex=sex), name, sensitive=("sex",), split="0.5")
    assert table.notes["records without a value"] == "age 20, sex 20"
    assert table.schema.attributes["sex"] == ("female", "male", "(missing)")
    for split in ("train", "test"):
        for row in table.splits[split]:
            assert (row["age (missing)"] == "yes") == (row["age"] not in (20, 30, 40, 50))


def test_values_missing_from_the_test_split_alone(tmp_path: Path) -> None:
    table = made(tmp_path, people(age=[1, None, 3, 4] * 15, role=["a", None, "b", "a"] * 15, part=HALF))
    assert table.names == ["age", "sex", "role", "income"]  # no mark: nothing could be learned of it
    assert set(table.column("age", "test")) == {2.0, 4.0}
    assert table.categories("role") == ("a", "b", "(missing)")
    assert table.notes["records without a value"] == "age 15, role 15"


def test_categories_that_only_the_test_split_has(tmp_path: Path) -> None:
    table = made(tmp_path, people(role=["a", "x", "b", "y"] * 15, part=HALF))
    assert table.categories("role") == ("a", "b", "(other)")
    assert set(table.column("role", "test")) == {"(other)"}
    assert table.notes["values that only the test split has"] == "role 'x', 'y' in 30"


def test_a_category_may_be_called_as_ours(tmp_path: Path) -> None:
    table = made(tmp_path, people(role=["(missing)", "x", "(other)", "", "", "y"] * 10, part=HALF))
    assert table.categories("role") == ("(missing)", "(other)")
    assert table.column("role") == ["(missing)", "(other)", "(missing)"] * 10
    assert table.column("role", "test") == ["(other)", "(missing)", "(other)"] * 10


def test_labels_that_are_missing_or_unknown(tmp_path: Path) -> None:
    income = ["high", "low", "", "rich", "low", "high"] * 10
    table = made(tmp_path, people(income=income, part=HALF), label=("income",))
    assert table.schema.tasks == {"income": ("high", "low")}
    assert table.labels["train"]["income"] == ["high", None, "low"] * 10
    assert table.labels["test"]["income"] == ["low", None, "high"] * 10
    assert table.notes["labels that are missing"] == "income 10"
    assert table.notes["values that only the test split has"] == "income 'rich' in 10"


def test_what_cannot_be_learned_from_is_left_out_and_named(tmp_path: Path) -> None:
    columns = people(
        land=["x"] * 60, one=[1] * 60, none=[None] * 60, late=["", "z"] * 30, gone=["y", "z"] * 30, part=HALF
    )
    table = made(tmp_path, columns, drop=("gone",))  # the user knows of that one
    assert table.names == ["age", "sex", "role", "income"]
    assert table.notes["columns left out"] == (
        "land (one value in the training split), one (one value in the training split), none (no record has a value), "
        "late (no value in the training split)"
    )


def test_text_of_many_values_is_left_out_and_kept_where_it_is_named(tmp_path: Path) -> None:
    columns = people(name=[f"n{n % 40}" for n in range(60)], part=["train"] * 50 + ["test"] * 10)
    few = made(tmp_path, columns, max_categories=39)
    assert few.notes["columns left out"] == "name (40 different values, more than --max-categories)"
    assert "name" in made(tmp_path, columns, max_categories=40).names
    assert "name" in made(tmp_path, columns, max_categories=39, categorical=("name",)).names


def test_types_of_parquet_that_hold_no_value_are_left_out(tmp_path: Path) -> None:
    columns = people(tags=[[1, 2]] * 60, price=[Decimal("1.50"), Decimal("2.25")] * 30, raw=[b"x"] * 60)
    table = made(tmp_path, columns, "people.parquet")
    assert table.names == ["age", "sex", "role", "income", "price"]
    assert table.notes["columns left out"] == "tags (of the type List(Int64)), raw (of the type Binary)"
    assert set(table.column("price")) == {1.5, 2.25}
    dropped = made(tmp_path, columns, "people.parquet", drop=("tags",))
    assert dropped.notes["columns left out"] == "raw (of the type Binary)"
    with pytest.raises(UsageError, match=r"--label tags:.* List\(Int64\)"):
        made(tmp_path, columns, "people.parquet", label=("tags",))


def test_integers_that_need_64_bits(tmp_path: Path) -> None:
    big = [2**63, 2**64 - 1] * 30
    path = tmp_path / "big.parquet"
    pl.DataFrame(people(x=big), schema_overrides={"x": pl.UInt64}).write_parquet(path)
    assert {round(value / 2**60) for value in Made(path).column("x")} == {8, 16}


def test_links_are_kept(tmp_path: Path) -> None:
    path = written(tmp_path, people())
    linked = ("sex=female: role: husband=wife", "sex=male : role : wife = husband")
    schema = prepared(path, sensitive=("sex",), linked=linked).schema
    (role,) = (column for column in schema.columns if column.name == "role")
    assert role.linked == {"sex": {"female": {"husband": "wife"}, "male": {"wife": "husband"}}}


@pytest.mark.parametrize(
    ("linked", "words"),
    [
        ("sex: role: husband=wife", "expected 'ATTRIBUTE=CATEGORY: COLUMN: OLD=NEW'"),
        ("sex=female: role: husband", "expected 'ATTRIBUTE=CATEGORY: COLUMN: OLD=NEW'"),
        ("sex=female: husband=wife", "expected 'ATTRIBUTE=CATEGORY: COLUMN: OLD=NEW'"),
        ("role=wife: sex: male=female", "role is not named by --sensitive"),
        ("sex=female: sex: male=female", "must be another than the attribute's"),
        ("sex=female: rôle: husband=wife", "no column 'rôle' to learn from; did you mean 'role'?"),
        ("sex=female: role: husbnd=wife", "no value 'husbnd'; did you mean 'husband'?"),
        ("sex=femal: role: husband=wife", "no value 'femal'; did you mean 'female'?"),
        ("sex=female: land: husband=wife", "has one value, or too many, and was left out"),
    ],
)
def test_a_link_that_says_nothing(linked: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        prepared(written(tmp_path, people(land=["x"] * 60)), sensitive=("sex",), linked=(linked,))
    assert words in str(error.value)


def test_links_that_contradict_one_another(tmp_path: Path) -> None:
    path = written(tmp_path, people())
    twice = ("sex=female: role: husband=wife", "sex=female: role: husband=child")
    with pytest.raises(UsageError, match="husband becomes wife already"):
        prepared(path, sensitive=("sex",), linked=twice)
    chain = ("sex=female: role: husband=wife", "sex=female: role: wife=child")
    with pytest.raises(UsageError, match="something becomes wife, which changes too"):
        prepared(path, sensitive=("sex",), linked=chain)
