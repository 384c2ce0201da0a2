"""The features of each stay, all known at its prediction time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contextssl_mimic3 import events
from contextssl_mimic3.encoding import Categories, Feature, Flags, Numbers, frequent
from contextssl_mimic3.groups import (
    DIAGNOSIS_GROUPS,
    ETHNICITIES,
    OF_ONE_SEX,
    PROCEDURE_GROUPS,
    diagnosis_group,
    ethnicity_group,
    procedure_group,
)
from contextssl_mimic3.items import LABORATORY, VITAL_SIGNS, Variable
from contextssl_mimic3.source import Source
from contextssl_mimic3.stays import Stays

if TYPE_CHECKING:
    import polars as pl

INSURANCES = ("Government", "Medicaid", "Medicare", "Private", "Self Pay", "other")
MOST_DRUGS = 100
_AS_RECORDED = {
    "admission_type": "admission type",
    "admission_location": "admission location",
    "language": "language",
    "religion": "religion",
    "marital_status": "marital status",
    "first_careunit": "first care unit",
    "diagnosis": "admission diagnosis",
}
"""Categories that are taken as they stand; DIAGNOSIS is the free text written at admission."""


def sensitive(stays: Stays) -> list[Categories]:
    """The columns of the sensitive attributes; their categories do not depend on the data."""
    rows = stays.rows
    return [
        Categories("gender", rows["gender"].to_list(), ("F", "M"), "gender"),
        Categories("ethnicity", [ethnicity_group(text) for text in rows["ethnicity"]], ETHNICITIES, "ethnicity"),
        Categories("insurance", rows["insurance"].to_list(), INSURANCES, "insurance"),
    ]


def admission(stays: Stays) -> list[Feature]:
    """Demographics, and what is known when the stay begins."""
    rows = stays.rows
    hours = (rows["intime"] - rows["admittime"]).dt.total_seconds().to_numpy() / 3600
    earlier = np.bincount(events.earlier_admissions(stays)["stay"].to_numpy(), minlength=len(stays))
    return [
        Numbers("age (years, 90 for all above 89)", rows["age"].to_numpy().astype(np.float64)),
        Numbers("log(1 + hours in hospital)", np.log1p(np.maximum(hours, 0))),
        Numbers("log(1 + earlier admissions)", np.log1p(earlier.astype(np.float64))),
        *(Categories(name, rows[column].to_list()) for column, name in _AS_RECORDED.items()),
    ]


def prescriptions(source: Source, stays: Stays) -> list[Feature]:
    """The most frequent drugs, and the number of different ones."""
    import polars as pl

    found = events.drugs(source, stays)
    training = stays.rows.filter(~pl.col("test"))
    in_training = found.join(training, on="stay", how="semi")["drug"].to_list()
    names = frequent(in_training, len(training), MOST_DRUGS)
    count = np.bincount(found["stay"].to_numpy(), minlength=len(stays)).astype(np.float64)
    return [
        Numbers("log(1 + drugs prescribed)", np.log1p(count)),
        *_flags("drug", found.rename({"drug": "group"}), names, len(stays)),
    ]


def histories(source: Source, stays: Stays) -> list[Feature]:
    """Groups of diagnoses and procedures of earlier admissions."""
    diagnoses = events.history(source, stays, "DIAGNOSES_ICD", diagnosis_group)
    procedures = events.history(source, stays, "PROCEDURES_ICD", procedure_group)
    return [
        *_flags("earlier diagnosis", diagnoses, DIAGNOSIS_GROUPS, len(stays)),
        *_flags("earlier procedure", procedures, PROCEDURE_GROUPS, len(stays)),
    ]


def measured(summary: events.Summary, variables: Sequence[Variable]) -> list[Feature]:
    """Minimum, mean and maximum of each variable, and whether it was measured at all."""
    found: list[Feature] = []
    for place, variable in enumerate(variables):
        for word, values in (("lowest", summary.low), ("mean", summary.mean), ("highest", summary.high)):
            found.append(Numbers(f"{word} {variable.name}", values[:, place]))
        found.append(Flags(f"no {variable.name}", np.isnan(summary.mean[:, place])))
    return found


def vital_signs(source: Source, collected: events.VitalSigns) -> list[Feature]:
    """Of the first 24 hours; none without CHARTEVENTS."""
    return measured(collected.summary(), VITAL_SIGNS) if "CHARTEVENTS" in source else []


def laboratory(source: Source, stays: Stays) -> list[Feature]:
    """Of the first 24 hours; none without LABEVENTS."""
    return measured(events.laboratory(source, stays), LABORATORY) if "LABEVENTS" in source else []


def _flags(kind: str, found: pl.DataFrame, names: Sequence[str], stays: int) -> list[Feature]:
    """One flag per name; ``found`` has the columns ``stay`` and ``group``."""
    places = {name: place for place, name in enumerate(names)}
    table: NDArray[np.bool_] = np.zeros((stays, len(names) + 1), bool)
    columns = [places.get(group, len(names)) for group in found["group"]]
    table[found["stay"].to_numpy(), columns] = True
    return [_flag(f"{kind}: {name}", table[:, place]) for name, place in places.items()]


def _flag(name: str, values: NDArray[np.bool_]) -> Feature:
    if name not in OF_ONE_SEX:
        return Flags(name, values)
    other = {"F": "M", "M": "F"}[OF_ONE_SEX[name]]
    words = [("no", "yes")[value] for value in values.astype(int)]
    return Categories(name, words, ("no", "yes"), linked={"gender": {other: {"yes": "no"}}})
