"""What is known of each stay at its prediction time, from the tables of events.

Every function reads one table as a stream, keeps what happened before the prediction time, and gives a frame whose
column ``stay`` says whom it concerns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contextssl_mimic3.codes import CodeCheck
from contextssl_mimic3.items import LABORATORY, VASOPRESSOR_NAMES, VITAL_SIGNS, Variable
from contextssl_mimic3.source import Source
from contextssl_mimic3.stays import Stays

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Summary:
    """Measurements of the first 24 hours, each (stays, variables), NaN where nothing was measured."""

    low: NDArray[np.float64]
    mean: NDArray[np.float64]
    high: NDArray[np.float64]


def drugs(source: Source, stays: Stays) -> pl.DataFrame:
    """``stay`` and ``drug``, once each: prescriptions of the admission that began before the prediction time.

    STARTDATE is a day without an hour, so a prescription counts from the end of its day. Vasopressors are left out:
    they are part of the task *treatment*.
    """
    import polars as pl

    keys = stays.keys("hadm_id", "end")
    whole_day = pl.col("startdate").dt.truncate("1d") + pl.duration(days=1)
    name = pl.col("drug").str.to_lowercase().str.replace_all(r"\s+", " ")
    parts = [keys.select("stay", drug=pl.lit("")).clear()]
    for frame in source.read("PRESCRIPTIONS"):
        begun = frame.drop_nulls(["startdate", "drug"]).join(keys, on="hadm_id").filter(whole_day <= pl.col("end"))
        parts.append(begun.select("stay", drug=name).unique())
    found = pl.concat(parts).unique()
    return found.filter(~pl.col("drug").str.contains_any(list(VASOPRESSOR_NAMES)))


def earlier_admissions(stays: Stays) -> pl.DataFrame:
    """``stay`` and ``hadm_id`` of the same patient's admissions that had ended when the stay began."""
    import polars as pl

    pairs = stays.keys("subject_id", "intime").join(stays.admissions, on="subject_id")
    return pairs.filter(pl.col("dischtime") <= pl.col("intime")).select("stay", "hadm_id")


def history(source: Source, stays: Stays, table: str, group_of: Callable[[str], str | None]) -> pl.DataFrame:
    """``stay`` and ``group``, once each: the codes of earlier admissions, as ``group_of`` groups them.

    The codes of the stay's own admission are assigned after discharge, so they are not known at the prediction time.
    """
    import polars as pl

    earlier = earlier_admissions(stays)
    parts = [earlier.select("stay", code=pl.lit("")).clear()]
    check = CodeCheck(table)
    for frame in source.read(table):
        coded = check.well_formed(frame).join(earlier, on="hadm_id")
        parts.append(coded.select("stay", code="icd9_code").unique())
    source.codes |= {table: check.note()}
    found = pl.concat(parts)
    codes = found["code"].unique().to_list()
    groups = pl.DataFrame(
        {"code": codes, "group": [group_of(code) for code in codes]}, {"code": pl.String, "group": pl.String}
    )
    return found.join(groups, on="code").drop_nulls("group").select("stay", "group").unique()


def laboratory(source: Source, stays: Stays) -> Summary:
    """Laboratory values whose sample was taken in the first 24 hours of the stay."""
    import polars as pl

    # By patient and time: HADM_ID is missing where a sample was taken outside the wards.
    chosen = _Measurements(LABORATORY, stays, "subject_id")
    return _summary(
        pl.concat([chosen.empty(), *(chosen.of(frame) for frame in source.read("LABEVENTS"))]),
        len(stays),
        len(LABORATORY),
    )


class VitalSigns:
    """Collects vital signs of the first 24 hours while somebody reads CHARTEVENTS, the largest table, once for all."""

    def __init__(self, stays: Stays) -> None:
        import polars as pl

        self._stays = stays
        # Rows marked as an error of entry do not count.
        self._valid = pl.col("error").fill_null(0) != 1
        self._chosen = _Measurements(VITAL_SIGNS, stays, "icustay_id")
        self._parts = [self._chosen.empty()]

    def add(self, frame: pl.DataFrame) -> None:
        """Take what belongs here from a frame of CHARTEVENTS."""
        self._parts.append(self._chosen.of(frame.filter(self._valid)))

    def summary(self) -> Summary:
        """Of all that was added."""
        import polars as pl

        return _summary(pl.concat(self._parts), len(self._stays), len(VITAL_SIGNS))


class _Measurements:
    """Picks the values of some variables in the first 24 hours of the stays."""

    def __init__(self, variables: Sequence[Variable], stays: Stays, key: str) -> None:
        self._items = _items(variables)
        self._keys = stays.keys(key, "intime", "end")
        self._key = key

    def empty(self) -> pl.DataFrame:
        """What ``of`` gives where there is nothing."""
        import polars as pl

        return pl.DataFrame(schema={"stay": pl.UInt32, "variable": pl.UInt8, "value": pl.Float64})

    def of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """``stay``, ``variable`` and ``value``."""
        import polars as pl

        value, time = pl.col("valuenum"), pl.col("charttime")
        plausible = frame.join(self._items, on="itemid").filter(value > pl.col("low"), value < pl.col("high"))
        found = plausible.join(self._keys, on=self._key).filter(time >= pl.col("intime"), time < pl.col("end"))
        celsius = pl.when(pl.col("fahrenheit")).then((value - 32) / 1.8).otherwise(value)
        return found.select("stay", "variable", value=celsius)


def _items(variables: Sequence[Variable]) -> pl.DataFrame:
    import polars as pl

    rows = [(item, number, v.low, v.high, False) for number, v in enumerate(variables) for item in v.items]
    rows += [(item, number, 70.0, 120.0, True) for number, v in enumerate(variables) for item in v.fahrenheit]
    schema = {"itemid": pl.Int64, "variable": pl.UInt8, "low": pl.Float64, "high": pl.Float64, "fahrenheit": pl.Boolean}
    return pl.DataFrame(rows, schema, orient="row")


def _summary(values: pl.DataFrame, stays: int, variables: int) -> Summary:
    """Minimum, mean and maximum of each cell. Sorted first, so that the order of the records changes no bit."""
    values = values.sort("stay", "variable", "value")
    cells = values["stay"].to_numpy().astype(np.int64) * variables + values["variable"].to_numpy()
    numbers = values["value"].to_numpy()
    found, starts, counts = np.unique(cells, return_index=True, return_counts=True)
    summary = Summary(*(np.full((stays, variables), np.nan) for _ in range(3)))
    if len(found):
        summary.low.flat[found] = numbers[starts]
        summary.mean.flat[found] = np.add.reduceat(numbers, starts) / counts
        summary.high.flat[found] = numbers[starts + counts - 1]
    return summary
