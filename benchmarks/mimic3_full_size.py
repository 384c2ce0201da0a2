"""MIMIC-III at full size: time and memory of ``contextssl prepare mimic3`` on made-up tables.

The full database needs credentials, so tables of the same columns and row counts are made first, compressed as
published; the values mean nothing. Then ``prepare`` runs in a process of its own, and a plain decompression of the
same files and polars' own ``scan_csv`` of the largest one, all in one run.

Run: ``python benchmarks/mimic3_full_size.py FOLDER``; the folder takes 1.5 GB, with all rows of CHARTEVENTS about 9 GB.
Prints one JSON object. The targets are 10 minutes and 6 GiB.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

PATIENTS, ADMISSIONS, STAYS, ADMISSIONS_WITH_STAY = 46_520, 58_976, 61_532, 57_786
ROWS = {
    "DIAGNOSES_ICD": 651_047,
    "PROCEDURES_ICD": 240_095,
    "PRESCRIPTIONS": 4_156_450,
    "LABEVENTS": 27_854_055,
    "INPUTEVENTS_MV": 3_618_991,
    "PROCEDUREEVENTS_MV": 258_066,
    "INPUTEVENTS_CV": 17_527_935,
}
"""As published, for MIMIC-III v1.4."""
CHART_ROWS = 330_712_483
CHUNK = 500_000
DAY = np.timedelta64(86_400_000_000, "us")
HOUR = DAY // 24

Columns = dict[str, Any]
Array = NDArray[Any]


def main() -> None:
    """Make the tables, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for the tables; they are kept, and made only if not there")
    parser.add_argument("--chart-rows", type=int, default=0, help=f"rows of CHARTEVENTS; published: {CHART_ROWS:,}")
    parser.add_argument("--share", type=float, default=1.0, help="of the rows of every table of events")
    options = parser.parse_args()
    tables = options.folder / "tables"
    if not tables.exists():
        # In a process of its own: what a process measures of its children begins with its own memory.
        arguments = (tables, options.share, options.chart_rows)
        maker = multiprocessing.get_context("spawn").Process(target=write_tables, args=arguments)
        maker.start()
        maker.join()
        if maker.exitcode:
            raise SystemExit(maker.exitcode)
    files = sorted(tables.iterdir())
    found: dict[str, Any] = {"packed_gb": sum(path.stat().st_size for path in files) / 1e9}
    found["text_gb"], found["decompress_s"], found["decompress_cpu_s"] = decompressed(files)
    store = options.folder / "mimic3.h5"
    command = [str(Path(sys.executable).with_name("contextssl")), "prepare", "mimic3", "--source", str(tables)]
    found |= measured("prepare", [*command, "--out", str(store), "--force"])
    found["prepare_to_decompress"] = found["prepare_s"] / found["decompress_s"]
    found |= measured("scan_csv", [sys.executable, "-c", SCAN, str(tables / "LABEVENTS.csv.gz")])
    found["store_mb"] = store.stat().st_size / 1e6
    print(json.dumps(found, indent=2))


SCAN = """
import sys, polars as pl
lazy = pl.scan_csv(sys.argv[1], infer_schema=False, glob=False).filter(pl.col("ITEMID") == "50912")
print(lazy.select("SUBJECT_ID", "CHARTTIME", "VALUENUM").collect(engine="streaming").height, file=sys.stderr)
"""
"""polars' own way to read LABEVENTS as a stream, for comparison."""


