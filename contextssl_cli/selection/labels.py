"""The few labels of a selection: from a CSV file or a caller, checked and as class codes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contextssl_cli import files
from contextssl_cli.adaptation.inputs import Inputs
from contextssl_cli.errors import CorruptFileError, UsageError
from contextssl_cli.plugin.cells import csv_rows, is_missing
from contextssl_cli.store.kinds import kind_in_words, wrong_kind
from contextssl_cli.text import printable


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

    ``row`` counts the inputs from 0; ``name`` is an image's path below the folder of inputs. An input that occurs twice
    with the same label counts once.

    Raises:
        DataMissingError: if there is no such file.
        UnsafeFileError: if it is no regular file.
        CorruptFileError: if it is not CSV; if a column, row, name or label is missing or unknown, or an input has two
            labels.
    """
    shown = printable(path)
    if kind_in_words(files.check_input(path, "a CSV file of labels")) not in (
        "a text file",
        "an empty file",
        "a file of an unknown kind",
    ):
        raise wrong_kind(path, "a CSV file of labels")
    places = {name: number for number, name in enumerate(inputs.names)}
    found: dict[int, tuple[str, str]] = {}
    (_, header), *rows = list(csv_rows(path)) or [(0, [])]
    columns = [cell.strip() for cell in header]
    needed = sorted(column for column in columns if column != "group")
    if needed not in (["label", "row"], ["label", "name"]) or columns.count("group") > 1:
        held = f"begins with {','.join(columns)!r}" if columns else "is empty"
        raise CorruptFileError(f"{shown} {held}, expected row,label or name,label (and group)")
    key = "row" if "row" in columns else "name"
    for line, row in rows:
        where = f"{shown}, line {line}"
        if len(row) != len(columns):
            raise CorruptFileError(f"{where}: expected {len(columns)} columns, found {len(row)}")
        cells = dict(zip(columns, row, strict=True))
        place = _named(cells[key], places, where) if key == "name" else _row(cells[key], len(inputs), where)
        for column in set(cells) - {key}:
            if is_missing(cells[column]):
                raise CorruptFileError(f"{where}: the {column} is {cells[column]!r}; leave out inputs without one")
        given = cells["label"].strip(), cells.get("group", "").strip()
        if found.setdefault(place, given) != given:
            raise CorruptFileError(
                f"{where}: {key} {printable(cells[key].strip())} has the {_differing(given, found[place])} above"
            )
    if not found:
        raise CorruptFileError(f"{shown} holds no label")
    labels, groups = (np.array(column) for column in zip(*found.values(), strict=True))
    return FewLabels(np.array(list(found), dtype=np.int64), labels, groups if "group" in columns else None)


def _differing(here: tuple[str, str], above: tuple[str, str]) -> str:
    column = 0 if here[0] != above[0] else 1
    return f"{('label', 'group')[column]} {here[column]!r} here and {above[column]!r}"


def _named(cell: str, places: dict[str, int], where: str) -> int:
    for name in (cell, cell.strip()):  # the name of a file may begin or end with a blank
        if name in places:
            return places[name]
    what = "no such image among the inputs" if places else "these inputs have no names; use the column row"
    raise CorruptFileError(f"{where}: {cell.strip()!r}: {what}")


def _row(cell: str, count: int, where: str) -> int:
    text = cell.strip()
    digits = text.lstrip("0") or text[-1:]
    # Python refuses to read a number of thousands of digits.
    if not (text.isascii() and text.isdecimal()) or len(digits) > len(str(count)) or int(digits) >= count:
        raise CorruptFileError(f"{where}: row {_short(text)}, expected a whole number from 0 to {count - 1}")
    return int(digits)


def _short(text: str) -> str:
    return repr(text) if len(text) <= 40 else f"{text[:37]!r}..."


def column(values: ArrayLike, of: str) -> NDArray[Any]:
    """Labels or groups as an array (N,) of names or of numbers.

    Args:
        values: as the user has them.
        of: what they are, for messages: ``label``.

    Raises:
        UsageError: if one is missing, or they are of several kinds. NumPy would make names of both.
    """
    plain = list(values) if isinstance(values, list | tuple) else np.asarray(values).tolist()
    if not isinstance(plain, list) or any(isinstance(value, list | tuple) for value in plain):
        raise UsageError(f"{of}: expected one value for each input")
    listed = [value.item() if isinstance(value, np.generic) else value for value in plain]
    for number, value in enumerate(listed):
        if value is None or _is_nan(value):
            raise UsageError(f"{of} {number} is {'None' if value is None else 'NaN'}; leave out inputs without one")
    kinds = sorted({type(value).__name__ for value in listed})
    if len(kinds) > 1 and not {"int", "float", "bool"}.issuperset(kinds):
        raise UsageError(f"{of}: values of several kinds ({', '.join(kinds)}); give names alone, or numbers alone")
    made = np.asarray(listed)
    # NumPy rounds whole numbers beyond 64 bits or among floats, and drops NUL at the end of a text.
    return made if made.tolist() == listed else np.array(listed, dtype=object)


def _is_nan(value: Any) -> bool:
    """NaN, which differs from itself, or the NA of pandas, which refuses to be compared."""
    return type(value).__name__ == "NAType" or bool(value != value)


def class_codes(labels: NDArray[Any], most: int) -> NDArray[np.int64]:
    """Labels (N,) as 0, 1, ..., in the order of their classes.

    Args:
        labels: with none missing.
        most: how many there may be.

    Raises:
        UsageError: if they cannot be cross-validated.
    """
    if len(labels) == 0:
        raise UsageError("there are no labels: give one for each input")
    if len(labels) > most:
        raise UsageError(f"{len(labels)} labels: selection takes up to {most}; a sample of them will do")
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise UsageError(f"all labels are {classes[0]!s}: a choice needs two classes")
    if counts.min() < 2:
        raise UsageError(
            f"the class {classes[counts.argmin()]!s} has one label; cross-validation needs two of each, "
            "and five or more to tell anything"
        )
    return codes.astype(np.int64)
