"""Features as columns of numbers: categories and means are those of the training rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.plugin import Column

RARE = 0.005
"""A category, or a drug, needs this share of the training rows, and two of them."""
MISSING, OTHER = "missing", "other"


@dataclass(frozen=True)
class Numbers:
    """A number, standardised by the training rows; a missing one (NaN) becomes their mean."""

    name: str
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Flags:
    """Yes or no, as 1 and 0."""

    name: str
    values: NDArray[np.bool_]


@dataclass(frozen=True)
class Categories:
    """One of several, one-hot.

    Attributes:
        name: of the column.
        values: None where missing.
        known: the categories; by default the frequent ones of the training rows, ``missing`` and ``other``.
        attribute: the sensitive attribute that the column holds.
        linked: what changes with an attribute (``Column.linked``).
    """

    name: str
    values: Sequence[str | None]
    known: tuple[str, ...] = ()
    attribute: str | None = None
    linked: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)


Feature = Numbers | Flags | Categories


def encode(features: Sequence[Feature], training: NDArray[np.bool_]) -> tuple[tuple[Column, ...], NDArray[np.float32]]:
    """The columns, and the inputs (N, places).

    Args:
        features: each of N rows.
        training: (N,) which rows decide means and categories.
    """
    columns: list[Column] = []
    parts = []
    start = 0
    for feature in features:
        column, part = _encode(feature, training, start)
        columns.append(column)
        parts.append(part)
        start = column.stop
    return tuple(columns), np.concatenate(parts, axis=1)


def frequent(values: Sequence[str], rows: int, most: int | None = None) -> list[str]:
    """The values that are frequent enough in ``rows`` training rows, the most frequent first."""
    least = max(2, RARE * rows)
    ranked = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    return [value for value, count in ranked if count >= least][:most]


def codes(feature: Categories, known: Sequence[str]) -> NDArray[np.int64]:
    """The place of each value among ``known``; what is not there is ``other``, or ``missing``."""
    places = {category: place for place, category in enumerate(known)}
    return np.array([places.get(value or MISSING, places.get(OTHER, -1)) for value in feature.values], dtype=np.int64)


def _encode(feature: Feature, training: NDArray[np.bool_], start: int) -> tuple[Column, NDArray[np.float32]]:
    if isinstance(feature, Numbers):
        return _standardised(feature, training, start)
    if isinstance(feature, Flags):
        column = Column(name=feature.name, kind="numeric", start=start, stop=start + 1)
        return column, feature.values.astype(np.float32)[:, None]
    known = feature.known or _known(feature, training)
    column = Column(
        name=feature.name,
        kind="categorical",
        start=start,
        stop=start + len(known),
        categories=known,
        attribute=feature.attribute,
        linked=feature.linked,
    )
    return column, np.eye(len(known), dtype=np.float32)[codes(feature, known)]


def _standardised(feature: Numbers, training: NDArray[np.bool_], start: int) -> tuple[Column, NDArray[np.float32]]:
    there = feature.values[training & ~np.isnan(feature.values)]
    mean = float(there.mean()) if len(there) else 0.0
    std = (float(there.std()) if len(there) else 0.0) or 1.0
    column = Column(name=feature.name, kind="numeric", start=start, stop=start + 1, mean=mean, std=std)
    return column, np.nan_to_num((feature.values - mean) / std).astype(np.float32)[:, None]


def _known(feature: Categories, training: NDArray[np.bool_]) -> tuple[str, ...]:
    seen = [value for value, train in zip(feature.values, training, strict=True) if train and value]
    return (*(name for name in frequent(seen, int(training.sum())) if name not in (MISSING, OTHER)), MISSING, OTHER)