def measured(name: str, command: list[str]) -> dict[str, float]:
    """Seconds, seconds of processor time, and the largest resident memory in GiB, of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with exit code {process.returncode}")
    return {
        f"{name}_s": time.perf_counter() - start,
        f"{name}_cpu_s": usage.ru_utime + usage.ru_stime,
        f"{name}_gib": usage.ru_maxrss / 2**20,
    }


def decompressed(files: list[Path]) -> tuple[float, float, float]:
    """Text in GB, seconds, and seconds of processor time, of a plain decompression of all files."""
    start, processor = time.perf_counter(), time.process_time()
    size = 0
    for path in files:
        with gzip.open(path, "rb") as stream:
            while piece := stream.read(2**24):
                size += len(piece)
    return size / 1e9, time.perf_counter() - start, time.process_time() - processor


@dataclass
class People:
    """Admissions, and what the tables of events need of them."""

    subject: Array
    hadm: Array
    admitted: Array
    """Admission times."""
    length: Array
    """Of the admissions, in seconds."""
    stay: Array
    """Identifier of the first stay of each admission; 0 without one."""
    carevue: Array
    """Whether CareVue recorded it."""


def write_tables(folder: Path, share: float, chart_rows: int) -> None:
    """Write all tables; ``share`` makes those of events shorter."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(0)
    people = write_people(folder, chance)
    made: dict[str, Callable[[np.random.Generator, People, int], Columns]] = {
        "DIAGNOSES_ICD": diagnoses,
        "PROCEDURES_ICD": procedures,
        "PRESCRIPTIONS": prescriptions,
        "LABEVENTS": laboratory,
        "INPUTEVENTS_MV": infusions_mv,
        "PROCEDUREEVENTS_MV": procedures_mv,
        "INPUTEVENTS_CV": infusions_cv,
        "CHARTEVENTS": charts,
    }
    for name, make in made.items():
        rows = int(share * ROWS[name]) if name in ROWS else chart_rows
        if rows:
            sizes = [min(CHUNK, rows - start) for start in range(0, rows, CHUNK)]
            write(folder, name, (make(chance, people, size) for size in sizes))


def write(folder: Path, name: str, chunks: Iterator[Columns]) -> None:
    """Write a table as published: gzip, names in capitals, text in quotation marks."""
    print(f"making {name}", file=sys.stderr)
    start = 1
    partial = folder / f".{name}.partial"
    with gzip.open(partial, "wb", compresslevel=1) as stream:
        for columns in chunks:
            frame = pl.DataFrame(columns)
            rows = np.arange(start, start + len(frame))
            start += len(frame)
            frame = frame.insert_column(0, pl.Series("ROW_ID", rows))
            times = pl.selectors.datetime().dt.strftime("%Y-%m-%d %H:%M:%S")
            text = frame.with_columns(times).write_csv(include_header=rows[0] == 1, quote_style="non_numeric")
            stream.write(text.replace('""', "").encode())
    partial.rename(folder / f"{name}.csv.gz")


