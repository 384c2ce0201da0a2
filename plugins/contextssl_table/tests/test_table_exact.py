"""Nothing of a table is lost or misread: digits, dates in their zones, words for a missing value, names of files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from table_files import Made, people, prepared, written

from contextssl_cli.errors import CorruptFileError, DataMissingError, UnsafeFileError, UsageError
from contextssl_cli.plugin.cells import MISSING
from contextssl_table import read_parquet
from contextssl_table.reading import read
from contextssl_table.records import as_text

HALF = ["train", "test"] * 30


def parquet(folder: Path, values: pl.Series, name: str = "people.parquet", **more: Sequence[Any]) -> Path:
    """A file of people with a column ``x`` of these values, repeated up to 60."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [number % len(values) for number in range(60)]
    frame = pl.DataFrame(people(**more)).with_columns(values.gather(rows).alias("x"))
    with path.open("wb") as stream:  # not by name, which polars would expand
        frame.write_parquet(stream)
    return path


DIGITS = {
    "Int64": (pl.Series([2**53, 2**53 + 1]), ("9007199254740992", "9007199254740993")),
    "negative": (pl.Series([-(2**63), -(2**63) + 1]), ("-9223372036854775808", "-9223372036854775807")),
    "UInt64": (pl.Series([2**64 - 2, 2**64 - 1], dtype=pl.UInt64), ("18446744073709551614", "18446744073709551615")),
    "Int128": (pl.Series([2**100, 2**100 + 1], dtype=pl.Int128), (str(2**100), str(2**100 + 1))),
    "Decimal": (
        pl.Series([Decimal("9007199254740993.10"), Decimal("9007199254740993.20")]),
        ("9007199254740993.10", "9007199254740993.20"),
    ),
    "whole Decimal": (pl.Series([Decimal(10**37), Decimal(10**37 + 1)]), (str(10**37), str(10**37 + 1))),
    "Float32": (pl.Series([0.1, 0.2], dtype=pl.Float32), ("0.1", "0.2")),
    "Float64": (pl.Series([0.1, 0.1 + 2**-56]), ("0.1", "0.10000000000000002")),
    "Date": (pl.Series([date(1, 1, 1), date(9999, 12, 31)]), ("0001-01-01", "9999-12-31")),
    "Datetime": (
        pl.Series([datetime(2024, 1, 31, 10), datetime(2024, 1, 31, 10, 0, 1)]),
        ("2024-01-31 10:00:00", "2024-01-31 10:00:01"),
    ),
    "nanoseconds": (
        pl.Series([1, 2]).cast(pl.Datetime("ns")),
        ("1970-01-01 00:00:00.000000001", "1970-01-01 00:00:00.000000002"),
    ),
    "Time": (pl.Series([time(10, 0, 0, 1), time(10, 0, 0, 2)]), ("10:00:00.000001", "10:00:00.000002")),
    "Enum": (pl.Series([" b", "a"], dtype=pl.Enum([" b", "a"])), ("a", "b")),
}


@pytest.mark.parametrize("kind", DIGITS)
def test_what_is_no_number_to_compute_with_keeps_its_digits(kind: str, tmp_path: Path) -> None:
    values, expected = DIGITS[kind]
    path = parquet(tmp_path, values)
    assert prepared(path, label=("x",)).schema.tasks == {"x": expected}
    assert prepared(path, sensitive=("x",)).schema.attributes == {"x": expected}
    assert Made(path, categorical=("x",)).categories("x") == expected
    with pytest.raises(CorruptFileError, match="row 3: the id"):  # the first two are told apart
        prepared(path, id="x")


def test_whole_numbers_of_128_bits_without_a_sign(tmp_path: Path) -> None:
    if not hasattr(pl, "UInt128"):
        pytest.skip("this polars has no UInt128")
    path = parquet(tmp_path, pl.Series([2**128 - 2, 2**128 - 1], dtype=pl.UInt128))
    assert prepared(path, label=("x",)).schema.tasks == {"x": (str(2**128 - 2), str(2**128 - 1))}


@settings(max_examples=40)
@given(st.lists(st.integers(-(2**127), 2**127 - 1), min_size=1))
@example([2**53 + 1, -(2**53) - 1, 2**64 - 1])
def test_any_whole_number_as_text(values: list[int]) -> None:
    assert as_text(pl.Series(values, dtype=pl.Int128)).to_list() == [str(value) for value in values]


