"""Bad input: the exit code, and a message that names the table."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from mimic3_tables import Tables, add, inputs, made, prepared, write

from contextssl_cli.cli.app import run
from contextssl_mimic3 import blocks
from contextssl_mimic3.tables import TABLES

NEEDED = [name for name, table in TABLES.items() if table.needed]


def failed(folder: Path, capsys: pytest.CaptureFixture[str], code: int) -> str:
    """Run ``contextssl prepare``; the message that it ends with."""
    assert run(["prepare", "mimic3", "--source", str(folder), "--out", str(folder.parent / "store.h5")]) == code
    assert not (folder.parent / "store.h5").exists()
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error[E")
    return message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tables"


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_table(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(made(), folder)
    (folder / f"{name}.csv").unlink()
    assert f"has no table {name} ({name}.csv or {name}.csv.gz)" in failed(folder, capsys, 3)


@pytest.mark.parametrize("name", sorted(set(TABLES) - set(NEEDED)))
def test_a_missing_table_that_is_not_needed_is_told(name: str, folder: Path) -> None:
    tables = made()
    del tables[name]
    assert list(prepared(write(tables, folder)).notes["tables left out"]) == [name]


@pytest.mark.parametrize(
    ("name", "share"), [*((name, 0.6) for name in TABLES), ("PATIENTS", 0.97), ("LABEVENTS", 0.01)]
)
def test_a_gzip_file_that_is_cut_off(name: str, share: float, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(made(), folder, compress=True) / f"{name}.csv.gz"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert f"{path} is cut off" in failed(folder, capsys, 4)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_is_cut_off_within_a_line(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(made(), folder) / f"{name}.csv"
    path.write_bytes(path.read_bytes()[:-3])
    assert f"{path} is cut off" in failed(folder, capsys, 4)


def test_patients_that_are_cut_off_at_the_end_of_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(made(), folder) / "PATIENTS.csv"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-4]))
    message = failed(folder, capsys, 4)
    assert all(name in message for name in (str(path), "SUBJECT_ID 120", "ADMISSIONS.csv"))


def test_admissions_that_are_cut_off_at_the_end_of_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = made()
    tables["ADMISSIONS"] = tables["ADMISSIONS"][:-1]
    message = failed(write(tables, folder), capsys, 4)
    assert "ADMISSIONS.csv lacks HADM_ID 1232 of SUBJECT_ID 123, which ICUSTAYS.csv names" in message


def test_a_table_shorter_than_published_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextssl_mimic3 import source

    tables = made()
    monkeypatch.setattr(source, "PUBLISHED_ROWS", {24: {"LABEVENTS": 999, "CHARTEVENTS": 100}})
    rows = len(tables["LABEVENTS"])
    notes = prepared(write(tables, folder)).notes["tables that may be cut off"]
    assert notes == {"LABEVENTS": f"{rows} records, 999 were published; it may be cut off"}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_records(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(made(), folder) / f"{name}.csv"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert f"{path} holds no records" in failed(folder, capsys, 4)


def test_an_empty_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (write(made(), folder) / "PATIENTS.csv").write_bytes(b"")
    message = failed(folder, capsys, 4)
    assert "PATIENTS.csv" in message
    assert "ROW_ID" in message


def test_a_file_that_is_not_gzip(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(made(), folder, compress=True) / "LABEVENTS.csv.gz"
    path.write_bytes(gzip.decompress(path.read_bytes()))
    assert f"{path} is damaged" in failed(folder, capsys, 4)


def test_damaged_gzip_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(made(), folder, compress=True) / "LABEVENTS.csv.gz"
    data = bytearray(path.read_bytes())
    data[-8] ^= 1  # of the checksum
    path.write_bytes(data)
    assert f"{path} is damaged" in failed(folder, capsys, 4)


DOUBLE = [
    ("PATIENTS", "SUBJECT_ID", blocks.BLOCK), ("ADMISSIONS", "HADM_ID", 2000), ("ICUSTAYS", "ICUSTAY_ID", 2000),
    *((name, "ROW_ID", blocks.BLOCK) for name in TABLES), ("LABEVENTS", "ROW_ID", 8000),
]  # fmt: skip


@pytest.mark.parametrize(("name", "column", "block"), DOUBLE)
def test_an_identifier_that_stands_there_twice(
    name: str,
    column: str,
    block: int,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", block)
    tables = made()
    tables[name].append(tables[name][-1] | {column: tables[name][1][column]})
    if column != "ROW_ID":
        tables[name][-1]["ROW_ID"] = "5000"
    message = failed(write(tables, folder), capsys, 4)
    assert f"{name}.csv holds the {column} {tables[name][1][column]} twice" in message


@pytest.mark.parametrize(
    ("name", "column", "cell", "expected"),
    [
        ("PATIENTS", "SUBJECT_ID", "abc", "a whole number"),
        ("PATIENTS", "SUBJECT_ID", "", "a whole number"),
        ("PATIENTS", "DOB", "1.1.2050", "a time such as"),
        ("ADMISSIONS", "HOSPITAL_EXPIRE_FLAG", "yes", "0 or 1"),
        ("ADMISSIONS", "ADMITTIME", "2101-02-30 00:00:00", "a time such as"),
        ("ICUSTAYS", "INTIME", "2101-10-20", "a time such as"),
        ("PRESCRIPTIONS", "STARTDATE", "tomorrow", "a time such as"),
        ("LABEVENTS", "VALUENUM", "high", "a number"),
        ("CHARTEVENTS", "ITEMID", "211.5", "a whole number"),
        ("INPUTEVENTS_MV", "ENDTIME", "7", "a time such as"),
        ("INPUTEVENTS_CV", "RATE", "1,5", "a number"),
    ],
)
def test_a_column_of_mixed_types(
    name: str, column: str, cell: str, expected: str, folder: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(blocks, "BLOCK", 4000)
    tables = made()
    tables[name][17][column] = cell
    message = failed(write(tables, folder), capsys, 4)
    found = repr(cell) if cell else "nothing"
    assert f"{name}.csv, record 18: the column {column} holds {found}, expected {expected}" in message


def test_a_row_number_beyond_all_measure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = made()
    tables["LABEVENTS"][3]["ROW_ID"] = "99999999999"
    message = failed(write(tables, folder), capsys, 4)
    assert all(name in message for name in ("LABEVENTS.csv", "ROW_ID", "99999999999"))


def test_another_sex(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = made()
    tables["PATIENTS"][3]["GENDER"] = "male"
    message = failed(write(tables, folder), capsys, 4)
    assert all(name in message for name in ("PATIENTS.csv", "GENDER", "'male'", "F or M"))


@pytest.mark.parametrize("name", ["PATIENTS", "PRESCRIPTIONS", "CHARTEVENTS"])
def test_a_file_in_another_encoding(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(made(), folder) / f"{name}.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b",", b",\xe9", 1)
    path.write_bytes(b"".join(lines))
    message = failed(folder, capsys, 4)
    assert f"{path}, line 6: the byte 0xe9 in b'5,\\xe9" in message


@pytest.mark.parametrize("name", ["ADMISSIONS", "LABEVENTS"])
@pytest.mark.parametrize("change", [lambda line: line + b",1", lambda line: line.rpartition(b",")[0], lambda line: b""])
@pytest.mark.parametrize("quote", [True, False])
def test_a_record_with_other_columns(
    name: str, change: Callable[[bytes], bytes], quote: bool, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(made(), folder, quote=quote) / f"{name}.csv"
    lines = path.read_bytes().split(b"\n")
    lines[7] = change(lines[7])
    path.write_bytes(b"\n".join(lines))
    message = failed(folder, capsys, 4)
    assert re.search(rf"{path}, record \d: \d+ columns, expected", message)


def test_a_quotation_mark_that_is_never_closed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(made(), folder) / "LABEVENTS.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b"\n", b'"\n')
    path.write_bytes(b"".join(lines))
    assert f"{path} is cut off" in failed(folder, capsys, 4)
    monkeypatch.setattr(blocks, "BLOCK", 1000)
    monkeypatch.setattr(blocks, "LONGEST_RECORD", 3000)
    message = failed(folder, capsys, 4)
    assert f"{path}, line 6: " in message
    assert "quotation mark" in message


def test_a_table_without_a_column(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = made()
    tables["ICUSTAYS"] = [{k: v for k, v in row.items() if k != "DBSOURCE"} for row in tables["ICUSTAYS"]]
    assert "ICUSTAYS.csv has no column DBSOURCE; expected the table ICUSTAYS" in failed(
        write(tables, folder), capsys, 4
    )


def test_a_table_with_a_column_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(made(), folder) / "PATIENTS.csv"
    path.write_bytes(
        path.read_bytes().replace(b"ROW_ID", b"GENDER,ROW_ID", 1).replace(b"\n", b"\nF,").removesuffix(b"F,")
    )
    assert "PATIENTS.csv has the column GENDER twice" in failed(folder, capsys, 4)


def test_a_source_that_is_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(made(), folder) / "PATIENTS.csv"
    assert f"--source {path} is a file, expected the folder" in failed(path, capsys, 3)


def test_a_source_that_does_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"--source {tmp_path / 'nothing'} does not exist" in failed(tmp_path / "nothing", capsys, 3)


def late_death(tables: Tables) -> None:
    tables["ADMISSIONS"][2]["DEATHTIME"] = "2000-01-01 00:00:00"


def late_admission(tables: Tables) -> None:
    tables["ADMISSIONS"][2]["DISCHTIME"] = "2000-01-01 00:00:00"


def no_admission(tables: Tables) -> None:
    tables["ADMISSIONS"][2]["ADMITTIME"] = ""


def late_birth(tables: Tables) -> None:
    tables["PATIENTS"][1]["DOB"] = "2199-01-01 00:00:00"


def no_birth(tables: Tables) -> None:
    tables["PATIENTS"][1]["DOB"] = ""


def late_stay(tables: Tables) -> None:
    row = next(row for row in tables["ICUSTAYS"] if row["HADM_ID"] == "1011")
    row |= {"INTIME": "2199-01-01 00:00:00", "OUTTIME": "2199-01-02 00:00:00"}


def late_entry(tables: Tables) -> None:
    next(row for row in tables["ICUSTAYS"] if row["HADM_ID"] == "1011")["OUTTIME"] = "2000-01-01 00:00:00"


def no_entry(tables: Tables) -> None:
    next(row for row in tables["ICUSTAYS"] if row["HADM_ID"] == "1011")["INTIME"] = ""


@pytest.mark.parametrize(
    ("spoil", "reason", "row", "rows"),
    [
        (late_admission, "ADMISSIONS with DISCHTIME before ADMITTIME", "3", 1),
        (late_death, "ADMISSIONS with DEATHTIME before ADMITTIME", "3", 1),
        (no_admission, "ADMISSIONS without ADMITTIME", "3", 1),
        (late_birth, "PATIENTS with DOB after ADMITTIME", "2", 2),
        (no_birth, "PATIENTS without DOB", "2", 2),
        (late_stay, "ICUSTAYS with INTIME after DISCHTIME", "", 1),
        (late_entry, "ICUSTAYS with OUTTIME before INTIME", "", 1),
        (no_entry, "ICUSTAYS without INTIME", "", 1),
    ],
)
def test_dates_out_of_order_are_left_out_counted_and_named(
    spoil: Callable[[Tables], None], reason: str, row: str, rows: int, folder: Path
) -> None:
    tables = made()
    for admission in {row["HADM_ID"] for row in tables["ICUSTAYS"]}:  # one stay each
        first = next(row for row in tables["ICUSTAYS"] if row["HADM_ID"] == admission)
        tables["ICUSTAYS"] = [r for r in tables["ICUSTAYS"] if r is first or r["HADM_ID"] != admission]
    before = len(inputs(prepared(write(tables, folder / "before"))))
    spoil(tables)
    result = prepared(write(tables, folder / "after"))
    assert len(inputs(result)) == before - rows
    assert result.notes["admissions left out"] == {reason: rows}
    stay = next(r["ROW_ID"] for r in tables["ICUSTAYS"] if r["HADM_ID"] == "1011")
    assert result.notes["dates out of order"] == {reason: f"ROW_ID {row or stay}"}


def test_an_extract_without_a_test_patient(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from contextssl_mimic3.stays import is_test

    tables = made()
    for name, rows in tables.items():
        tables[name] = [row for row in rows if not is_test(int(row.get("SUBJECT_ID") or 0))] or rows[:1]
    message = failed(write(tables, folder), capsys, 3)
    assert "none of a patient of the test split; a larger extract is needed" in message


def test_an_extract_of_children(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = made()
    for row in tables["PATIENTS"]:
        row["DOB"] = "2129-01-01 00:00:00"
    assert "holds 0 first intensive-care stays of adults" in failed(write(tables, folder), capsys, 3)


def test_an_option_that_does_not_exist(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prepare", "mimic3", "--source", str(folder), "--dmeo"]) == 2
    assert "--dmeo" in capsys.readouterr().err


def test_plain_and_compressed_beside_each_other(folder: Path) -> None:
    write(made(), folder)
    (folder / "PATIENTS.csv.gz").write_bytes(b"an old download")
    assert "PATIENTS.csv" in prepared(folder).sources


def test_several_members_of_gzip_data(folder: Path) -> None:
    path = write(made(), folder, compress=True) / "LABEVENTS.csv.gz"
    expected = inputs(prepared(folder))
    text = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(text[:1000]) + gzip.compress(text[1000:]))
    assert (inputs(prepared(folder)) == expected).all()


def test_a_record_more_is_no_error(folder: Path) -> None:
    tables = made()
    add(tables, "LABEVENTS", SUBJECT_ID="999999", ITEMID="50912", CHARTTIME="2130-05-05 00:00:00", VALUENUM="2")
    assert len(inputs(prepared(write(tables, folder)))) > 0
