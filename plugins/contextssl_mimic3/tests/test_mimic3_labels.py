"""The tasks: what makes a stay treated, and which stays are left out of a task instead of labelled 0."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from mimic3_tables import Row, Tables, add, clock, demo, first_stays, labels, made, moment, prepared, read, write

from contextssl_cli.plugin import Prepared

EVENTS = ("INPUTEVENTS_MV", "INPUTEVENTS_CV", "PROCEDUREEVENTS_MV", "CHARTEVENTS")


def ended(stay: Row) -> bool:
    return moment(stay["OUTTIME"]) - moment(stay["INTIME"]) <= timedelta(hours=24)


@pytest.fixture
def untreated() -> Tables:
    """Tables in which nobody is treated, and no event is a feature."""
    tables = made()
    for name in EVENTS:
        rows = [row | {"ITEMID": "1234567"} for row in tables[name]]
        tables[name] = rows
    return tables


def treatment(tables: Tables, folder: Path) -> np.ndarray:
    return labels(prepared(write(tables, folder)), "treatment")


CASES: list[tuple[str, Row, bool]] = [
    ("INPUTEVENTS_MV", {"ITEMID": "221906"}, True),
    ("INPUTEVENTS_MV", {"ITEMID": "222315", "STATUSDESCRIPTION": "Stopped"}, True),
    ("INPUTEVENTS_MV", {"ITEMID": "221906", "STATUSDESCRIPTION": "Rewritten"}, False),
    ("INPUTEVENTS_MV", {"ITEMID": "225158"}, False),
    ("PROCEDUREEVENTS_MV", {"ITEMID": "225792"}, True),
    ("PROCEDUREEVENTS_MV", {"ITEMID": "225794"}, True),
    ("PROCEDUREEVENTS_MV", {"ITEMID": "224263"}, False),
    ("INPUTEVENTS_CV", {"ITEMID": "30047", "RATE": "0.5"}, True),
    ("INPUTEVENTS_CV", {"ITEMID": "30047", "RATE": "0"}, False),
    ("INPUTEVENTS_CV", {"ITEMID": "30047", "RATE": "", "AMOUNT": "3"}, False),
    ("INPUTEVENTS_CV", {"ITEMID": "42273", "RATE": "", "AMOUNT": "3"}, True),
    ("INPUTEVENTS_CV", {"ITEMID": "30018", "RATE": "5"}, False),
    ("CHARTEVENTS", {"ITEMID": "720", "VALUE": "Assist Control"}, True),
    ("CHARTEVENTS", {"ITEMID": "720", "VALUE": "Other/Remarks"}, False),
    ("CHARTEVENTS", {"ITEMID": "467", "VALUE": "Ventilator"}, True),
    ("CHARTEVENTS", {"ITEMID": "467", "VALUE": "Nasal Cannula"}, False),
    ("CHARTEVENTS", {"ITEMID": "505", "VALUE": "8"}, True),
    ("CHARTEVENTS", {"ITEMID": "505", "VALUE": ""}, False),
    ("CHARTEVENTS", {"ITEMID": "505", "VALUE": "8", "ERROR": "1"}, False),
]


def of_system(tables: Tables, table: str) -> Callable[[Row], bool]:
    system = "metavision" if table.endswith("_MV") else "carevue"
    return lambda stay: stay["DBSOURCE"] == system and not ended(stay)


@pytest.mark.parametrize(("table", "cells", "expected"), CASES, ids=str)
def test_what_makes_a_stay_treated(untreated: Tables, table: str, cells: Row, expected: bool, tmp_path: Path) -> None:
    stays = first_stays(untreated)
    chosen = [number for number, stay in enumerate(stays) if of_system(untreated, table)(stay)][:3]
    for number in chosen:
        at = moment(stays[number]["INTIME"]) + timedelta(hours=26)
        times = {"STARTTIME": clock(at - timedelta(hours=9)), "ENDTIME": clock(at), "CHARTTIME": clock(at)}
        usual = {"STATUSDESCRIPTION": "FinishedRunning", "ICUSTAY_ID": stays[number]["ICUSTAY_ID"], **times}
        add(untreated, table, **{k: v for k, v in (usual | cells).items() if k in untreated[table][0]})
    found = treatment(untreated, tmp_path)
    assert set(np.flatnonzero(found == 1)) == (set(chosen) if expected else set())
    assert set(np.flatnonzero(found == -1)) == {number for number, stay in enumerate(stays) if ended(stay)}


@pytest.mark.parametrize("table", ["INPUTEVENTS_MV", "PROCEDUREEVENTS_MV"])
def test_an_order_that_ended_before_the_prediction_time_is_no_treatment(
    untreated: Tables, table: str, tmp_path: Path
) -> None:
    item = {"INPUTEVENTS_MV": "221906", "PROCEDUREEVENTS_MV": "225792"}[table]
    for stay in first_stays(untreated):
        end = clock(moment(stay["INTIME"]) + timedelta(hours=24))
        add(
            untreated, table, ICUSTAY_ID=stay["ICUSTAY_ID"], ITEMID=item, STARTTIME=stay["INTIME"], ENDTIME=end,
            STATUSDESCRIPTION="FinishedRunning",
        )  # fmt: skip
    assert not (treatment(untreated, tmp_path) == 1).any()


def test_the_demo_labels_metavision_stays_only(tmp_path: Path) -> None:
    tables = read(demo())
    charted = {row["HADM_ID"]: row["HAS_CHARTEVENTS_DATA"] == "1" for row in tables["ADMISSIONS"]}
    died = {row["HADM_ID"]: row["DEATHTIME"] for row in tables["ADMISSIONS"] if row["DEATHTIME"]}
    expected = []
    for stay in first_stays(tables):
        end = moment(stay["INTIME"]) + timedelta(hours=24)
        over = ended(stay) or (stay["HADM_ID"] in died and moment(died[stay["HADM_ID"]]) <= end)
        if over or stay["DBSOURCE"] != "metavision" or not charted[stay["HADM_ID"]]:
            expected.append(-1)
            continue
        expected.append(
            int(
                any(
                    row["ICUSTAY_ID"] == stay["ICUSTAY_ID"]
                    and row["ITEMID"] in items
                    and row["STATUSDESCRIPTION"] != "Rewritten"
                    and moment(row["ENDTIME"]) > end
                    for table, items in TREATMENTS.items()
                    for row in tables[table]
                )
            )
        )
    result = prepared(demo())
    assert labels(result, "treatment").tolist() == expected
    notes = result.notes["task treatment"]
    assert sum(count for name, count in notes.items() if name.startswith("left out")) == expected.count(-1)
    assert notes["left out: recorded by carevue, no INPUTEVENTS_CV and CHARTEVENTS"] > 0


TREATMENTS = {
    "INPUTEVENTS_MV": {"221906", "221289", "221749", "222315", "221662", "221653", "221986"},
    "PROCEDUREEVENTS_MV": {"225792", "225794"},
}


def without(tables: Tables, *names: str) -> Tables:
    return {name: rows for name, rows in tables.items() if name not in names}


@pytest.mark.parametrize("missing", EVENTS)
def test_a_system_without_its_tables_is_never_labelled_zero(missing: str, tmp_path: Path) -> None:
    tables = made()
    system = "metavision" if missing.endswith("_MV") else "carevue"
    whole = treatment(tables, tmp_path / "whole")
    result = prepared(write(without(tables, missing), tmp_path / "some"))
    found = labels(result, "treatment")
    of_missing = np.array([stay["DBSOURCE"] == system for stay in first_stays(tables)])
    assert (found[of_missing] == -1).all()
    assert np.array_equal(found[~of_missing], whole[~of_missing])
    count = int((of_missing & (whole != -1)).sum())
    assert result.notes["task treatment"][f"left out: recorded by {system}, no {missing}"] == count
    assert missing in result.notes["tables left out"]


def test_a_stay_of_both_systems_needs_all_tables(tmp_path: Path) -> None:
    tables = made()
    for row in tables["ICUSTAYS"]:
        row["DBSOURCE"] = "both"
    assert (treatment(tables, tmp_path / "whole") != -1).any()
    assert (treatment(without(tables, "INPUTEVENTS_CV"), tmp_path / "some") == -1).all()


def test_an_admission_that_was_not_charted_is_left_out_of_treatment(tmp_path: Path) -> None:
    tables = made()
    whole = treatment(tables, tmp_path / "whole")
    uncharted = tables["ADMISSIONS"][0]["HADM_ID"]
    tables["ADMISSIONS"][0]["HAS_CHARTEVENTS_DATA"] = "0"
    found = treatment(tables, tmp_path / "some")
    number = [stay["HADM_ID"] for stay in first_stays(tables)].index(uncharted)
    assert found[number] == -1
    assert np.array_equal(np.delete(found, number), np.delete(whole, number))


def long_stays(tables: Tables, folder: Path) -> np.ndarray:
    return labels(prepared(write(tables, folder)), "los3")


def test_three_days_are_not_more_than_three(tmp_path: Path) -> None:
    tables = made()
    stays = first_stays(tables)
    for number, extra in ((0, 0), (1, 1)):
        stays[number]["OUTTIME"] = clock(moment(stays[number]["INTIME"]) + timedelta(days=3, seconds=extra))
    assert long_stays(tables, tmp_path)[:2].tolist() == [0, 1]


def test_a_stay_without_an_end_has_no_length(tmp_path: Path) -> None:
    tables = made()
    stays = first_stays(tables)
    number = next(number for number, stay in enumerate(stays) if not ended(stay))
    stays[number]["OUTTIME"] = ""
    result = prepared(write(tables, tmp_path))
    assert labels(result, "los3")[number] == -1
    assert labels(result, "mortality")[number] >= 0
    assert result.notes["task los3"]["left out: no OUTTIME"] == 1


def test_who_died_before_the_prediction_time_has_no_label(tmp_path: Path) -> None:
    tables = made()
    stays = first_stays(tables)
    number = next(number for number, stay in enumerate(stays) if not ended(stay))
    row = next(row for row in tables["ADMISSIONS"] if row["HADM_ID"] == stays[number]["HADM_ID"])
    row["DEATHTIME"] = clock(moment(stays[number]["INTIME"]) + timedelta(hours=24))
    row["HOSPITAL_EXPIRE_FLAG"] = "1"
    result = prepared(write(tables, tmp_path))
    assert [labels(result, task)[number] for task in ("los3", "treatment", "mortality")] == [-1, -1, -1]


def test_every_stay_is_counted_once_in_each_task() -> None:
    result: Prepared = prepared(demo())
    for task in ("los3", "treatment", "mortality"):
        assert sum(result.notes[f"task {task}"].values()) == len(labels(result, task))