@settings(max_examples=40)
@given(st.lists(st.floats(allow_nan=False) | st.floats(width=32, allow_nan=False), unique=True, min_size=1))
@example([2.0**53, 2.0**53 + 2, 1e16, 0.1, 5e-324, float("inf")])
def test_any_float_as_text(values: list[float]) -> None:
    texts = as_text(pl.Series(values, dtype=pl.Float64)).to_list()
    assert [float(text) for text in texts] == values
    assert len(set(texts)) == len(values)


def test_numbers_to_compute_with_are_numbers_whatever_their_type(tmp_path: Path) -> None:
    for kind in (pl.Int8, pl.UInt64, pl.Int128, pl.Float32, pl.Decimal(10, 2)):
        path = parquet(tmp_path, pl.Series([1, 2, 3]).cast(kind), part=HALF)
        assert set(Made(path, split="part").column("x")) == {1.0, 2.0, 3.0}


@pytest.mark.parametrize(
    ("train", "test", "text"),
    [
        (pl.Series([1, 2], dtype=pl.Int8), pl.Series([1, 2], dtype=pl.Int64), ("1", "2")),
        (
            pl.Series([2**64 - 2, 2**64 - 1], dtype=pl.UInt64),
            pl.Series([1, 2**63 - 1], dtype=pl.Int64),
            ("18446744073709551614", "18446744073709551615"),
        ),
        (pl.Series([0.1, 0.2], dtype=pl.Float32), pl.Series([0.1, 0.3]), ("0.1", "0.2")),
        (
            pl.Series(["0.10", "0.20"]).cast(pl.Decimal(9, 2)),
            pl.Series(["0.10", "0.20"]).cast(pl.Decimal(38, 2)),
            ("0.10", "0.20"),
        ),
    ],
)
def test_files_whose_types_differ_in_width_alone(
    train: pl.Series, test: pl.Series, text: tuple[str, ...], tmp_path: Path
) -> None:
    parquet(tmp_path, train, "train.parquet")
    parquet(tmp_path, test, "test.parquet")
    assert prepared(tmp_path, sensitive=("x",)).schema.attributes["x"][:2] == text


def test_files_whose_types_differ_otherwise(tmp_path: Path) -> None:
    parquet(tmp_path, pl.Series([1, 2]).cast(pl.Int32), "train.parquet")
    for kind in (pl.Float64, pl.String, pl.Decimal(9, 2), pl.Date, pl.Datetime("us"), pl.Duration("us")):
        parquet(tmp_path, pl.Series([1, 2]).cast(kind), "test.parquet")
        with pytest.raises(CorruptFileError):
            prepared(tmp_path)


ZONES = ["America/New_York", "Asia/Tokyo", "Pacific/Kiritimati", "Etc/GMT+12", "UTC", "+05:30", "-11:00", "+1400"]


@pytest.mark.parametrize("zone", ZONES)
def test_the_date_of_a_timestamp_is_that_of_its_zone(
    zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = [datetime(1970, 1, 2, 0, 30), datetime(1970, 1, 11, 23, 30)]
    if zone[0] in "+-":
        monkeypatch.setenv("POLARS_IGNORE_TIMEZONE_PARSE_ERROR", "1")  # or polars does not write one
        offset = int(f"{zone[0]}1") * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        values = pl.Series([moment - offset for moment in local]).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        path = parquet(tmp_path, values)
        monkeypatch.delenv("POLARS_IGNORE_TIMEZONE_PARSE_ERROR")
    else:
        path = parquet(tmp_path, pl.Series(local).dt.replace_time_zone(zone))
    assert set(Made(path).column("x")) == {1.0, 10.0}
    texts = Made(path, categorical=("x",)).categories("x")
    assert [text[:19] for text in texts] == ["1970-01-02 00:30:00", "1970-01-11 23:30:00"]
    assert [datetime.fromisoformat(text).replace(tzinfo=None) for text in texts] == local
    assert "POLARS_IGNORE_TIMEZONE_PARSE_ERROR" not in os.environ
    csv = written(tmp_path, people(x=[*texts] * 30))
    assert set(Made(csv).column("x")) == {1.0, 10.0}


def test_nanoseconds_in_a_zone_of_fixed_offset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLARS_IGNORE_TIMEZONE_PARSE_ERROR", "1")
    values = pl.Series([1, 2]).cast(pl.Datetime("ns", "UTC")).dt.convert_time_zone("-00:30")
    texts = Made(parquet(tmp_path, values), categorical=("x",)).categories("x")
    assert texts == ("1969-12-31 23:30:00.000000001-00:30", "1969-12-31 23:30:00.000000002-00:30")
    assert os.environ["POLARS_IGNORE_TIMEZONE_PARSE_ERROR"] == "1"


def test_the_hour_that_a_clock_shows_twice(tmp_path: Path) -> None:
    start = datetime(2024, 11, 3, 5, 30)  # 01:30 in New York, and once more an hour later
    twice = pl.Series([start, start + timedelta(hours=1)]).dt.replace_time_zone("UTC")
    path = parquet(tmp_path, twice.dt.convert_time_zone("America/New_York"))
    texts = Made(path, categorical=("x",)).categories("x")
    assert texts == ("2024-11-03 01:30:00-04:00", "2024-11-03 01:30:00-05:00")


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([2**63 - 1, 0]).cast(pl.Datetime("us")),
        pl.Series([-(2**63), 0]).cast(pl.Datetime("ms")),
        pl.Series([2**31 - 1, 0], dtype=pl.Int32).cast(pl.Date),
        pl.Series([2**62, 0]).cast(pl.Datetime("us", "Asia/Tokyo")),
        pl.Series([1, 2]).cast(pl.Duration("us")),
        pl.Series([b"\xff", b"a"]),
        pl.Series([{"a": 1}, {"a": 2}]),
    ],
    ids=lambda values: str(values.dtype),
)
def test_what_cannot_be_written_in_figures_is_left_out_and_named(values: pl.Series, tmp_path: Path) -> None:
    path = parquet(tmp_path, values)
    assert Made(path).notes["columns left out"].startswith(f"x (of the type {values.dtype}")
    with pytest.raises(UsageError):
        prepared(path, label=("x",))


