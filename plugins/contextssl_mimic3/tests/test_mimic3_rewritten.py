"""Tables that another program has saved again: exact values are read and counted, lost ones are told or refused."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from mimic3_tables import Tables, inputs, labels, made, prepared, write

from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, UnsafeFileError
from contextssl_mimic3 import blocks, source
from contextssl_mimic3.codes import CodeCheck
from contextssl_mimic3.labels import TASKS
from contextssl_mimic3.mimic3 import Mimic3, Mimic3Options
from contextssl_mimic3.reading import Rewritten, read_table
from contextssl_mimic3.source import Source
from contextssl_mimic3.tables import TABLES, Table

CHANGED, WRITTEN_AGAIN = "ICD-9 codes that were changed", "written again by another program"


def rewrite(tables: Tables, name: str, column: str, form: Callable[[str], str]) -> None:
    for row in tables[name]:
        row[column] = form(row[column]) if row[column] else ""


EXACT = [
    ("INPUTEVENTS_MV", "ICUSTAY_ID", lambda cell: f"{cell}.0"),  # pandas, of a column with empty cells
    ("ADMISSIONS", "HADM_ID", lambda cell: f"{cell}.00"),
    ("ADMISSIONS", "HOSPITAL_EXPIRE_FLAG", lambda cell: {"0": "False", "1": "True"}[cell]),
    ("ADMISSIONS", "HAS_CHARTEVENTS_DATA", lambda cell: {"0": "FALSE", "1": "TRUE"}[cell]),  # a spreadsheet
    ("PATIENTS", "DOB", lambda cell: cell[:10]),  # pandas, of a column of days
    ("PRESCRIPTIONS", "STARTDATE", lambda cell: cell[:10]),
    ("ICUSTAYS", "INTIME", lambda cell: cell.replace(" ", "T") + ".000000"),  # polars
    ("ADMISSIONS", "DEATHTIME", lambda cell: cell.replace(" ", "T")),  # R
]


@pytest.mark.parametrize(("name", "column", "form"), EXACT)
def test_another_form_of_the_same_value_is_read_and_counted(
    name: str, column: str, form: Callable[[str], str], tmp_path: Path
) -> None:
    tables = made()
    before = prepared(write(tables, tmp_path / "before"))
    assert WRITTEN_AGAIN not in before.notes
    cells = [row[column] for row in tables[name] if row[column]]
    rewrite(tables, name, column, form)
    after = prepared(write(tables, tmp_path / "after"))
    assert (inputs(after) == inputs(before)).all()
    for task in TASKS:
        assert (labels(after, task) == labels(before, task)).all()
    (place, words) = after.notes[WRITTEN_AGAIN].popitem()
    assert place == f"{name} {column}"
    assert str(len(cells)) in words
    assert repr(form(cells[0])) in words


NOTES = Table(
    "NOTES", {"ROW_ID": "id", "STAY": "integer", "DEAD": "flag", "DAY": "day", "AT": "time", "RATE": "number"}
)
GOOD = {"STAY": "5", "DEAD": "1", "DAY": "2101-02-03 00:00:00", "AT": "2101-02-03 04:05:06", "RATE": "1.5"}


def read_cells(folder: Path, **cells: str) -> tuple[pl.DataFrame, dict[str, Rewritten]]:
    """A table of one record."""
    path = folder / "NOTES.csv"
    row = {"ROW_ID": "1"} | GOOD | cells
    path.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n")
    found: dict[str, Rewritten] = {}
    return pl.concat(read_table(path, NOTES, found)), found


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("ROW_ID", "1E+05"), ("ROW_ID", "1.5"), ("STAY", "1.23E+05"), ("STAY", "12,3"), ("STAY", "nan"), ("STAY", "NA"),
        ("STAY", "99999999999999999999.0"), ("STAY", "True"), ("DEAD", "7"), ("DEAD", "2.0"), ("DEAD", "yes"),
        ("DAY", "2/3/2101"), ("DAY", "2101-2-3"), ("DAY", "2101-02-30"), ("AT", "2101-02-03"),
        ("AT", "2101-02-03 04:05"),
        ("AT", "03.02.2101 04:05:06"), ("AT", "2101-02-03 04:05:06.5"), ("AT", "2101-02-03 04:05:06+01:00"),
        ("AT", "73451.17"), ("RATE", "nan"), ("RATE", "inf"), ("RATE", "1.5 mg"), ("RATE", "#VALUE!"),
    ],
)  # fmt: skip
def test_a_form_that_may_have_lost_the_value_is_refused(column: str, cell: str, tmp_path: Path) -> None:
    if "," in cell:
        cell = f'"{cell}"'
    with pytest.raises(CorruptFileError, match=rf"NOTES\.csv, record 1: the column {column}"):
        read_cells(tmp_path, **{column: cell})


def test_what_is_published_is_not_counted(tmp_path: Path) -> None:
    frame, found = read_cells(tmp_path)
    assert not found
    again, found = read_cells(tmp_path, STAY="5.0", DEAD="true", DAY="2101-02-03", AT="2101-02-03T04:05:06.0")
    assert again.equals(frame)
    assert {column: cells.cells for column, cells in found.items()} == {"STAY": 1, "DEAD": 1, "DAY": 1, "AT": 1}


def noted(table: str, *codes: str | None) -> str:
    check = CodeCheck(table)
    for code in codes:  # in pieces, as a table is read
        check.well_formed(pl.DataFrame({"icd9_code": [code]}, {"icd9_code": pl.String}))
    return check.note()


def test_codes_without_zeros_are_told_with_their_number(tmp_path: Path) -> None:
    tables = made()
    for name in ("DIAGNOSES_ICD", "PROCEDURES_ICD"):
        tables[name][0]["ICD9_CODE"] = "0389"
    assert CHANGED not in prepared(write(tables, tmp_path / "whole")).notes
    for name in ("DIAGNOSES_ICD", "PROCEDURES_ICD"):
        rewrite(tables, name, "ICD9_CODE", lambda cell: cell.lstrip("0"))
    notes = prepared(write(tables, tmp_path / "lost")).notes[CHANGED]
    assert set(notes) == {"DIAGNOSES_ICD", "PROCEDURES_ICD"}
    for name, note in notes.items():
        assert f"none of {len(tables[name])} codes" in note


@pytest.mark.parametrize(
    ("table", "code"),
    [
        ("DIAGNOSES_ICD", "250.0"), ("DIAGNOSES_ICD", "4E+10"), ("DIAGNOSES_ICD", "42"), ("DIAGNOSES_ICD", "v5861"),
        ("DIAGNOSES_ICD", "TRUE"), ("DIAGNOSES_ICD", "Jan-50"), ("DIAGNOSES_ICD", "250 "), ("PROCEDURES_ICD", "3605.0"),
        ("PROCEDURES_ICD", "66"), ("PROCEDURES_ICD", "36,05"), ("PROCEDURES_ICD", "٣٦٠٥"),
    ],
)  # fmt: skip
def test_a_code_that_was_never_published_is_counted_and_in_no_group(table: str, code: str) -> None:
    assert noted(table, "0389", "4280", None) == ""
    note = noted(table, "0389", code, "4280", code)
    assert "2 of 4 codes" in note
    assert repr(code) in note
    frame = pl.DataFrame({"icd9_code": ["4280", code]})
    assert CodeCheck(table).well_formed(frame)["icd9_code"].to_list() == ["4280"]


@pytest.mark.parametrize("code", ["0389", "042", "99591", "V27", "V5861", "E8889", "E950"])
def test_published_codes_are_well_formed(code: str) -> None:
    assert noted("DIAGNOSES_ICD", "0389", code) == ""


@pytest.mark.parametrize("rows", [65_535, 1_048_575])
def test_as_many_records_as_a_spreadsheet_holds_are_told(rows: int, tmp_path: Path) -> None:
    found = Source(write(made(), tmp_path / "tables"))
    found.rows = {"LABEVENTS": rows, "CHARTEVENTS": rows + 1}
    assert list(found.maybe_cut_off()) == ["LABEVENTS"]


LINES: dict[str, Callable[[bytes], bytes]] = {
    "Windows": lambda data: data.replace(b"\n", b"\r\n"),
    "blank lines at the end": lambda data: data + b"\n\n\n",
    "blank lines of Windows": lambda data: data.replace(b"\n", b"\r\n") + b"\r\n\r\n",
    "a byte-order mark": lambda data: b"\xef\xbb\xbf" + data,
    "an index column": lambda data: b"".join(
        b"%s,%s" % (b"" if row == 0 else b"%d" % (row - 1), line)
        for row, line in enumerate(data.splitlines(keepends=True))
    ),
    "blanks in the header": lambda data: data.replace(b",", b" , ", 3),
}


@pytest.mark.parametrize("block", [40, blocks.BLOCK])
@pytest.mark.parametrize("form", LINES)
def test_other_lines_are_read_as_the_published_ones(
    form: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", block)
    path = write(made(), tmp_path / "tables") / "ICUSTAYS.csv"
    expected = pl.concat(read_table(path, TABLES["ICUSTAYS"], {}))
    path.write_bytes(LINES[form](path.read_bytes()))
    assert pl.concat(read_table(path, TABLES["ICUSTAYS"], {})).equals(expected)


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old, new, 1)


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a NUL": (replaced(b"MICU", b"MI\0U"), "line "),
    "UTF-16": (lambda data: data.decode().encode("utf-16"), "line 1"),
    "UTF-16 without a mark": (lambda data: data.decode().encode("utf-16-le"), "line 1"),
    "UTF-32": (lambda data: data.decode().encode("utf-32"), "line 1"),
    "Latin-1": (replaced(b"MICU", b"MIC\xdc"), "line "),
    "semicolons": (lambda data: data.replace(b",", b";"), "';'"),
    "tabs": (lambda data: data.replace(b",", b"\t"), r"'\\t'"),
    "a huge name of a column": (lambda data: b"x" * 200_000 + b"," + data, "line 1"),
    "a cell more": (replaced(b"MICU", b"MICU,MICU"), "record "),
    "quotation marks within a cell": (replaced(b"MICU", b'M"IC"U,'), "record "),
    "zeros": (lambda data: bytes(5000), "cut off|NUL"),
    "blank lines alone": (lambda data: b"\n" * 50, "no column ROW_ID"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_no_such_table_is_named_with_its_place(fault: str, tmp_path: Path) -> None:
    change, words = BROKEN[fault]
    path = write(made(), tmp_path / "tables") / "ICUSTAYS.csv"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(CorruptFileError, match=rf"ICUSTAYS\.csv.*({words})"):
        list(read_table(path, TABLES["ICUSTAYS"], {}))


def test_the_line_of_a_fault_is_counted_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 100)
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xef\xbb\xbf" + b"1,2,3\n" * 99 + b"1,\xff,3\n" + b"1,2,3\n" * 99)
    with pytest.raises(CorruptFileError, match="line 100: "):
        list(blocks.record_blocks(path))


def test_a_cell_beyond_the_limit_of_csv_is_read(tmp_path: Path) -> None:
    tables = made()
    tables["ADMISSIONS"][0]["DIAGNOSIS"] = "x" * 300_000
    path = write(tables, tmp_path / "tables") / "ADMISSIONS.csv"
    assert pl.concat(read_table(path, TABLES["ADMISSIONS"], {}))["diagnosis"][0] == "x" * 300_000


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made_socket:
        made_socket.bind(str(path))


IRREGULAR: dict[str, tuple[Callable[[Path], None], type[ContextSSLError]]] = {
    "FIFO": (fifo, UnsafeFileError),
    "socket": (bound, UnsafeFileError),
    "device": (lambda path: path.symlink_to("/dev/zero"), UnsafeFileError),
    "folder": (Path.mkdir, UnsafeFileError),
    "broken link": (lambda path: path.symlink_to("gone"), DataMissingError),
}


@pytest.mark.parametrize("name", ["ADMISSIONS.csv", "LABEVENTS.csv.gz"])  # one that is needed, one that is not
@pytest.mark.parametrize("kind", IRREGULAR)
def test_what_is_no_file_is_refused_at_once(
    kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, error = IRREGULAR[kind]
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    tables = Path("tables")
    tables.mkdir()
    for table in TABLES:
        (tables / f"{table}.csv").write_text("ROW_ID\n")
    (tables / name.replace(".gz", "")).unlink()
    make(tables / name)
    monkeypatch.setattr(source, "read_table", None)  # nothing is read
    with pytest.raises(error, match=name):
        Mimic3().prepare(tables, Mimic3Options())
