"""The tables of MIMIC-III v1.4 that are read, and the columns that are taken from each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "integer", "flag", "number", "text", "time", "day"]
"""What a column holds; only an ``id`` may not be missing. A ``day`` is a time whose hour is always 0."""


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: as published, in capitals.
        columns: those that are read, in capitals, with what they hold.
        needed: whether there is no data set without it.
        lost: what is lost without it.
    """

    name: str
    columns: Mapping[str, Kind]
    needed: bool = False
    lost: str = ""


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("PATIENTS", {"ROW_ID": "id", "SUBJECT_ID": "id", "GENDER": "text", "DOB": "day"}, needed=True),
        Table(
            "ADMISSIONS",
            {
                "ROW_ID": "id",
                "SUBJECT_ID": "id",
                "HADM_ID": "id",
                "ADMITTIME": "time",
                "DISCHTIME": "time",
                "DEATHTIME": "time",
                "ADMISSION_TYPE": "text",
                "ADMISSION_LOCATION": "text",
                "INSURANCE": "text",
                "LANGUAGE": "text",
                "RELIGION": "text",
                "MARITAL_STATUS": "text",
                "ETHNICITY": "text",
                "DIAGNOSIS": "text",
                "HOSPITAL_EXPIRE_FLAG": "flag",
                "HAS_CHARTEVENTS_DATA": "flag",
            },
            needed=True,
        ),
        Table(
            "ICUSTAYS",
            {
                "ROW_ID": "id",
                "SUBJECT_ID": "id",
                "HADM_ID": "id",
                "ICUSTAY_ID": "id",
                "DBSOURCE": "text",
                "FIRST_CAREUNIT": "text",
                "INTIME": "time",
                "OUTTIME": "time",
            },
            needed=True,
        ),
        Table("DIAGNOSES_ICD", {"ROW_ID": "id", "HADM_ID": "id", "ICD9_CODE": "text"}, needed=True),
        Table("PROCEDURES_ICD", {"ROW_ID": "id", "HADM_ID": "id", "ICD9_CODE": "text"}, needed=True),
        Table("PRESCRIPTIONS", {"ROW_ID": "id", "HADM_ID": "id", "STARTDATE": "day", "DRUG": "text"}, needed=True),
        Table(
            "LABEVENTS",
            {"ROW_ID": "id", "SUBJECT_ID": "id", "ITEMID": "id", "CHARTTIME": "time", "VALUENUM": "number"},
            lost="laboratory value",
        ),
        Table(
            "CHARTEVENTS",
            {
                "ROW_ID": "id",
                "ICUSTAY_ID": "integer",
                "ITEMID": "id",
                "CHARTTIME": "time",
                "VALUE": "text",
                "VALUENUM": "number",
                "ERROR": "integer",
            },
            lost="vital sign, and no label of treatment for CareVue stays",
        ),
        Table(
            "INPUTEVENTS_MV",
            {
                "ROW_ID": "id",
                "ICUSTAY_ID": "integer",
                "STARTTIME": "time",
                "ENDTIME": "time",
                "ITEMID": "id",
                "STATUSDESCRIPTION": "text",
            },
            lost="label of treatment for MetaVision stays",
        ),
        Table(
            "PROCEDUREEVENTS_MV",
            {
                "ROW_ID": "id",
                "ICUSTAY_ID": "integer",
                "STARTTIME": "time",
                "ENDTIME": "time",
                "ITEMID": "id",
                "STATUSDESCRIPTION": "text",
            },
            lost="label of treatment for MetaVision stays",
        ),
        Table(
            "INPUTEVENTS_CV",
            {
                "ROW_ID": "id",
                "ICUSTAY_ID": "integer",
                "CHARTTIME": "time",
                "ITEMID": "id",
                "AMOUNT": "number",
                "RATE": "number",
            },
            lost="label of treatment for CareVue stays",
        ),
    )
}

PUBLISHED_ROWS: dict[int, dict[str, int]] = {
    46_520: {
        "ADMISSIONS": 58_976,
        "ICUSTAYS": 61_532,
        "DIAGNOSES_ICD": 651_047,
        "PROCEDURES_ICD": 240_095,
        "PRESCRIPTIONS": 4_156_450,
        "LABEVENTS": 27_854_055,
        "CHARTEVENTS": 330_712_483,
        "INPUTEVENTS_MV": 3_618_991,
        "PROCEDUREEVENTS_MV": 258_066,
        "INPUTEVENTS_CV": 17_527_935,
    },
    100: {
        "ADMISSIONS": 129,
        "ICUSTAYS": 136,
        "DIAGNOSES_ICD": 1_761,
        "PROCEDURES_ICD": 506,
        "PRESCRIPTIONS": 10_398,
        "INPUTEVENTS_MV": 13_224,
        "PROCEDUREEVENTS_MV": 753,
    },
}
"""Rows by number of patients: of the database v1.4, and of the demo v1.4. A table that is cut at the end of a line is
found by nothing else; since a user may have left rows out on purpose, it is reported and not refused."""

SPREADSHEET_ROWS = (65_535, 1_048_575)
"""Records that a spreadsheet holds below the header, in older formats and today; what is beyond them it leaves out."""