def test_one_rule_for_missing_values(tmp_path: Path) -> None:
    words = [*sorted(MISSING), "None", " NULL ", "<NA>", "#N/A", "NaN", "NAN", "NaT", "+nan\t"]
    columns = people() | {f"x{number}": ["a", "b", word] * 20 for number, word in enumerate(words)}
    categories = {name: pl.Series(values, dtype=pl.Categorical) for name, values in columns.items() if name[0] == "x"}
    paths = [written(tmp_path, columns, name) for name in ("people.csv", "people.parquet")]
    paths.append(written(tmp_path, columns | categories, "categories.parquet"))
    for path in paths:
        table = Made(path, label=("x0", "x1", "x2"))
        for number, word in enumerate(words):
            note = f"x{number} 20" + (f" ({word.strip()})" if word.strip() else "")
            if number < 3:
                assert table.schema.tasks[f"x{number}"] == ("a", "b")
                assert note in table.notes["labels that are missing"].split(", ")
            else:
                assert table.categories(f"x{number}") == ("a", "b", "(missing)")
                assert note in table.notes["records without a value"].split(", ")


def test_other_words_are_values(tmp_path: Path) -> None:
    words = ["nil", "missing", "unknown", "-", "0", "inf", "n.a.", "nono"]
    columns = {word: ["a", "b", word] * 20 for word in words}
    for name in ("people.csv", "people.parquet"):
        table = Made(written(tmp_path, columns, name))
        assert [table.categories(word) for word in words] == [tuple(sorted(["a", "b", word])) for word in words]


@pytest.mark.parametrize("values", [["Inf", "-inf", "Infinity", "x"], ["1_000", "2_0", "30"], ["0x1p3", "2", "0x2"]])
def test_categories_that_python_takes_for_numbers_are_in_the_order_of_the_alphabet(
    values: list[str], tmp_path: Path
) -> None:
    path = written(tmp_path, people(x=(values * 60)[:60]))
    assert Made(path, categorical=("x",)).categories("x") == tuple(sorted(values))


@pytest.mark.parametrize(
    "values", [["1_000", "2_000"], ["１２", "３４"], ["0x10", "0x20"], ["٣", "٤"], ["２０２４-01-31", "２０２４-02-01"]]
)
def test_other_spellings_of_numbers_and_dates_are_categories(values: list[str], tmp_path: Path) -> None:
    for name in ("people.csv", "people.parquet"):
        assert Made(written(tmp_path, people(x=values * 30), name)).categories("x") == tuple(sorted(values))


@pytest.mark.parametrize("cell", ["1e400", "-1e999", "1" * 5000])
def test_numbers_beyond_all_bounds_are_refused_and_read_as_text_where_they_are_named(cell: str, tmp_path: Path) -> None:
    path = written(tmp_path, people(x=["1", "2", cell] * 20))
    with pytest.raises(CorruptFileError, match="line 4: the column 'x'"):
        prepared(path)
    assert cell in Made(path, categorical=("x",)).categories("x")


