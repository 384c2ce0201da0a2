"""Results: one value per environment, context length, metric, target and probe; averaged over runs."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from contextssl_cli.text import printable

ENCODER = "encoder"
"""In place of an environment: read from the feature z, before any context."""
BLIND = "input without context"
"""In place of an environment: what no reader of the input alone can exceed."""
RAW = "raw columns"
"""In place of an environment: read from the table itself."""

_FORMULA = ("=", "+", "-", "@", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a spreadsheet's formula begins, also in the wide forms of East Asian keyboards; and the sign before one."""


class Key(NamedTuple):
    """What a value is of."""

    environment: str
    context_length: int
    metric: str
    target: str
    probe: str


@dataclass(frozen=True)
class Row:
    """One line of the results: mean and sample standard deviation over runs (0 for a single one), and what each has.

    Rows of earlier versions have no ``values``.
    """

    environment: str
    context_length: int
    metric: str
    target: str
    probe: str
    mean: float
    std: float
    seeds: list[int]
    values: list[float] = field(default_factory=list)

    @property
    def key(self) -> Key:
        """What the row is of."""
        return Key(self.environment, self.context_length, self.metric, self.target, self.probe)


@dataclass(frozen=True)
class FairnessRow:
    """One figure of one representation.

    Attributes:
        representation: what is read.
        metric: ``accuracy``, or a difference between groups.
        target: the attribute, or the task.
        probe: what reads it.
        values: one for each seed.
        mean: over the seeds; None if it is undefined.
        std: the sample standard deviation, 0 for one seed.
    """

    representation: str
    metric: str
    target: str
    probe: str
    values: list[float]
    mean: float | None
    std: float


def spread(values: Sequence[float]) -> float:
    """The sample standard deviation; 0 for a single value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def average(runs: Sequence[tuple[int, dict[Key, float]]]) -> list[Row]:
    """Mean and spread of the values of several runs, given as (seed, values); only what every run has."""
    keys = [key for key in runs[0][1] if all(key in values for _, values in runs)]
    seeds = [seed for seed, _ in runs]
    rows = []
    for key in keys:
        values = [found[key] for _, found in runs]
        rows.append(Row(*key, mean=statistics.fmean(values), std=spread(values), seeds=seeds, values=values))
    return rows


def find(rows: Iterable[Row], environment: str, length: int, metric: str, target: str) -> Row:
    """The first row of the paper's probe for a quantity.

    Raises:
        KeyError: if there is none.
    """
    for row in rows:
        if (row.environment, row.context_length, row.metric, row.target) == (environment, length, metric, target):
            return row
    raise KeyError((environment, length, metric, target))


def to_dicts(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows as plain objects, for JSON; a row that has no values of each run has no such key."""
    return [{key: value for key, value in asdict(row).items() if key != "values" or value} for row in rows]


def cell(text: str) -> str:
    """Text as a cell of CSV that no spreadsheet takes for a formula.

    An apostrophe goes before a cell that begins as a formula does, unless it is a number, and before one that begins
    with an apostrophe; so what is read back is the cell without one apostrophe at its beginning. Line breaks and other
    control characters are escaped.
    """
    text = printable(text)
    if not text.startswith(_FORMULA) or _is_number(text):
        return text
    return f"'{text}"


def _is_number(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return math.isfinite(float(text))
    return False


def to_csv(rows: Iterable[tuple[Mapping[str, str], Row]], settings: Sequence[str] = ()) -> str:
    """Rows as CSV; several seeds, and their values, are separated by blanks. Text is written as ``cell`` does.

    Args:
        rows: each with its settings.
        settings: the names of the settings, which are the first columns.
    """
    stream = io.StringIO()
    names = [*settings, *Row.__dataclass_fields__]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writerow({name: cell(name) for name in names})
    for chosen, row in rows:
        several = {"seeds": " ".join(map(str, row.seeds)), "values": " ".join(map(str, row.values))}
        values = {
            key: cell(value) if isinstance(value, str) else value for key, value in {**chosen, **asdict(row)}.items()
        }
        writer.writerow(values | several)
    return stream.getvalue()
