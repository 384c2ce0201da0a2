"""Cells of text tables: rows of a CSV file, words for a missing value, numbers and their order."""

from __future__ import annotations

import csv
import io
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from contextssl_cli.errors import CorruptFileError, DataMissingError, UnsafeFileError
from contextssl_cli.plugin import cells
from contextssl_cli.plugin.cells import csv_rows, in_order, is_missing, is_number


@pytest.mark.parametrize(
    "cell",
    ["", " ", "\t", "?", "NA", "na", "Na", "N/A", "n/a", "#N/A", "#NA", "#N/A N/A", "<NA>", "NaN", "NAN", "-nan",
     "+NaN", " nan ", "NaT", "null", "NULL", "Null", "None", "none", "NONE", "1.#QNAN", "-1.#IND"],
)  # fmt: skip
def test_words_for_a_missing_value(cell: str) -> None:
    assert is_missing(cell)


@pytest.mark.parametrize(
    "cell", ["0", "no", "nil", "missing", "unknown", "-", ".", "Nana", "inf", "none of them", "NaN1"]
)
def test_words_for_a_value(cell: str) -> None:
    assert not is_missing(cell)


@pytest.mark.parametrize("cell", ["1", "-2.5", "+3", ".5", "5.", "3e4", "1E-3", "007", "1e400", "1" * 5000])
def test_what_is_a_number(cell: str) -> None:
    assert is_number(cell)
    float(cell)


@pytest.mark.parametrize(
    "cell",
    ["", "1_000", "0x1F", "0x1p3", "inf", "-Infinity", "nan", "１２", "٣", "²", "1,5", "1 000", "1\n", " 1", "\u22121",
     "1e", "e5", ".", "+", "--1", "1.2.3", "1e5.0"],
)  # fmt: skip
def test_what_is_no_number(cell: str) -> None:
    assert not is_number(cell)


VALUES = st.lists(
    st.text(max_size=4) | st.sampled_from(["NAN", "-nan", "inf", "1e400", "1", "01", "1.0", "-0", "0"]),
    unique=True,
    max_size=8,
)


@settings(max_examples=40)
@given(VALUES.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
@example((["1", "2", "NAN", "-nan", "10"], ["-nan", "10", "2", "NAN", "1"]))
@example((["1e400", "1e401", "2"], ["1e401", "2", "1e400"]))
@example((["2_0", "1_0", "30"], ["30", "2_0", "1_0"]))
def test_the_order_does_not_depend_on_how_values_were_found(lists: tuple[list[str], list[str]]) -> None:
    found, other = lists
    assert in_order(found) == in_order(other)


@settings(max_examples=40)
@given(st.lists(st.integers(), unique=True, max_size=8))
@example([9999999999999999999, 10000000000000000000, -9999999999999999999, -10000000000000000000])
@example([2**53 + 1, 2**53, 10**400, 10**399])
def test_whole_numbers_are_in_their_exact_order(values: list[int]) -> None:
    assert [int(cell) for cell in in_order(map(str, values))] == sorted(values)


@settings(max_examples=40)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), unique=True, max_size=8))
def test_floats_are_in_their_order(values: list[float]) -> None:
    assert [float(cell) for cell in in_order(map(str, values))] == sorted(values)


def test_words_and_enormous_exponents_are_in_the_order_of_the_alphabet() -> None:
    assert in_order(["10", "9", "x"]) == ["10", "9", "x"]
    assert in_order(["9", "10", f"1e{10**30}"]) == ["10", f"1e{10**30}", "9"]


def rows(path: Path) -> list[list[str]]:
    return [row for _, row in csv_rows(path)]


def made(folder: Path, data: bytes) -> Path:
    path = folder / "cells.csv"
    path.write_bytes(data)
    return path


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.lists(st.lists(TEXT, min_size=2, max_size=2), min_size=1, max_size=5),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    mark=st.booleans(),
)
@example(table=[["two\nlines", "a\u2028b\x0b\x0c\x85\x1cc"], ['say "no"', " a, b "]], end="\r", mark=True)
def test_cells_are_read_as_they_were_written(table: list[list[str]], end: str, mark: bool, tmp_path: Path) -> None:
    stream = io.StringIO()
    csv.writer(stream, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([["head", "\ufeff"], *table])
    path = made(tmp_path, stream.getvalue().encode("utf-8-sig" if mark else "utf-8"))
    assert rows(path) == [["head", "\ufeff"], *table]


def test_line_ends_may_be_mixed_and_empty_lines_are_skipped(tmp_path: Path) -> None:
    path = made(tmp_path, b"a,b\r\n\r\n1,2\r3,4\n\n\n5,6")
    assert list(csv_rows(path)) == [(1, ["a", "b"]), (3, ["1", "2"]), (4, ["3", "4"]), (7, ["5", "6"])]


def test_long_cells_are_read_and_the_limit_of_the_csv_module_stays(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    long = "x" * (before + 1)
    path = made(tmp_path, f"{long},b\n1,{long}\n".encode())
    found = csv_rows(path)
    assert next(found)[1] == [long, "b"]
    assert csv.field_size_limit() == before  # though the file has not been read to its end
    assert [row for _, row in found] == [["1", long]]
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'a,b\n1,"2\n3,4\n', 3),  # no quotation mark closes it
        (b'a,b\n1,"2"3\n', 2),
        (b"a,b\n1,\0\n", 2),
        (b"a,\0\n1,2\n", 1),
        ("a,b\n1,2\n".encode("utf-16"), 1),
        ("a,b\n1,2\n".encode("utf-16-le"), 1),
        ("a,b\n1,2\n".encode("utf-16-be"), 1),
        ("a,b\n1,2\n".encode("utf-32"), 1),
        ("a,b\n1,2\né,3\n".encode("latin-1"), 3),
        ("é,b\n1,2\n".encode("cp1252"), 1),
        (b"a,b\n1,2\r\n3,4\r5,\xff\n", 4),
        (b"a,b\r1,2\r3,\xed\xa0\x80\r", 3),  # half of a surrogate pair
        (b"a,b\r\n1,2\r\n3,\xc3", 3),
    ],
)
def test_what_is_not_csv_is_refused_with_its_line(data: bytes, line: int, tmp_path: Path) -> None:
    path = made(tmp_path, data)
    with pytest.raises(CorruptFileError) as error:
        rows(path)
    assert str(error.value).startswith(f"{path}, line {line}: ")


def test_a_cell_beyond_all_bounds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "LONGEST_CELL", 100)
    assert rows(made(tmp_path, b"a," + b"x" * 100 + b"\n"))
    with pytest.raises(CorruptFileError, match="line 1"):
        rows(made(tmp_path, b"a," + b"x" * 101 + b"\n"))


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made, pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)  # the path of a socket has about a hundred bytes
        made.bind(path.name)


def link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, bound_socket, link_to_device])
def test_what_is_no_regular_file_is_refused_at_once(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    make(path)
    with pytest.raises(UnsafeFileError):
        rows(path)


def test_a_file_that_cannot_be_reached(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for name in ("none.csv", "loop", "x" * 300, "cells.csv/x"):
        made(tmp_path, b"a\n")
        with pytest.raises(DataMissingError):
            rows(tmp_path / name)
