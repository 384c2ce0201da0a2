"""The labels and groups of a selection as arrays, once what can be wrong with them has been looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contextssl_cli.errors import UsageError


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
