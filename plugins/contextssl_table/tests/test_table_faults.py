"""Files and options that are wrong: each is named, with the place and what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from table_files import Made, people, prepared, text_of, written

from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, UsageError
from contextssl_table import read_csv
from contextssl_table.reading import read


def fails(kind: type[ContextSSLError], words: str, path: Path, **options: Any) -> None:
    with pytest.raises(kind) as error:
        for _ in prepared(path, **options).samples:
            pass
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def changed(folder: Path, change: Callable[[bytes], bytes], name: str = "people.csv") -> Path:
    path = written(folder, people(), name)
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            ["1", "2", "old"],
            "line 4: the column 'x' holds 'old'",
        ),
        (["1", "", "1e999"], None),
        (["3", "2", "inf"], "line 4: the column 'x' holds 'inf', expected numbers"),
        (["1", "2", "1,5"], "line 4: the column 'x' holds '1,5', expected numbers"),
        (["2024-01-01", "2024-01-02", "soon"], "line 4: the column 'x' holds 'soon', expected dates"),
        (["2024-01-01", "2024-01-02", "2024-02-31"], "line 4: the column 'x' holds '2024-02-31', expected dates"),
        (["2024-01-01", "7", "2024-01-02"], "line 3: the column 'x' holds '7', expected dates"),
    ],
)
def test_a_column_of_mixed_types(values: list[str], words: str | None, tmp_path: Path) -> None:
    path = written(tmp_path, people(x=values * 20))
    if words is None:  # half of its values are text: then it is text
        assert Made(path).categories("x") == ("1", "1e999", "(missing)")
        return
    fails(CorruptFileError, words, path)
    fails(CorruptFileError, "--drop x", path)
    assert set(Made(path, categorical=("x",)).categories("x")) == set(values)
    assert "x" not in Made(path, drop=("x",)).names


def test_infinite_numbers_in_parquet(tmp_path: Path) -> None:
    path = written(tmp_path, people(x=[1.0, float("inf"), float("nan")] * 20), "people.parquet")
    fails(CorruptFileError, "people.parquet, row 2: the column 'x' holds inf", path)


def test_numbers_too_far_apart_to_standardise(tmp_path: Path) -> None:
    words = "the column 'x' holds numbers too far apart to standardise; --drop x"
    fails(CorruptFileError, words, written(tmp_path, people(x=[1e300, -1e300, 0.0] * 20)))
    part = ["train", "train", "test"] * 20
    fails(CorruptFileError, words, written(tmp_path, people(x=[1.0, 2.0, 1e300] * 20, part=part)), split="part")
    tiny = [1.0, 1.0 + 2**-52, 1.0] * 20  # whose spread is lost in the rounding
    assert all(abs(value - 1) < 1e-3 for value in Made(written(tmp_path, people(x=tiny)), drop=()).column("x"))


@pytest.mark.parametrize("where", [0, 100, 2 * (1 << 20) - 1])
def test_a_file_that_is_not_utf_8(where: int, tmp_path: Path) -> None:
    note = "é" * (1 << 20)  # two bytes each: one lies across the parts in which the file is read
    path = written(tmp_path, people(note=[note] + ["x"] * 59))
    data = path.read_bytes()
    place = data.index("é".encode()) + where
    path.write_bytes(data[:place] + b"\xff" + data[place + 1 :])
    # Within a letter, it is the letter's first byte that cannot be read.
    expected = place if where % 2 == 0 else place - 1
    fails(CorruptFileError, f"{path}, line 2: byte {expected} (0x", path)
    fails(CorruptFileError, "is not UTF-8", path)


def test_a_file_that_is_utf_16(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(text_of(people()), encoding="utf-16")
    fails(CorruptFileError, "line 1: byte 0 (0xff) is not UTF-8", path)


def test_a_byte_order_mark_is_no_part_of_the_name(tmp_path: Path) -> None:
    assert Made(changed(tmp_path, lambda data: b"\xef\xbb\xbf" + data)).names[0] == "age"


def test_a_letter_cut_off_at_the_end_of_the_file(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda data: data.rstrip() + "é".encode()[:1])
    fails(CorruptFileError, f"byte {path.stat().st_size - 1} (0xc3) is not UTF-8", path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: b"", "is empty; expected a line that names the columns"),
        (lambda data: b"\n\n", "is empty; expected a line that names the columns"),
        (lambda data: data.split(b"\n")[0] + b"\n", "holds no records"),
        (lambda data: data + b"20,male,husband\n", "line 62: 3 cells"),
        (lambda data: data + b"20,male,husband,low,more\n", "line 62: 5 cells"),
        (lambda data: data[: data.rindex(b",")], "line 61: 3 cells"),
        (lambda data: data + b'20,"male,husband,low\n', "is a quotation mark missing?"),
        (lambda data: data + b'20,"ma"le,husband,low\n', "is a quotation mark missing?"),
        (lambda data: data.replace(b"age", b"sex", 1), "two columns are called 'sex'"),
        (lambda data: data.replace(b"age", b" ", 1), "column 1 has no name"),
        (lambda data: data.replace(b",", b";"), "are not separated by commas"),
        (lambda data: data.replace(b",", b"\t"), "are not separated by commas"),
    ],
)
def test_a_csv_that_is_wrong(change: Callable[[bytes], bytes], words: str, tmp_path: Path) -> None:
    path = changed(tmp_path, change)
    fails(CorruptFileError, words, path)
    fails(CorruptFileError, str(path), path)


def test_lines_are_counted_in_the_file(tmp_path: Path) -> None:
    """Not in records: a quoted cell may hold lines, and empty lines are skipped."""
    text = 'x,note\n1,"two\nlines"\n\n2,"a, b"\nold,"say ""no"""\n3,c\n'
    path = tmp_path / "notes.csv"
    path.write_text(text)
    fails(CorruptFileError, "line 6: the column 'x' holds 'old'", path)
    assert read((path,)).columns["note"].to_list() == ["two\nlines", "a, b", 'say "no"', "c"]


