"""ICD-9-CM codes as MIMIC publishes them, and signs that another program has changed them.

The published codes are text without the point: ``0389``, ``99591``, ``V5861``. Spreadsheets and pandas take those of
digits alone for numbers: ``0389`` becomes 389, or 389.0, which are codes of other chapters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from contextssl_cli.text import printable

if TYPE_CHECKING:
    import polars as pl

FORMS: Mapping[str, str] = {
    "DIAGNOSES_ICD": r"^(?:[0-9]{3,5}|V[0-9]{2,4}|E[0-9]{3,4})$",
    "PROCEDURES_ICD": r"^[0-9]{3,4}$",
}
"""By table."""
WITH_ZERO: Mapping[str, str] = {"DIAGNOSES_ICD": "1 in 25", "PROCEDURES_ICD": "1 in 15"}
"""How many of the demo's codes begin with 0, by table."""


class CodeCheck:
    """Reads the codes of a table in pieces, and counts what cannot be as published.

    Args:
        table: its name.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self._codes = self._zeros = self._strange = 0
        self._example = ""

    def well_formed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The records whose ``icd9_code`` has the published form; the others are counted."""
        import polars as pl

        coded = frame.drop_nulls("icd9_code")
        good = coded["icd9_code"].str.contains(FORMS[self._table])
        self._codes += len(coded)
        self._zeros += int(coded["icd9_code"].str.starts_with("0").sum())
        if not good.all():
            self._example = self._example or coded["icd9_code"].filter(~good)[0]
            self._strange += int((~good).sum())
        return coded.filter(pl.lit(good))

    def note(self) -> str:
        """What the user should know of the codes that were read; empty if nothing."""
        found = []
        if self._codes and not self._zeros:
            found.append(
                f"none of {self._codes:,} codes begins with 0, in the demo {WITH_ZERO[self._table]} does: if another "
                "program has dropped the zeros, codes are in groups they do not belong to; take the published file"
            )
        if self._strange:
            found.append(
                f"{self._strange:,} of {self._codes:,} codes are not ICD-9 codes as published (first: "
                f"{printable(self._example[:40])!r}); they are in no group"
            )
        return "; ".join(found)
