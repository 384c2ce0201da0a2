"""Small made-up tables of MIMIC-III, all eleven that are read, for tests to change and to write in any form."""

from __future__ import annotations

import copy
import csv
import functools
import gzip
import io
import random
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from contextssl_cli.plugin import Prepared
from contextssl_mimic3.mimic3 import Mimic3, Mimic3Options
from contextssl_mimic3.stays import is_test
from tests.places import real_data

Row = dict[str, str]
Tables = dict[str, list[Row]]


def demo() -> Path:
    """The folder of the open demo; skips the test where it is not there."""
    return real_data("mimic3-demo")


def clock(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S")


def birthday(born: datetime, years: int) -> datetime:
    """The day on which somebody becomes so old; of the 29th of February, the first of March."""
    try:
        return born.replace(year=born.year + years)
    except ValueError:
        return born.replace(year=born.year + years, month=3, day=1)


def first_stays(tables: Tables) -> list[Row]:
    """The first stay of each admission of somebody of 18 or older, in the order of the store: training, then test."""
    born = {row["SUBJECT_ID"]: moment(row["DOB"]) for row in tables["PATIENTS"]}
    adult = {
        row["HADM_ID"]
        for row in tables["ADMISSIONS"]
        if birthday(born[row["SUBJECT_ID"]], 18) <= moment(row["ADMITTIME"])
    }
    stays: dict[str, Row] = {}
    for row in sorted(tables["ICUSTAYS"], key=lambda row: moment(row["INTIME"]), reverse=True):
        if row["HADM_ID"] in adult:
            stays[row["HADM_ID"]] = row
    ids = {hadm: (int(row["SUBJECT_ID"]), int(hadm)) for hadm, row in stays.items()}
    return [stays[hadm] for hadm in sorted(stays, key=lambda hadm: (is_test(ids[hadm][0]), *ids[hadm]))]


def made(patients: int = 24) -> Tables:
    """Tables of some patients: every second one recorded by CareVue, some with several admissions and stays."""
    return copy.deepcopy(_made(patients))


@functools.cache
def _made(patients: int) -> Tables:
    chance = random.Random(0)  # noqa: S311 - no secret
    tables: Tables = {name: [] for name in _EVENTS} | {"PATIENTS": [], "ADMISSIONS": [], "ICUSTAYS": []}
    for number in range(patients):
        born = datetime(2050, 1, 1) + timedelta(days=chance.randrange(15_000))
        subject = str(100 + number)
        add(tables, "PATIENTS", SUBJECT_ID=subject, GENDER="FM"[number % 3 == 0], DOB=clock(born))
        start = datetime(2130, 3, 1, 5) + timedelta(hours=chance.randrange(9000))
        for admission in range(1 + number % 3):
            _admit(
                tables, chance, subject, f"{subject}{admission}", start + timedelta(days=400 * admission), number % 2
            )
    return tables


def _admit(tables: Tables, chance: random.Random, subject: str, hadm: str, start: datetime, system: int) -> None:
    dead = chance.random() < 0.3
    days = chance.choice([0.5, 2, 2.5, 4, 7])
    end = start + timedelta(days=days + 3)
    add(
        tables,
        "ADMISSIONS",
        SUBJECT_ID=subject,
        HADM_ID=hadm,
        ADMITTIME=clock(start - timedelta(hours=chance.randrange(40))),
        DISCHTIME=clock(end),
        DEATHTIME=clock(end) if dead else "",
        ADMISSION_TYPE=chance.choice(["EMERGENCY", "ELECTIVE"]),
        ADMISSION_LOCATION="EMERGENCY ROOM ADMIT",
        DISCHARGE_LOCATION="DEAD/EXPIRED" if dead else "HOME",
        INSURANCE=chance.choice(["Medicare", "Private", "Self Pay"]),
        LANGUAGE=chance.choice(["ENGL", ""]),
        RELIGION="CATHOLIC",
        MARITAL_STATUS=chance.choice(["MARRIED", "SINGLE", ""]),
        ETHNICITY=chance.choice(["WHITE", "WHITE - RUSSIAN", "BLACK/HAITIAN", "UNABLE TO OBTAIN"]),
        DIAGNOSIS=chance.choice(["SEPSIS", 'FALL, "MECHANICAL"', "PNEUMONIA\nAND MORE"]),
        HOSPITAL_EXPIRE_FLAG=str(int(dead)),
        HAS_CHARTEVENTS_DATA="1",
    )
    for code in chance.sample(["99591", "4280", "V5861", "E8889", "25000"], 2):
        add(tables, "DIAGNOSES_ICD", SUBJECT_ID=subject, HADM_ID=hadm, SEQ_NUM="1", ICD9_CODE=code)
    add(
        tables,
        "PROCEDURES_ICD",
        SUBJECT_ID=subject,
        HADM_ID=hadm,
        SEQ_NUM="1",
        ICD9_CODE=chance.choice(["3605", "966"]),
    )
    stay = f"{hadm}5"
    system_name = ("metavision", "carevue")[system]
    for later in range(1 + (days > 5)):
        intime = start + timedelta(days=later * 7.5)
        add(
            tables,
            "ICUSTAYS",
            SUBJECT_ID=subject,
            HADM_ID=hadm,
            ICUSTAY_ID=str(int(stay) + later),
            DBSOURCE=system_name,
            FIRST_CAREUNIT=chance.choice(["MICU", "CCU"]),
            LAST_CAREUNIT="SICU",
            INTIME=clock(intime),
            OUTTIME=clock(intime + timedelta(days=days)),
            LOS=str(days),
        )
    for name in chance.sample(["Insulin", "Heparin", "Furosemide", "Norepinephrine"], 3):
        day = clock(start.replace(hour=0) + timedelta(days=chance.randrange(-1, 3)))
        add(tables, "PRESCRIPTIONS", SUBJECT_ID=subject, HADM_ID=hadm, STARTDATE=day, DRUG=name)
    stay_ids = {"SUBJECT_ID": subject, "HADM_ID": hadm, "ICUSTAY_ID": stay}
    for hour in range(1, 60, 7):
        at = clock(start + timedelta(hours=hour))
        value = f"{chance.uniform(1, 5):.1f}"
        add(
            tables,
            "LABEVENTS",
            SUBJECT_ID=subject,
            HADM_ID="",
            ITEMID="50912",
            CHARTTIME=at,
            VALUE=value,
            VALUENUM=value,
        )
        rate = str(chance.randrange(50, 120))
        item = ("220045", "211")[system]
        add(tables, "CHARTEVENTS", **stay_ids, ITEMID=item, CHARTTIME=at, VALUE=rate, VALUENUM=rate, ERROR="")
    treated = chance.random() < 0.5
    first, last = start + timedelta(hours=30), start + timedelta(hours=40)
    spell = {"STARTTIME": clock(first), "ENDTIME": clock(last), "STATUSDESCRIPTION": "FinishedRunning"}
    if system:
        rate = "2.5" if treated else "0"
        add(tables, "INPUTEVENTS_CV", **stay_ids, CHARTTIME=clock(first), ITEMID="30047", AMOUNT="", RATE=rate)
    else:
        item = "221906" if treated else "225158"
        add(tables, "INPUTEVENTS_MV", **stay_ids, ITEMID=item, **spell)
        add(tables, "PROCEDUREEVENTS_MV", **stay_ids, ITEMID="224263", **spell)


_EVENTS = (
    "DIAGNOSES_ICD", "PROCEDURES_ICD", "PRESCRIPTIONS", "LABEVENTS", "CHARTEVENTS", "INPUTEVENTS_MV", "INPUTEVENTS_CV",
    "PROCEDUREEVENTS_MV",
)  # fmt: skip


def add(tables: Tables, name: str, **cells: str) -> Row:
    """Append a record; the cells that are not given are empty."""
    rows = tables[name]
    empty = dict.fromkeys(rows[0], "") if rows else {}
    rows.append(empty | {"ROW_ID": str(max((int(row["ROW_ID"]) for row in rows[-1:]), default=0) + 1)} | cells)
    return rows[-1]


def write(tables: Tables, folder: Path, *, capitals: bool = True, compress: bool = False, quote: bool = False) -> Path:
    """Write the tables as the full database (capitals, gzip, quoted) or the demo (small letters, plain) has them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        write_rows(rows, folder / f"{name}.csv{'.gz' if compress else ''}", capitals=capitals, quote=quote)
    return folder


def write_rows(rows: list[Row], path: Path, *, capitals: bool = True, quote: bool = False) -> None:
    text = io.StringIO()
    names = list(rows[0])
    writer = csv.writer(text, quoting=csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL, lineterminator="\n")
    writer.writerow(name if capitals else name.lower() for name in names)
    writer.writerows([row[name] for name in names] for row in rows)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def read(folder: Path) -> Tables:
    """Plain tables of a folder, their columns in capitals."""
    tables: Tables = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            tables[path.stem.upper()] = [{k.upper(): v for k, v in row.items()} for row in csv.DictReader(stream)]
    return tables


def prepared(folder: Path) -> Prepared:
    return Mimic3().prepare(folder, Mimic3Options())


def inputs(result: Prepared) -> np.ndarray:
    """The inputs of both splits, one below the other."""
    return np.concatenate([samples.inputs for samples in result.samples])


def labels(result: Prepared, task: str) -> np.ndarray:
    """The labels of both splits, one below the other."""
    return np.concatenate([samples.labels[task] for samples in result.samples])


def column(result: Prepared, name: str) -> np.ndarray:
    """The values of a column of numbers in both splits, not standardised."""
    found = next(column for column in result.schema.columns if column.name == name)
    return inputs(result)[:, found.start] * found.std + found.mean
