"""Nothing after the prediction time, 24 hours after INTIME, reaches a feature; what lies before it does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from mimic3_tables import (
    Row,
    Tables,
    add,
    clock,
    column,
    demo,
    first_stays,
    inputs,
    labels,
    made,
    moment,
    prepared,
    read,
    write,
)

from contextssl_mimic3.tables import TABLES

SPELL = "FinishedRunning"
EVENTS: dict[str, Callable[[datetime], Row]] = {
    "PRESCRIPTIONS": lambda time: {"DRUG": "Furosemide", "STARTDATE": clock(time)},
    "LABEVENTS": lambda time: {"ITEMID": "50912", "CHARTTIME": clock(time), "VALUE": "77", "VALUENUM": "77"},
    "CHARTEVENTS": lambda time: {"ITEMID": "211", "CHARTTIME": clock(time), "VALUE": "33", "VALUENUM": "33"},
    "INPUTEVENTS_MV": lambda time: {
        "ITEMID": "221906", "STARTTIME": clock(time), "ENDTIME": clock(time + timedelta(hours=9)),
        "STATUSDESCRIPTION": SPELL,
    },
    "INPUTEVENTS_CV": lambda time: {"ITEMID": "30047", "CHARTTIME": clock(time), "RATE": "3"},
    "PROCEDUREEVENTS_MV": lambda time: {
        "ITEMID": "225792", "STARTTIME": clock(time), "ENDTIME": clock(time + timedelta(hours=9)),
        "STATUSDESCRIPTION": SPELL,
    },
}  # fmt: skip
"""An event of each table that has a time, at a time; those of two tables are features, of three the label."""
FEATURES = ("PRESCRIPTIONS", "LABEVENTS", "CHARTEVENTS")
WINDOW = timedelta(hours=24)


def with_events(tables: Tables, name: str, after: timedelta) -> Tables:
    """The tables with an event in each first stay, so long after its beginning."""
    changed = {table: list(rows) for table, rows in tables.items()}
    for stay in first_stays(tables):
        ids = {key: stay[key] for key in ("SUBJECT_ID", "HADM_ID", "ICUSTAY_ID") if key in tables[name][0]}
        add(changed, name, **ids, **EVENTS[name](moment(stay["INTIME"]) + after))
    return changed


@pytest.fixture(scope="module")
def tables() -> Tables:
    return made()


@pytest.fixture(scope="module")
def before(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return inputs(prepared(write(tables, tmp_path_factory.mktemp("before"))))


@pytest.mark.parametrize("after", [timedelta(), timedelta(seconds=1), timedelta(hours=5), timedelta(days=400)], ids=str)
def test_events_from_the_prediction_time_on_change_no_feature(
    tables: Tables, before: np.ndarray, after: timedelta, tmp_path: Path
) -> None:
    changed = tables
    for name in EVENTS:
        changed = with_events(changed, name, WINDOW + after)
    result = prepared(write(changed, tmp_path))
    assert np.array_equal(inputs(result), before)


@pytest.mark.parametrize("name", EVENTS)
def test_the_same_events_before_it_do(tables: Tables, before: np.ndarray, name: str, tmp_path: Path) -> None:
    # Prescriptions have no hour: those of the stay's first day are known at the end of that day.
    earlier = timedelta(hours=-1) if name == "PRESCRIPTIONS" else WINDOW - timedelta(seconds=1)
    result = prepared(write(with_events(tables, name, earlier), tmp_path))
    assert np.array_equal(inputs(result), before) == (name not in FEATURES)


def test_the_same_events_after_it_change_the_label(tables: Tables, tmp_path: Path) -> None:
    plain = labels(prepared(write(tables, tmp_path / "plain")), "treatment")
    for name in EVENTS.keys() - set(FEATURES):
        changed = with_events(tables, name, WINDOW + timedelta(hours=1))
        found = labels(prepared(write(changed, tmp_path / name)), "treatment")
        assert (found != plain).any()
        assert (found[found != plain] == 1).all()


def test_what_follows_the_prediction_time_may_be_missing(tables: Tables, before: np.ndarray, tmp_path: Path) -> None:
    """No event after the window, one order of each kind of them left to keep the tables."""
    ends = {row["HADM_ID"]: moment(row["INTIME"]) + WINDOW for row in first_stays(tables)}
    subjects = {row["HADM_ID"]: row["SUBJECT_ID"] for row in tables["ICUSTAYS"]}
    last = {subject: max(ends[hadm] for hadm in ends if subjects[hadm] == subject) for subject in subjects.values()}
    cut = dict(tables)
    for name, time in (("LABEVENTS", "CHARTTIME"), ("CHARTEVENTS", "CHARTTIME"), ("PRESCRIPTIONS", "STARTDATE")):
        cut[name] = [
            row for row in tables[name]
            if moment(row[time]) < (ends[row["HADM_ID"]] if row["HADM_ID"] else last[row["SUBJECT_ID"]])
        ]  # fmt: skip
        assert 0 < len(cut[name]) < len(tables[name])
    for name in ("INPUTEVENTS_MV", "INPUTEVENTS_CV", "PROCEDUREEVENTS_MV"):
        cut[name] = tables[name][:1]
    assert np.array_equal(inputs(prepared(write(cut, tmp_path))), before)


def test_a_prescription_of_the_last_day_is_not_known(tables: Tables, tmp_path: Path) -> None:
    """The window ends within a day; a prescription of that day may have been written after it."""
    result = prepared(write(tables, tmp_path / "before"))
    days = {row["HADM_ID"]: (moment(row["INTIME"]) + WINDOW).replace(hour=0, minute=0) for row in first_stays(tables)}
    for number, same in ((0, True), (-1, False)):
        changed = {name: list(rows) for name, rows in tables.items()}
        for hadm, day in days.items():
            start = clock(day + timedelta(days=number))
            add(changed, "PRESCRIPTIONS", SUBJECT_ID=hadm[:3], HADM_ID=hadm, DRUG="Heparin", STARTDATE=start)
        found = prepared(write(changed, tmp_path / str(number)))
        assert np.array_equal(column(found, "drug: heparin"), column(result, "drug: heparin")) == same


@pytest.mark.parametrize("name", ["DIAGNOSES_ICD", "PROCEDURES_ICD"])
def test_codes_are_known_after_discharge_only(tables: Tables, before: np.ndarray, name: str, tmp_path: Path) -> None:
    """Codes of a patient's last admission change nothing; codes of an earlier one change the later one's row."""
    admissions = sorted(tables["ADMISSIONS"], key=lambda row: row["ADMITTIME"])
    last = {row["SUBJECT_ID"]: row["HADM_ID"] for row in admissions}
    code = {"DIAGNOSES_ICD": "042", "PROCEDURES_ICD": "9962"}[name]
    for chosen, same in ((last.values(), True), ({row["HADM_ID"] for row in admissions} - set(last.values()), False)):
        changed = {table: list(rows) for table, rows in tables.items()}
        for hadm in chosen:
            add(changed, name, SUBJECT_ID=hadm[:3], HADM_ID=hadm, ICD9_CODE=code)
        assert np.array_equal(inputs(prepared(write(changed, tmp_path / str(same)))), before) == same


def test_an_admission_that_has_not_ended_is_no_history(tables: Tables, before: np.ndarray, tmp_path: Path) -> None:
    changed = {name: [dict(row) for row in rows] for name, rows in tables.items()}
    add(
        changed, "ADMISSIONS", SUBJECT_ID="101", HADM_ID="900000", ADMITTIME="2129-01-01 00:00:00",
        DISCHTIME="2199-01-01 00:00:00",
    )  # fmt: skip
    add(changed, "DIAGNOSES_ICD", SUBJECT_ID="101", HADM_ID="900000", ICD9_CODE="042")
    assert np.array_equal(inputs(prepared(write(changed, tmp_path))), before)


@pytest.mark.parametrize(
    ("table", "cells"),
    [
        ("ADMISSIONS", {"DISCHARGE_LOCATION": "DEAD/EXPIRED", "HOSPITAL_EXPIRE_FLAG": "1"}),
        ("ICUSTAYS", {"LAST_CAREUNIT": "NICU", "LOS": "99"}),
        ("ICUSTAYS", {"OUTTIME": ""}),
        ("ADMISSIONS", {"DEATHTIME": "2198-01-01 00:00:00"}),
    ],
)
def test_how_a_stay_ends_changes_no_feature(
    tables: Tables, before: np.ndarray, table: str, cells: Row, tmp_path: Path
) -> None:
    changed = tables | {table: [row | cells for row in tables[table]]}
    assert np.array_equal(inputs(prepared(write(changed, tmp_path))), before)


def test_a_longer_stay_changes_no_feature(tables: Tables, before: np.ndarray, tmp_path: Path) -> None:
    changed = {name: [dict(row) for row in rows] for name, rows in tables.items()}
    for row in changed["ICUSTAYS"]:
        row["OUTTIME"] = clock(moment(row["OUTTIME"]) + timedelta(hours=20))
    result = prepared(write(changed, tmp_path))
    assert np.array_equal(inputs(result), before)
    assert (labels(result, "los3") >= 0).sum() == len(before)  # none has ended before the prediction time any more


def test_events_after_the_window_change_nothing_in_the_demo(tmp_path: Path) -> None:
    tables = {name: rows for name, rows in read(demo()).items() if name in TABLES}
    changed = tables
    for name in ("PRESCRIPTIONS", "INPUTEVENTS_MV", "PROCEDUREEVENTS_MV"):
        changed = with_events(changed, name, WINDOW)
    changed["ADMISSIONS"] = [row | {"DISCHARGE_LOCATION": "HOME"} for row in tables["ADMISSIONS"]]
    last = {row["SUBJECT_ID"]: row for row in sorted(tables["ADMISSIONS"], key=lambda row: row["ADMITTIME"])}
    for row in last.values():
        add(changed, "DIAGNOSES_ICD", SUBJECT_ID=row["SUBJECT_ID"], HADM_ID=row["HADM_ID"], ICD9_CODE="042")
    assert np.array_equal(inputs(prepared(write(changed, tmp_path))), inputs(prepared(demo())))
