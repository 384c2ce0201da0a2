"""The tasks: length of stay, treatment, and death in hospital. Each is decided by what follows the prediction time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contextssl_mimic3.events import VitalSigns
from contextssl_mimic3.items import (
    OTHER_MODE_CV,
    OXYGEN_DEVICE_CV,
    RATE_IN_AMOUNT_CV,
    VASOPRESSORS_CV,
    VASOPRESSORS_MV,
    VENTILATION_MV,
    VENTILATOR_DEVICE_CV,
    VENTILATOR_MODE_CV,
    VENTILATOR_SETTINGS_CV,
)
from contextssl_mimic3.source import Source
from contextssl_mimic3.stays import Stays

if TYPE_CHECKING:
    import polars as pl

LONG_STAY_DAYS = 3
TASKS: dict[str, tuple[str, str]] = {
    "los3": (f"stay of at most {LONG_STAY_DAYS} days", f"stay of more than {LONG_STAY_DAYS} days"),
    "treatment": ("no ventilation, no vasopressor", "ventilation or vasopressor"),
    "mortality": ("left hospital alive", "died in hospital"),
}
NEEDED = {
    "metavision": ("INPUTEVENTS_MV", "PROCEDUREEVENTS_MV"),
    "carevue": ("INPUTEVENTS_CV", "CHARTEVENTS"),
}
"""The tables that say whether a stay was treated, by the system that recorded it (DBSOURCE); a stay of another or both
needs all of them."""
UNKNOWN = -1

Labels = dict[str, NDArray[np.int64]]
Reasons = dict[str, dict[str, int]]


def treated_stays(source: Source, stays: Stays, vital_signs: VitalSigns) -> NDArray[np.bool_]:
    """Which stays (N,) show ventilation or a vasopressor after the prediction time, as far as the tables tell.

    CHARTEVENTS is read here, once, and also handed to ``vital_signs``.
    """
    treated = np.zeros(len(stays), bool)
    parts = (_metavision(source, stays), _infused_carevue(source, stays), _charted(source, stays, vital_signs))
    for found in chain.from_iterable(parts):
        treated[found["stay"].to_numpy()] = True
    return treated


def label(source: Source, stays: Stays, treated: NDArray[np.bool_]) -> tuple[Labels, Reasons]:
    """The labels (N,) by task, -1 where a stay is left out of it; and numbers of those by task and reason."""
    import polars as pl

    over = pl.min_horizontal("outtime", "deathtime") <= pl.col("end")
    ended = "the stay ended before the prediction time"
    unknown: dict[str, dict[str, pl.Expr]] = {
        "los3": {ended: over, "no OUTTIME": pl.col("outtime").is_null()},
        "treatment": {
            ended: over,
            "not charted at all (HAS_CHARTEVENTS_DATA)": pl.col("has_chartevents_data").fill_null(1) == 0,
            **_lacking(source),
        },
        "mortality": {ended: over, "no HOSPITAL_EXPIRE_FLAG": pl.col("hospital_expire_flag").is_null()},
    }
    positive = {
        "los3": pl.col("outtime") - pl.col("intime") > pl.duration(days=LONG_STAY_DAYS),
        "treatment": pl.lit(pl.Series(treated)),
        "mortality": pl.col("hospital_expire_flag") == 1,
    }
    labels: Labels = {}
    reasons: Reasons = {}
    for task, expression in positive.items():
        values = stays.rows.select(expression.fill_null(False)).to_series().to_numpy().astype(np.int64)
        reasons[task] = {}
        for reason, condition in unknown[task].items():
            without = stays.rows.select(condition.fill_null(False)).to_series().to_numpy() & (values != UNKNOWN)
            values = np.where(without, UNKNOWN, values)
            if without.any():
                reasons[task][reason] = int(without.sum())
        labels[task] = values
    return labels, reasons


def _lacking(source: Source) -> dict[str, pl.Expr]:
    """For each recording system whose tables are not all there: a reason, and which stays it concerns."""
    import polars as pl

    system = pl.col("dbsource").str.to_lowercase().fill_null("")
    found = {}
    for name, tables in NEEDED.items():
        missing = [table for table in tables if table not in source]
        if missing:
            others = [other for other in NEEDED if other != name]
            found[f"recorded by {name}, no {' and '.join(missing)}"] = ~system.is_in(others)
    return found


def _metavision(source: Source, stays: Stays) -> Iterator[pl.DataFrame]:
    """Orders that were carried out beyond the prediction time; rewritten ones were not carried out."""
    import polars as pl

    keys = stays.keys("icustay_id", "end")
    valid = pl.col("statusdescription").fill_null("") != "Rewritten"
    later = (pl.col("endtime") > pl.col("end")) & (pl.col("starttime") <= pl.col("endtime"))
    for table, items in (("INPUTEVENTS_MV", VASOPRESSORS_MV), ("PROCEDUREEVENTS_MV", VENTILATION_MV)):
        for frame in source.read(table):
            yield frame.filter(pl.col("itemid").is_in(items), valid).join(keys, on="icustay_id").filter(later)


def _infused_carevue(source: Source, stays: Stays) -> Iterator[pl.DataFrame]:
    """Vasopressors that were running at a time after the prediction time."""
    import polars as pl

    keys = stays.keys("icustay_id", "end")
    item = pl.col("itemid")
    running = (item.is_in(VASOPRESSORS_CV) & (pl.col("rate") > 0)) | (
        item.is_in(RATE_IN_AMOUNT_CV) & (pl.col("amount") > 0)
    )
    for frame in source.read("INPUTEVENTS_CV"):
        yield frame.filter(running).join(keys, on="icustay_id").filter(pl.col("charttime") > pl.col("end"))


def _charted(source: Source, stays: Stays, vital_signs: VitalSigns) -> Iterator[pl.DataFrame]:
    """Settings of a ventilator, recorded after the prediction time."""
    import polars as pl

    keys = stays.keys("icustay_id", "end")
    item, value = pl.col("itemid"), pl.col("value")
    setting = (
        item.is_in(VENTILATOR_SETTINGS_CV)
        | ((item == VENTILATOR_MODE_CV) & (value != OTHER_MODE_CV))
        | ((item == OXYGEN_DEVICE_CV) & (value == VENTILATOR_DEVICE_CV))
    )
    valid = value.is_not_null() & (pl.col("error").fill_null(0) != 1)
    for frame in source.read("CHARTEVENTS"):
        vital_signs.add(frame)
        yield frame.filter(setting, valid).join(keys, on="icustay_id").filter(pl.col("charttime") > pl.col("end"))
