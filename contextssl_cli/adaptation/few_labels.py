"""The CSV file of a few labels: which inputs, and what they are."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.adaptation.inputs import Inputs
from contextssl_cli.errors import CorruptFileError, DataMissingError

_MISSING = {"", "nan", "na", "none", "null"}


@dataclass(frozen=True)
class FewLabels:
    """N labelled inputs.

    Attributes:
        rows: (N,) places in the input.
        labels: (N,) as text.
        groups: (N,) the optional third column, or None.
    """

    rows: NDArray[np.int64]
    labels: NDArray[Any]
    groups: NDArray[Any] | None


def read_labels(path: Path, inputs: Inputs) -> FewLabels:
    """Read ``row,label`` or ``name,label``, with an optional column ``group``.

    ``row`` counts the inputs from 0; ``name`` is an image's path below the folder of inputs. A line that stands twice
    counts once.

    Raises:
        DataMissingError: if there is no such file.
        CorruptFileError: if a column, row, name or label is missing or unknown, or an input has two labels.
    """
    places = {name: number for number, name in enumerate(inputs.names)}
    found: dict[int, tuple[str, str]] = {}
    lines = _lines(path)
    columns = list(lines.fieldnames or [])
    needed = sorted(column for column in columns if column != "group")
    if needed not in (["label", "row"], ["label", "name"]) or columns.count("group") > 1:
        held = f"begins with {','.join(columns)!r}" if columns else "is empty"
        raise CorruptFileError(f"{path} {held}, expected row,label or name,label (and group)")
    key = "row" if "row" in columns else "name"
    for cells in lines:
        where = f"{path}, line {lines.line_num}"
        if None in cells or None in cells.values():
            raise CorruptFileError(f"{where}: expected {len(columns)} columns")
        cells = {name: text.strip() for name, text in cells.items()}
        row = _place(cells.get(key, ""), key, places, len(inputs.samples), where)
        for column in set(cells) - {key}:
            if cells[column].lower() in _MISSING:
                raise CorruptFileError(f"{where}: the {column} is {cells[column]!r}; leave out inputs without one")
        told = cells["label"], cells.get("group", "")
        if found.setdefault(row, told) != told:
            raise CorruptFileError(f"{where}: {key} {cells[key]} is {told[0]!r} here and {found[row][0]!r} above")
    if not found:
        raise CorruptFileError(f"{path} holds no label")
    labels, groups = (np.array(column) for column in zip(*found.values(), strict=True))
    return FewLabels(np.array(list(found), dtype=np.int64), labels, groups if "group" in columns else None)


def _lines(path: Path) -> csv.DictReader[str]:
    if not path.is_file():
        raise DataMissingError(f"there is no file {path} with labels")
    try:
        return csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"{path} cannot be read as UTF-8 text ({error})") from error


def _place(text: str, key: str, places: dict[str, int], count: int, where: str) -> int:
    if key == "name":
        if text not in places:
            what = "no such image among the inputs" if places else "these inputs have no names; use the column row"
            raise CorruptFileError(f"{where}: {text!r}: {what}")
        return places[text]
    if not text.isdecimal() or int(text) >= count:
        raise CorruptFileError(f"{where}: row {text!r}, expected a whole number from 0 to {count - 1}")
    return int(text)