NAMES = [
    "a*",
    "b[1]",
    "c?",
    "d{x,y}",
    "folder[1]/e",
    "s3:/bucket/f",
    "~/g",
    "year=2020/h",
    "**/i",
    "[!a]",
    " j ",
    "file:/k",
]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_file_of_exactly_this_name_is_read(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = ["ab", "b1", "c1", "dx", "folder1/e", "bucket/f", "i", "k/i", "j"]  # that a pattern would match
    for name in [*NAMES, *wrong]:
        values = ["wrong", "one"] if name in wrong else [name, "file"]
        if suffix == ".csv":
            written(Path(), people(x=values * 30), f"{name}{suffix}")
        else:
            parquet(Path(), pl.Series(values), f"{name}{suffix}")
    for name in NAMES:
        assert set(Made(Path(f"{name}{suffix}")).categories("x")) == {name.strip(), "file"}


def test_names_of_columns_are_no_patterns(tmp_path: Path) -> None:
    names = ["*", "^.*$", "^x$", "x", "a b", "two\nlines", "[0]", "\x1b[2J"]
    columns = {name: [f"{number}a", "NA", f"{number}b"] * 20 for number, name in enumerate(names)}
    for file in ("people.csv", "people.parquet"):
        table = Made(written(tmp_path, columns, file), label=("*",))
        assert table.schema.tasks == {"*": ("0a", "0b")}
        assert table.names == names[1:]
        for number, name in enumerate(names[1:], start=1):
            assert table.categories(name) == (f"{number}a", f"{number}b", "(missing)")
        assert all(note.isprintable() for note in table.notes.values())


@pytest.mark.parametrize("name", ["people.csv", "people.parquet", "folder/train.csv", "folder/test.parquet"])
def test_a_source_that_is_a_fifo_is_refused_at_once(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    for split in ("train", "test"):
        written(tmp_path, people(), f"folder/{split}{path.suffix}")
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    source = path if path.parent == tmp_path else path.parent
    with pytest.raises(UnsafeFileError):
        prepared(source)


def test_a_source_that_cannot_be_reached(tmp_path: Path) -> None:
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "gone.csv").symlink_to("nowhere.csv")
    for name in ("loop.csv", "gone.csv", f"{'x' * 300}.csv"):
        with pytest.raises(DataMissingError):
            prepared(tmp_path / name)


def test_a_source_that_is_a_device(tmp_path: Path) -> None:
    for suffix in (".csv", ".parquet"):
        path = tmp_path / f"zero{suffix}"
        path.symlink_to("/dev/zero")
        with pytest.raises(UnsafeFileError):
            prepared(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"PAR1",
        lambda data: data[:-20],
        lambda data: b"PK\3\4" + data[4:],
        lambda data: data[:-4] + b"PARE",
        lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1",
        lambda data: data[:4] + b"\0" * 200 + data[204:],
        lambda data: b"age,sex\n1,2\n",
    ],
)
def test_a_damaged_parquet_file(damage: Any, tmp_path: Path) -> None:
    path = written(tmp_path, people(), "people.parquet")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorruptFileError):
        prepared(path)


def test_a_panic_of_polars_is_a_damaged_file_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def panic(stream: Any) -> pl.DataFrame:
        os.write(2, b"thread panicked at ...")
        raise pl.exceptions.PanicException("called `Result::unwrap()`\non an Err")

    path = written(tmp_path, people(), "people.parquet")
    monkeypatch.setattr(pl, "read_parquet", panic)
    with pytest.raises(CorruptFileError):
        prepared(path)
    os.write(2, b"here again")
    assert capfd.readouterr().err == "here again"


def test_a_parquet_file_that_declares_more_than_fits_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, people(), "people.parquet")
    monkeypatch.setattr(read_parquet, "_CELL", 2**60)
    with pytest.raises(UnsafeFileError):
        prepared(path)


def test_a_column_of_parquet_without_a_name(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError):
        prepared(written(tmp_path, people(**{"": [1, 2] * 30}), "people.parquet"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_ten_thousand_columns(name: str, tmp_path: Path) -> None:
    columns = {f"c{number}": [f"{number}", "NA", "b"] * 2 for number in range(10_000)}
    found = read((written(tmp_path, columns, name),))
    assert list(found.columns) == list(columns)
    assert found.columns["c9999"].to_list() == ["9999", None, "b"] * 2
    assert found.words["c9999"] == {"NA"}