def write_people(folder: Path, chance: np.random.Generator) -> People:
    """PATIENTS, ADMISSIONS and ICUSTAYS."""
    subject = np.concatenate([np.arange(PATIENTS), chance.integers(PATIENTS, size=ADMISSIONS - PATIENTS)])
    subject = np.sort(subject)
    number = np.arange(ADMISSIONS) - np.searchsorted(subject, subject)  # of each patient's admissions
    first = np.datetime64("2100-01-01", "us") + chance.integers(36_000, size=PATIENTS) * DAY
    admitted = first[subject] + number * 400 * DAY + chance.integers(86_400, size=ADMISSIONS) * (HOUR // 3600)
    length = (chance.exponential(8, ADMISSIONS) + 0.5) * 86_400
    discharged = admitted + (length * 1e6).astype("timedelta64[us]")
    died = chance.random(ADMISSIONS) < 0.1
    age = np.where(chance.random(PATIENTS) < 0.16, 0, chance.integers(18, 90, PATIENTS))
    age = np.where(chance.random(PATIENTS) < 0.03, 300, age)
    birth = (first - age * 365.25 * 24 * HOUR).astype("datetime64[D]").astype("datetime64[us]")
    write(folder, "PATIENTS", iter([{
        "SUBJECT_ID": np.arange(PATIENTS) + 2, "GENDER": pick(chance, ["F", "M"], PATIENTS), "DOB": birth,
        "DOD": None, "DOD_HOSP": None, "DOD_SSN": None, "EXPIRE_FLAG": 0,
    }]))  # fmt: skip
    hadm = 100_000 + chance.permutation(ADMISSIONS)
    write(folder, "ADMISSIONS", iter([{
        "SUBJECT_ID": subject + 2, "HADM_ID": hadm, "ADMITTIME": admitted, "DISCHTIME": discharged,
        "DEATHTIME": pl.Series(discharged).zip_with(pl.Series(died), pl.Series([None], dtype=pl.Datetime("us"))),
        "ADMISSION_TYPE": pick(chance, ["EMERGENCY", "ELECTIVE", "URGENT", "NEWBORN"], ADMISSIONS),
        "ADMISSION_LOCATION": pick(chance, [f"LOCATION {n}" for n in range(9)], ADMISSIONS),
        "DISCHARGE_LOCATION": pick(chance, ["HOME", "SNF"], ADMISSIONS),
        "INSURANCE": pick(chance, ["Medicare", "Private", "Medicaid", "Government", "Self Pay"], ADMISSIONS),
        "LANGUAGE": pick(chance, [None, *(f"L{n}" for n in range(70))], ADMISSIONS),
        "RELIGION": pick(chance, [None, *(f"R{n}" for n in range(20))], ADMISSIONS),
        "MARITAL_STATUS": pick(chance, [None, *(f"M{n}" for n in range(7))], ADMISSIONS),
        "ETHNICITY": pick(chance, ["WHITE", "BLACK/AFRICAN AMERICAN", "ASIAN", "UNKNOWN/NOT SPECIFIED"], ADMISSIONS),
        "EDREGTIME": None, "EDOUTTIME": None,
        "DIAGNOSIS": pick(chance, [f"DIAGNOSIS, {n}" for n in range(15_000)], ADMISSIONS),
        "HOSPITAL_EXPIRE_FLAG": died.astype(int),
        "HAS_CHARTEVENTS_DATA": (chance.random(ADMISSIONS) < 0.98).astype(int),
    }]))  # fmt: skip
    carevue = (chance.random(PATIENTS) < 0.6)[subject]
    with_stay = np.sort(chance.permutation(ADMISSIONS)[:ADMISSIONS_WITH_STAY])
    rows = np.sort(np.concatenate([with_stay, chance.choice(with_stay, STAYS - ADMISSIONS_WITH_STAY)]))
    second = np.arange(STAYS) - np.searchsorted(rows, rows)
    days = chance.exponential(0.4, STAYS) * length[rows] / 86_400
    entered = admitted[rows] + second * 30 * HOUR
    left = entered + (days * 24 * HOUR.astype(float)).astype("timedelta64[us]")
    ids = 200_000 + np.arange(STAYS)
    write(folder, "ICUSTAYS", iter([{
        "SUBJECT_ID": subject[rows] + 2, "HADM_ID": hadm[rows], "ICUSTAY_ID": ids,
        "DBSOURCE": np.where(carevue[rows], "carevue", "metavision"),
        "FIRST_CAREUNIT": pick(chance, ["MICU", "SICU", "CCU", "CSRU", "TSICU"], STAYS),
        "LAST_CAREUNIT": pick(chance, ["MICU", "SICU", "CCU", "CSRU", "TSICU"], STAYS),
        "FIRST_WARDID": 52, "LAST_WARDID": 52, "INTIME": entered, "OUTTIME": left, "LOS": days.round(4),
    }]))  # fmt: skip
    stay = np.zeros(ADMISSIONS, int)
    stay[rows[second == 0]] = ids[second == 0]
    return People(subject + 2, hadm, admitted, length, stay, carevue)


def pick(chance: np.random.Generator, values: list[Any], size: int) -> pl.Series:
    """Random values, the first ones more often."""
    places = (chance.random(size) ** 2 * len(values)).astype(np.uint32)
    return pl.Series(values).gather(places)


def some(chance: np.random.Generator, people: People, size: int, system: bool | None = None) -> tuple[Array, Columns]:
    """Admissions of events, sorted in runs as the published tables are, and their identifiers."""
    known = np.arange(ADMISSIONS) if system is None else np.flatnonzero((people.carevue == system) & (people.stay > 0))
    rows = np.sort(known[chance.integers(len(known), size=size)])
    return rows, {"SUBJECT_ID": people.subject[rows], "HADM_ID": people.hadm[rows]}


def moments(chance: np.random.Generator, people: People, rows: Array) -> Array:
    """A time within each admission."""
    within = chance.random(len(rows)) * people.length[rows] // 60 * 60e6
    return people.admitted[rows] + within.astype("timedelta64[us]")  # type: ignore[no-any-return]


def diagnoses(chance: np.random.Generator, people: People, size: int) -> Columns:
    """DIAGNOSES_ICD."""
    _, ids = some(chance, people, size)
    return ids | {"SEQ_NUM": chance.integers(1, 20, size), "ICD9_CODE": pick(chance, codes(1000, 9), size)}


def procedures(chance: np.random.Generator, people: People, size: int) -> Columns:
    """PROCEDURES_ICD."""
    _, ids = some(chance, people, size)
    return ids | {"SEQ_NUM": chance.integers(1, 20, size), "ICD9_CODE": pick(chance, codes(100, 9), size)}


def codes(first: int, factor: int) -> list[str]:
    """Made-up ICD codes."""
    return [str(code) for code in range(first, first * (factor + 1))]


def prescriptions(chance: np.random.Generator, people: People, size: int) -> Columns:
    """PRESCRIPTIONS."""
    rows, ids = some(chance, people, size)
    start = moments(chance, people, rows).astype("datetime64[D]").astype("datetime64[us]")
    drug = pick(chance, [f"Drug {n}, {n % 7} mg" for n in range(4_500)], size)
    text = dict.fromkeys(("DRUG", "DRUG_NAME_POE", "DRUG_NAME_GENERIC"), drug)
    return ids | {
        "ICUSTAY_ID": people.stay[rows], "STARTDATE": start, "ENDDATE": start + 2 * DAY, "DRUG_TYPE": "MAIN", **text,
        "FORMULARY_DRUG_CD": "BISA5", "GSN": "002947", "NDC": "00536338101", "PROD_STRENGTH": "5 mg Tab",
        "DOSE_VAL_RX": "10", "DOSE_UNIT_RX": "mg", "FORM_VAL_DISP": "2", "FORM_UNIT_DISP": "TAB", "ROUTE": "PO",
    }  # fmt: skip


LAB_ITEMS = [50912, 50971, 50983, 50902, 50882, 51006, 50931, 51221, 51301, 51222, 51265, 50868, *range(51_400, 51_440)]
CHART_ITEMS_CV = [211, 618, 646, 51, 8368, 52, 678, 720, 505, *range(2_500, 2_560)]
CHART_ITEMS_MV = [220045, 220210, 220277, 220050, 220051, 220052, 223761, *range(224_000, 224_060)]


def laboratory(chance: np.random.Generator, people: People, size: int) -> Columns:
    """LABEVENTS; a fifth of the samples has no HADM_ID, as in the published table."""
    rows, ids = some(chance, people, size)
    value = (chance.random(size) * 200).round(1)
    hadm = pl.Series(ids["HADM_ID"]).zip_with(pl.Series(chance.random(size) < 0.8), pl.Series([None], dtype=pl.Int64))
    return ids | {
        "HADM_ID": hadm, "ITEMID": pick(chance, LAB_ITEMS, size), "CHARTTIME": moments(chance, people, rows),
        "VALUE": pl.Series(value).cast(pl.String), "VALUENUM": value, "VALUEUOM": "mEq/L",
        "FLAG": pick(chance, [None, None, "abnormal"], size),
    }  # fmt: skip


def infusions_mv(chance: np.random.Generator, people: People, size: int) -> Columns:
    """INPUTEVENTS_MV."""
    rows, ids = some(chance, people, size, system=False)
    start = moments(chance, people, rows)
    item = pick(chance, [225158, 220949, 225943, 221906, 222168, *range(225_100, 225_140)], size)
    return ids | {
        "ICUSTAY_ID": people.stay[rows], "STARTTIME": start, "ENDTIME": start + HOUR, "ITEMID": item,
        "AMOUNT": (chance.random(size) * 100).round(2), "AMOUNTUOM": "ml", "RATE": None, "RATEUOM": None,
        "STORETIME": start, "CGID": 16027, "ORDERID": chance.integers(10**7, size=size),
        "LINKORDERID": chance.integers(10**7, size=size), "ORDERCATEGORYNAME": "14-Oral/Gastric Intake",
        "SECONDARYORDERCATEGORYNAME": None, "ORDERCOMPONENTTYPEDESCRIPTION": "Main order parameter",
        "ORDERCATEGORYDESCRIPTION": "Bolus", "PATIENTWEIGHT": 70, "TOTALAMOUNT": 60, "TOTALAMOUNTUOM": "ml",
        "ISOPENBAG": 0, "CONTINUEINNEXTDEPT": 0, "CANCELREASON": 0,
        "STATUSDESCRIPTION": pick(chance, ["FinishedRunning", "Changed", "Rewritten"], size),
        "COMMENTS_EDITEDBY": None, "COMMENTS_CANCELEDBY": None, "COMMENTS_DATE": None, "ORIGINALAMOUNT": 60,
        "ORIGINALRATE": 60,
    }  # fmt: skip


def procedures_mv(chance: np.random.Generator, people: People, size: int) -> Columns:
    """PROCEDUREEVENTS_MV."""
    rows, ids = some(chance, people, size, system=False)
    start = moments(chance, people, rows)
    return ids | {
        "ICUSTAY_ID": people.stay[rows], "STARTTIME": start, "ENDTIME": start + DAY,
        "ITEMID": pick(chance, [224275, 225459, 225792, 225401, 225794, 224263], size), "VALUE": 4520,
        "VALUEUOM": "min", "LOCATION": "Right Femoral.", "LOCATIONCATEGORY": "Invasive Venous", "STORETIME": start,
        "CGID": 16890, "ORDERID": 7151568, "LINKORDERID": 7151568, "ORDERCATEGORYNAME": "Invasive Lines",
        "SECONDARYORDERCATEGORYNAME": None, "ORDERCATEGORYDESCRIPTION": "Task", "ISOPENBAG": 1,
        "CONTINUEINNEXTDEPT": 0, "CANCELREASON": 0, "STATUSDESCRIPTION": "FinishedRunning",
        "COMMENTS_EDITEDBY": None, "COMMENTS_CANCELEDBY": None, "COMMENTS_DATE": None,
    }  # fmt: skip


def infusions_cv(chance: np.random.Generator, people: People, size: int) -> Columns:
    """INPUTEVENTS_CV."""
    rows, ids = some(chance, people, size, system=True)
    at = moments(chance, people, rows)
    return ids | {
        "ICUSTAY_ID": people.stay[rows], "CHARTTIME": at,
        "ITEMID": pick(chance, [30018, 30013, 30056, 30021, 30047, 30128, *range(42_500, 42_540)], size),
        "AMOUNT": (chance.random(size) * 100).round(1), "AMOUNTUOM": "ml", "RATE": (chance.random(size) * 9).round(2),
        "RATEUOM": "mcgkgmin", "STORETIME": at, "CGID": 18428, "ORDERID": 2136344, "LINKORDERID": 2136344,
        "STOPPED": pick(chance, [None, "Stopped"], size), "NEWBOTTLE": None, "ORIGINALAMOUNT": None,
        "ORIGINALAMOUNTUOM": "ml", "ORIGINALROUTE": "Oral", "ORIGINALRATE": None, "ORIGINALRATEUOM": None,
        "ORIGINALSITE": None,
    }  # fmt: skip


def charts(chance: np.random.Generator, people: People, size: int) -> Columns:
    """CHARTEVENTS, CareVue and MetaVision in turn."""
    carevue = bool(chance.random() < 0.6)
    rows, ids = some(chance, people, size, system=carevue)
    at = moments(chance, people, rows)
    value = (chance.random(size) * 150).round(0)
    return ids | {
        "ICUSTAY_ID": people.stay[rows], "ITEMID": pick(chance, CHART_ITEMS_CV if carevue else CHART_ITEMS_MV, size),
        "CHARTTIME": at, "STORETIME": at, "CGID": 17525, "VALUE": pl.Series(value).cast(pl.String), "VALUENUM": value,
        "VALUEUOM": "bpm", "WARNING": 0, "ERROR": 0, "RESULTSTATUS": None, "STOPPED": None,
    }  # fmt: skip


if __name__ == "__main__":
    main()
