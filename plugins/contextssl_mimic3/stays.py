"""The rows of the data set: the first intensive-care stay of each adult's admission."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contextssl_cli.errors import CorruptFileError
from contextssl_mimic3.source import Source

if TYPE_CHECKING:
    import polars as pl

WINDOW_HOURS = 24
"""The prediction time is so long after the stay's INTIME; nothing later reaches a feature."""
ADULT = 18
OLDEST = 90
"""Ages above 89 are hidden: MIMIC moves the date of birth by 300 years. They all become this."""
TEST_SHARE = 0.2
_NAMED = 5


@dataclass
class Stays:
    """The chosen stays, and what was left out of them.

    Attributes:
        rows: one row per stay, sorted by patient and admission: ``stay`` (its number), ``test`` (its split), ``end``
            (the prediction time), ``age``, and the columns of the three tables.
        admissions: all admissions whose dates are in order, for the patients' histories.
        left_out: numbers of admissions by reason.
        examples: some of the records whose dates are out of order.
    """

    rows: pl.DataFrame
    admissions: pl.DataFrame
    left_out: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def keys(self, *names: str) -> pl.DataFrame:
        """The numbers of the stays with some of their columns, to be joined with events."""
        return self.rows.select("stay", *names)


def choose_stays(source: Source) -> Stays:
    """Choose the rows.

    Raises:
        CorruptFileError: if an identifier is in a table twice, one table names what another lacks, or a sex is
            not F or M.
    """
    import polars as pl

    patients, admissions, icustays = (source.whole(name) for name in ("PATIENTS", "ADMISSIONS", "ICUSTAYS"))
    _check_ids(source, patients, admissions, icustays)
    wrong_sex = patients.filter(~pl.col("gender").is_in(["F", "M"]).fill_null(False))["gender"]
    if len(wrong_sex):
        raise CorruptFileError(f"{source.files['PATIENTS']}: the column GENDER holds {wrong_sex[0]!r}, expected F or M")
    first = icustays.sort("intime", "icustay_id", nulls_last=True).unique("hadm_id", keep="first", maintain_order=True)
    joined = (
        admissions.rename({"row_id": "admission_row"})
        .join(first.drop("subject_id").rename({"row_id": "stay_row"}), on="hadm_id", how="inner")
        .join(patients.rename({"row_id": "patient_row"}), on="subject_id", how="inner")
        .sort("subject_id", "hadm_id")
        .with_columns(_age().alias("age"))
    )
    stays = Stays(joined, _in_order(admissions))
    stays.left_out["without an intensive-care stay"] = len(admissions) - len(joined)
    for reason, (condition, row) in _reasons().items():
        _leave_out(stays, reason, condition, row)
    stays.rows = stays.rows.with_columns(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("stay"),
        (pl.col("intime") + pl.duration(hours=WINDOW_HOURS)).alias("end"),
        pl.col("age").clip(upper_bound=OLDEST),
        pl.Series("test", [is_test(patient) for patient in stays.rows["subject_id"]], dtype=pl.Boolean),
    )
    stays.left_out = {reason: count for reason, count in stays.left_out.items() if count}
    return stays


def is_test(subject_id: int) -> bool:
    """Whether a patient belongs to the test split: decided by a hash of the number, so the same in every extract."""
    digest = hashlib.sha256(f"mimic3 {subject_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < TEST_SHARE * 2**64


def _check_ids(source: Source, patients: pl.DataFrame, admissions: pl.DataFrame, icustays: pl.DataFrame) -> None:
    for table, frame, name in (
        ("PATIENTS", patients, "subject_id"),
        ("ADMISSIONS", admissions, "hadm_id"),
        ("ICUSTAYS", icustays, "icustay_id"),
    ):
        double = frame[name].filter(frame[name].is_duplicated())
        if len(double):
            raise CorruptFileError(
                f"{source.files[table]} holds the {name.upper()} {double[0]} twice; each must stand there once"
            )
    for table, frame, names, owner, other in (
        ("ADMISSIONS", admissions, ["subject_id"], "PATIENTS", patients),
        ("ICUSTAYS", icustays, ["hadm_id", "subject_id"], "ADMISSIONS", admissions),
    ):
        lost = frame.join(other, on=names, how="anti")
        if len(lost):
            missing = " of ".join(f"{name.upper()} {lost[name][0]}" for name in names)
            raise CorruptFileError(
                f"{source.files[owner]} lacks {missing}, which {source.files[table].name} names; it may be cut off, "
                "fetch it again"
            )


def _age() -> pl.Expr:
    """Full years at admission, by the calendar."""
    import polars as pl

    birth, admitted = pl.col("dob"), pl.col("admittime")
    day = (
        birth.dt.month().cast(pl.Int32) * 100 + birth.dt.day(),
        admitted.dt.month().cast(pl.Int32) * 100 + admitted.dt.day(),
    )
    return admitted.dt.year() - birth.dt.year() - (day[1] < day[0]).cast(pl.Int32)


def _reasons() -> dict[str, tuple[pl.Expr, str]]:
    """Why an admission is left out: a condition, and the column with the ROW_ID of the record to be named."""
    import polars as pl

    def before(first: str, second: str) -> pl.Expr:
        return pl.col(first) < pl.col(second)

    return {
        "ADMISSIONS without ADMITTIME": (pl.col("admittime").is_null(), "admission_row"),
        "ADMISSIONS with DISCHTIME before ADMITTIME": (before("dischtime", "admittime"), "admission_row"),
        "ADMISSIONS with DEATHTIME before ADMITTIME": (before("deathtime", "admittime"), "admission_row"),
        "PATIENTS without DOB": (pl.col("dob").is_null(), "patient_row"),
        "PATIENTS with DOB after ADMITTIME": (before("admittime", "dob"), "patient_row"),
        "ICUSTAYS without INTIME": (pl.col("intime").is_null(), "stay_row"),
        "ICUSTAYS with OUTTIME before INTIME": (before("outtime", "intime"), "stay_row"),
        "ICUSTAYS with INTIME after DISCHTIME": (before("dischtime", "intime"), "stay_row"),
        f"younger than {ADULT}": (pl.col("age") < ADULT, ""),
    }


def _leave_out(stays: Stays, reason: str, condition: pl.Expr, row: str) -> None:
    mask = stays.rows.select(condition.fill_null(False)).to_series()
    stays.left_out[reason] = int(mask.sum())
    if row and mask.any():
        named = stays.rows.filter(mask)[row].unique().sort()[:_NAMED]
        stays.examples[reason] = f"ROW_ID {', '.join(str(number) for number in named)}"
    stays.rows = stays.rows.filter(~mask)


def _in_order(admissions: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    known = admissions.filter(pl.col("admittime") <= pl.col("dischtime"))
    return known.select("subject_id", "hadm_id", "dischtime")
