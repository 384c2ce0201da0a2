"""Features: the values of the first 24 hours, codes in groups, and columns that the training split decides."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from mimic3_tables import (
    Row,
    Tables,
    add,
    clock,
    column,
    demo,
    first_stays,
    inputs,
    made,
    moment,
    prepared,
    read,
    write,
)

from contextssl_cli import testing
from contextssl_cli.plugin.registry import registry
from contextssl_mimic3.encoding import Categories, Flags, Numbers, encode
from contextssl_mimic3.groups import (
    DIAGNOSIS_GROUPS,
    ETHNICITIES,
    PROCEDURE_GROUPS,
    diagnosis_group,
    ethnicity_group,
    procedure_group,
)
from contextssl_mimic3.items import LABORATORY, VASOPRESSOR_NAMES, VITAL_SIGNS
from tests.places import built_in


def measure(tables: Tables, stay: Row, table: str, item: str, hours: float, value: float, **cells: str) -> None:
    at = clock(moment(stay["INTIME"]) + timedelta(hours=hours))
    ids = {key: stay[key] for key in ("SUBJECT_ID", "ICUSTAY_ID") if key in tables[table][0]}
    add(tables, table, **ids, ITEMID=item, CHARTTIME=at, VALUENUM=str(value), VALUE=str(value), **cells)


@pytest.fixture
def bare() -> Tables:
    """Tables without a measurement that is a feature."""
    tables = made()
    for name in ("LABEVENTS", "CHARTEVENTS"):
        tables[name] = [row | {"ITEMID": "1"} for row in tables[name]]
    return tables


def test_lowest_mean_and_highest_of_the_first_day(bare: Tables, tmp_path: Path) -> None:
    stays = first_stays(bare)
    for hours, value in ((-1, 99), (0, 2), (5, 3), (23.99, 7), (24, 99)):
        measure(bare, stays[0], "LABEVENTS", "50912", hours, value)
    measure(bare, stays[1], "LABEVENTS", "50912", 3, 4)
    measure(bare, stays[1], "LABEVENTS", "50912", 3, 151)  # beyond what is plausible
    measure(bare, stays[1], "LABEVENTS", "50912", 3, 0)
    result = prepared(write(bare, tmp_path))
    found = {word: column(result, f"{word} creatinine (mg/dL)") for word in ("lowest", "mean", "highest")}
    assert [found[word][0] for word in found] == pytest.approx([2, 4, 7], rel=1e-5)
    assert [found[word][1] for word in found] == pytest.approx([4, 4, 4], rel=1e-5)
    missing = column(result, "no creatinine (mg/dL)")
    assert missing.tolist() == [0, 0] + [1] * (len(stays) - 2)


def test_a_missing_value_is_the_mean_of_training(bare: Tables, tmp_path: Path) -> None:
    for stay, value in zip(first_stays(bare)[:3], (1, 3, 8), strict=True):
        measure(bare, stay, "LABEVENTS", "50912", 1, value)
    values = column(prepared(write(bare, tmp_path)), "mean creatinine (mg/dL)")
    assert values[3:] == pytest.approx(4)


def test_vital_signs_of_both_systems_meet(bare: Tables, tmp_path: Path) -> None:
    stays = first_stays(bare)
    measure(bare, stays[0], "CHARTEVENTS", "211", 1, 80)
    measure(bare, stays[1], "CHARTEVENTS", "220045", 1, 90)
    measure(bare, stays[1], "CHARTEVENTS", "220045", 1, 20, ERROR="1")
    measure(bare, stays[0], "CHARTEVENTS", "678", 1, 98.6)
    measure(bare, stays[1], "CHARTEVENTS", "676", 1, 37)
    measure(bare, stays[2], "CHARTEVENTS", "678", 1, 37)  # Celsius entered as Fahrenheit
    result = prepared(write(bare, tmp_path))
    assert column(result, "mean heart rate (1/min)")[:2] == pytest.approx([80, 90])
    assert column(result, "mean temperature (C)")[:2] == pytest.approx([37, 37])
    assert column(result, "no temperature (C)")[:3].tolist() == [0, 0, 1]


def test_a_measurement_of_another_stay_of_the_patient_does_not_count(bare: Tables, tmp_path: Path) -> None:
    later = [row for row in bare["ICUSTAYS"] if row not in first_stays(bare)]
    assert later
    for stay in later:
        measure(bare, stay, "LABEVENTS", "50912", 1, 5)
        measure(bare, stay, "CHARTEVENTS", "211", 1, 90)
    result = prepared(write(bare, tmp_path))
    assert column(result, "no creatinine (mg/dL)").all()
    assert column(result, "no heart rate (1/min)").all()


def test_prescriptions(tmp_path: Path) -> None:
    tables = made()
    stays = first_stays(tables)
    tables["PRESCRIPTIONS"] = tables["PRESCRIPTIONS"][:0]
    for number, names in enumerate((["Aspirin", "ASPIRIN ", "Heparin"], ["aspirin", "Norepinephrine"], ["Heparin"])):
        for name in names:
            rows = tables["PRESCRIPTIONS"]
            day = clock(moment(stays[number]["INTIME"]).replace(hour=0, minute=0))
            rows.append({"ROW_ID": str(len(rows)), "HADM_ID": stays[number]["HADM_ID"], "STARTDATE": day, "DRUG": name})
    tables["PRESCRIPTIONS"] += [row | {"ROW_ID": "99", "STARTDATE": ""} for row in tables["PRESCRIPTIONS"][:1]]
    result = prepared(write(tables, tmp_path))
    assert {c.name for c in result.schema.columns if c.name.startswith("drug")} == {"drug: aspirin", "drug: heparin"}
    assert column(result, "drug: aspirin")[:3].tolist() == [1, 1, 0]
    assert column(result, "drug: heparin")[:3].tolist() == [1, 0, 1]
    assert np.expm1(column(result, "log(1 + drugs prescribed)"))[:4] == pytest.approx([2, 1, 1, 0], abs=1e-5)


def test_no_feature_of_the_demo_is_a_vasopressor() -> None:
    names = " ".join(column.name for column in prepared(demo()).schema.columns)
    assert "drug: " in names
    assert not any(name in names for name in VASOPRESSOR_NAMES)


def test_items_are_named_once() -> None:
    for variables in (LABORATORY, VITAL_SIGNS):
        items = [item for variable in variables for item in variable.items + variable.fahrenheit]
        assert len(items) == len(set(items))


@pytest.mark.parametrize(
    ("code", "group"),
    [("0010", "infectious"), ("13901", "infectious"), ("1400", "neoplasms"), ("4280", "circulatory"),
     ("99591", "injury and poisoning"), ("V5861", "health status"), ("E8889", "external causes"), ("42", None),
     ("000", None)],
)  # fmt: skip
def test_groups_of_diagnoses(code: str, group: str | None) -> None:
    assert diagnosis_group(code) == group


@pytest.mark.parametrize(
    ("code", "group"),
    [("0066", "other operations"), ("0124", "nervous system"), ("3605", "cardiovascular"), ("66", None), ("abc", None),
     ("1755", "other operations"), ("966", "diagnostic and therapeutic"), ("9671", "diagnostic and therapeutic")],
)  # fmt: skip
def test_groups_of_procedures(code: str, group: str | None) -> None:
    assert procedure_group(code) == group


def test_every_code_of_the_demo_has_a_group() -> None:
    tables = read(demo())
    diagnoses = {diagnosis_group(row["ICD9_CODE"]) for row in tables["D_ICD_DIAGNOSES"]}
    assert diagnoses == set(DIAGNOSIS_GROUPS)
    assert {procedure_group(row["ICD9_CODE"]) for row in tables["D_ICD_PROCEDURES"]} - {None} == set(PROCEDURE_GROUPS)


@pytest.mark.parametrize(
    ("text", "group"),
    [("WHITE - RUSSIAN", "white"), ("BLACK/AFRICAN AMERICAN", "black"), ("HISPANIC/LATINO - PUERTO RICAN", "hispanic"),
     ("ASIAN - CHINESE", "asian"), ("AMERICAN INDIAN/ALASKA NATIVE FEDERALLY RECOGNIZED TRIBE", "native"),
     ("PORTUGUESE", "other"), ("PATIENT DECLINED TO ANSWER", "unknown"), (None, "unknown")],
)  # fmt: skip
def test_groups_of_ethnicities(text: str | None, group: str) -> None:
    assert ethnicity_group(text) == group
    assert group in ETHNICITIES


def test_categories_are_those_of_training() -> None:
    training = np.array([True] * 5 + [False] * 2)
    feature = Categories("colour", ["red", "red", "blue", "blue", "green", "green", None])
    (column,), encoded = encode([feature], training)
    assert column.categories == ("blue", "red", "missing", "other")  # one green is not enough
    assert encoded.argmax(axis=1).tolist() == [1, 1, 0, 0, 3, 3, 2]
    assert (encoded.sum(axis=1) == 1).all()


def test_numbers_are_standardised_by_training() -> None:
    training = np.array([True, True, True, False])
    columns, encoded = encode(
        [Numbers("x", np.array([1.0, 3.0, np.nan, 5.0])), Numbers("constant", np.ones(4)), Flags("f", training)],
        training,
    )
    assert (columns[0].mean, columns[0].std) == (2, 1)
    assert encoded[:, 0].tolist() == [-1, 1, 0, 3]
    assert encoded[:, 1].tolist() == [0, 0, 0, 0]
    assert encoded[:, 2].tolist() == [1, 1, 1, 0]
    assert [(column.start, column.stop) for column in columns] == [(0, 1), (1, 2), (2, 3)]


def test_a_change_in_a_test_row_changes_no_column(tmp_path: Path) -> None:
    tables = made()
    stays = first_stays(tables)
    before = prepared(write(tables, tmp_path / "before"))
    for row in tables["ADMISSIONS"]:
        if row["HADM_ID"] == stays[-1]["HADM_ID"]:
            row |= {"RELIGION": "NEW", "INSURANCE": "NEW", "DIAGNOSIS": "NEW"}
    measure(tables, stays[-1], "LABEVENTS", "50912", 1, 9)
    after = prepared(write(tables, tmp_path / "after"))
    assert after.schema == before.schema
    assert np.array_equal(inputs(after)[:-1], inputs(before)[:-1])
    assert (inputs(after)[-1] != inputs(before)[-1]).any()


def test_the_sensitive_attributes_have_columns() -> None:
    schema = prepared(demo()).schema
    assert list(schema.attributes) == ["gender", "ethnicity", "insurance"]
    for name, categories in schema.attributes.items():
        found = schema.column_of(name)
        assert found is not None
        assert found.categories == categories


def test_a_history_of_one_sex_follows_gender(tmp_path: Path) -> None:
    built_in("gender")
    tables = made()
    earlier = {row["HADM_ID"] for row in tables["ADMISSIONS"]} - {stay["HADM_ID"] for stay in first_stays(tables)[-9:]}
    for hadm in earlier:
        add(tables, "DIAGNOSES_ICD", SUBJECT_ID=hadm[:3], HADM_ID=hadm, ICD9_CODE="650")
        add(tables, "PROCEDURES_ICD", SUBJECT_ID=hadm[:3], HADM_ID=hadm, ICD9_CODE="6011")
    result = prepared(write(tables, tmp_path))
    places = {column.name: column.stop - 1 for column in result.schema.columns}  # of "yes", and of M
    rows = torch.from_numpy(inputs(result))
    pregnant, prostate = places["earlier diagnosis: pregnancy"], places["earlier procedure: male genital organs"]
    assert rows[:, [pregnant, prostate]].sum(0).min() > 0
    for code in (0, 1):
        changed = registry().actions["gender"].apply(rows, torch.full((len(rows), 1), code), result.schema)
        assert (changed[:, places["gender"]] == code).all()
        assert torch.equal(changed[:, pregnant], rows[:, pregnant] * (1 - code))
        assert torch.equal(changed[:, prostate], rows[:, prostate] * code)


def test_the_data_set_keeps_the_contract(tmp_path: Path) -> None:
    testing.check_dataset(registry().dataset("mimic3"), write(made(), tmp_path))
