"""Groups of ICD-9-CM codes, and of ethnicities.

Diagnoses are grouped by the chapters of volume 1, which the first three digits tell; procedures by the chapters of
volume 3, which the first two tell (https://www.cdc.gov/nchs/icd/icd9cm.htm).
"""

from __future__ import annotations

DIAGNOSES: tuple[tuple[str, int, int], ...] = (
    ("infectious", 1, 139),
    ("neoplasms", 140, 239),
    ("endocrine and metabolic", 240, 279),
    ("blood", 280, 289),
    ("mental", 290, 319),
    ("nervous system", 320, 389),
    ("circulatory", 390, 459),
    ("respiratory", 460, 519),
    ("digestive", 520, 579),
    ("genitourinary", 580, 629),
    ("pregnancy", 630, 679),
    ("skin", 680, 709),
    ("musculoskeletal", 710, 739),
    ("congenital", 740, 759),
    ("perinatal", 760, 779),
    ("symptoms", 780, 799),
    ("injury and poisoning", 800, 999),
)
"""Name, first and last category."""
DIAGNOSIS_LETTERS = {"E": "external causes", "V": "health status"}
"""The supplementary chapters, by their letter."""

PROCEDURES: tuple[tuple[str, int, int], ...] = (
    ("other operations", 0, 0),
    ("nervous system", 1, 5),
    ("endocrine system", 6, 7),
    ("eye", 8, 16),
    ("ear", 18, 20),
    ("nose, mouth, pharynx", 21, 29),
    ("respiratory", 30, 34),
    ("cardiovascular", 35, 39),
    ("blood and lymph", 40, 41),
    ("digestive", 42, 54),
    ("urinary", 55, 59),
    ("male genital organs", 60, 64),
    ("female genital organs", 65, 71),
    ("obstetrical", 72, 75),
    ("musculoskeletal", 76, 84),
    ("skin and breast", 85, 86),
    ("diagnostic and therapeutic", 87, 99),
)
"""Name, first and last category; 17 (other, since 2006) belongs to the first."""

DIAGNOSIS_GROUPS = (*(name for name, _, _ in DIAGNOSES), *DIAGNOSIS_LETTERS.values())
PROCEDURE_GROUPS = tuple(name for name, _, _ in PROCEDURES)

OF_ONE_SEX = {
    "earlier diagnosis: pregnancy": "F",
    "earlier procedure: obstetrical": "F",
    "earlier procedure: female genital organs": "F",
    "earlier procedure: male genital organs": "M",
}
"""Columns that follow gender: who is of the other sex in a counterfactual record has no such history."""

ETHNICITIES = ("white", "black", "hispanic", "asian", "native", "other", "unknown")
_ETHNICITY_WORDS = (
    ("WHITE", "white"),
    ("BLACK", "black"),
    ("CARIBBEAN", "black"),
    ("HISPANIC", "hispanic"),
    ("ASIAN", "asian"),
    ("AMERICAN INDIAN", "native"),
    ("UNKNOWN", "unknown"),
    ("UNABLE TO OBTAIN", "unknown"),
    ("PATIENT DECLINED", "unknown"),
)
"""By how the recorded text begins, as ``icustay_detail`` of the MIMIC code repository groups them."""


def diagnosis_group(code: str) -> str | None:
    """The chapter of a diagnosis as MIMIC writes it, without the point: ``99591``, ``V5861``."""
    if code[:1] in DIAGNOSIS_LETTERS:
        return DIAGNOSIS_LETTERS[code[0]]
    return _chapter(code[:3], DIAGNOSES) if len(code) >= 3 else None


def procedure_group(code: str) -> str | None:
    """The chapter of a procedure as MIMIC writes it, without the point: ``3605``."""
    return _chapter("00" if code[:2] == "17" else code[:2], PROCEDURES) if len(code) >= 3 else None


def ethnicity_group(text: str | None) -> str:
    """One of ``ETHNICITIES``."""
    if not text:
        return "unknown"
    return next((group for word, group in _ETHNICITY_WORDS if text.upper().startswith(word)), "other")


def _chapter(digits: str, chapters: tuple[tuple[str, int, int], ...]) -> str | None:
    if not digits.isdecimal():
        return None
    return next((name for name, first, last in chapters if first <= int(digits) <= last), None)