def test_the_last_line_needs_no_end(tmp_path: Path) -> None:
    assert len(read((changed(tmp_path, lambda data: data.rstrip(b"\n")),))) == 60
    assert len(read((changed(tmp_path, lambda data: data.replace(b"\n", b"\r\n")),))) == 60


def test_the_division_into_parts_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, people())
    whole = read((path,))
    monkeypatch.setattr(read_csv, "_CELLS", 28)
    parts = read((path,))
    assert parts.columns.keys() == whole.columns.keys()
    assert all(parts.columns[name].equals(column) for name, column in whole.columns.items())
    assert parts.lines is not None
    assert parts.lines.tolist() == list(range(2, 62))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_a_parquet_file_is_whole_or_refused(place: int, flip: int, tmp_path: Path) -> None:
    path = written(tmp_path, people(), "people.parquet")
    data = bytearray(path.read_bytes())
    end = place % len(data)
    path.write_bytes(data[:end])
    fails(CorruptFileError, "people.parquet", path)
    data[end] ^= flip
    path.write_bytes(data)
    with contextlib.suppress(ContextSSLError):  # where nothing tells, another table is read
        for _ in prepared(path).samples:
            pass


def test_a_parquet_file_without_records(tmp_path: Path) -> None:
    empty = {name: [] for name in people()}
    fails(CorruptFileError, "people.parquet holds no records", written(tmp_path, empty, "people.parquet"))


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "people.xlsx"
    path.write_bytes(b"PK")
    fails(UsageError, "expected a .csv or .parquet file", path)
    fails(CorruptFileError, "is not a Parquet file", path.rename(tmp_path / "people.parquet"))


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    fails(DataMissingError, "does not exist; expected a .csv or .parquet file, or a folder", tmp_path / "none.csv")
    with pytest.raises(DataMissingError, match="name the table: contextssl prepare table --source FILE"):
        prepared(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("flag", ["label", "sensitive", "drop", "categorical", "id"])
def test_a_column_that_is_not_there(flag: str, tmp_path: Path) -> None:
    path = written(tmp_path, people())
    value = "incme" if flag == "id" else ("incme",)
    fails(UsageError, f"--{flag} incme: the table has no such column; did you mean 'income'?", path, **{flag: value})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"label": ("sex",), "sensitive": ("sex",)}, "the column 'sex' is named by --label and by --sensitive"),
        ({"label": ("sex", "sex")}, "the column 'sex' is named by --label and by --label"),
        ({"drop": ("sex",), "categorical": ("sex",)}, "the column 'sex' is named by --drop and by --categorical"),
        ({"id": "age", "drop": ("age",)}, "the column 'age' is named by --id and by --drop"),
        ({"split": "sex", "sensitive": ("sex",)}, "the column 'sex' is named by --sensitive and by --split"),
    ],
)
def test_a_column_of_two_roles(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    fails(UsageError, words, written(tmp_path, people()), **options)


def test_a_sensitive_attribute_or_label_may_be_called_categorical_too(tmp_path: Path) -> None:
    table = Made(written(tmp_path, people()), sensitive=("sex",), label=("income",), categorical=("sex", "income"))
    assert table.schema.attributes == {"sex": ("female", "male")}


def test_a_constant_sensitive_attribute(tmp_path: Path) -> None:
    words = "the sensitive attribute 'sex' has one value in the training split; it needs two or more"
    fails(UsageError, words, written(tmp_path, people(sex=["male"] * 60)), sensitive=("sex",))
    half = people(sex=["male", "female"] * 30, part=["train", "test"] * 30)
    fails(UsageError, words, written(tmp_path, half), sensitive=("sex",), split="part")
    fails(UsageError, "'sex' has no value", written(tmp_path, people(sex=[""] * 60)), sensitive=("sex",))


def test_a_constant_label(tmp_path: Path) -> None:
    words = "the label 'income' has one value in the training split; it needs two or more"
    fails(UsageError, words, written(tmp_path, people(income=["low"] * 60)), label=("income",))


def test_a_label_or_attribute_of_many_values(tmp_path: Path) -> None:
    path = written(tmp_path, people(200, x=list(range(200))))
    fails(UsageError, "the label 'x' has 200 different values, more than 50: bin it", path, label=("x",))
    fails(UsageError, "the sensitive attribute 'x' has 160 different values", path, sensitive=("x",))


def test_a_label_that_the_splits_spell_differently(tmp_path: Path) -> None:
    path = written(tmp_path, people(income=["low", "low.", "high", "high."] * 15, part=["train", "test"] * 30))
    words = "no record of the test split has a label 'income' that the training split has: high, low"
    fails(UsageError, words, path, label=("income",), split="part")


@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_ids_that_occur_twice(name: str, tmp_path: Path) -> None:
    ids = [f"p{n}" for n in range(60)]
    ids[7], ids[30], ids[9] = "p3", "p3", "p5"
    first, other = ("line 9", "line 5") if name.endswith("csv") else ("row 8", "row 4")
    path = written(tmp_path, people(key=ids), name)
    fails(CorruptFileError, f"{first}: the id 'p3' has occurred before, in {path}, {other}", path, id="key")
    fails(CorruptFileError, "ids that occur twice: p3, p5", path, id="key")
    assert "key" not in Made(written(tmp_path, people(key=range(60)), name), id="key").names


def test_a_record_without_an_id(tmp_path: Path) -> None:
    path = written(tmp_path, people(key=["a", "b", ""] * 20))
    fails(CorruptFileError, "line 4: the column 'key' names no record", path, id="key")


def test_a_table_with_nothing_to_learn_from(tmp_path: Path) -> None:
    path = written(tmp_path, {"income": ["a", "b"] * 20, "land": ["x"] * 40})
    fails(UsageError, "no column is left to learn from", path, label=("income",))
