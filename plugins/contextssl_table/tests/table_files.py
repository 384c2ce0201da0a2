"""Small tables as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from contextssl_cli.plugin import Prepared
from contextssl_table.options import TableOptions
from contextssl_table.table import Table


def text_of(columns: dict[str, Sequence[Any]]) -> str:
    """A table as CSV."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return stream.getvalue()


def people(count: int = 60, seed: int = 0, **given: Sequence[Any]) -> dict[str, Sequence[Any]]:
    """Records with an attribute, a column that hangs together with it, and a label."""
    draw = np.random.default_rng(seed)
    sex = draw.choice(["female", "male"], count)
    married = draw.random(count) < 0.5
    role = np.where(married, np.where(sex == "male", "husband", "wife"), "child")
    columns: dict[str, Sequence[Any]] = {
        "age": draw.integers(18, 80, count).tolist(),
        "sex": sex.tolist(),
        "role": role.tolist(),
        "income": draw.choice(["high", "low"], count).tolist(),
    }
    return columns | given


def written(folder: Path, columns: dict[str, Sequence[Any]], name: str = "people.csv") -> Path:
    """The path of a file, CSV or Parquet by its name."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pl.DataFrame(columns).write_parquet(path)
    else:
        path.write_text(text_of(columns), encoding="utf-8")
    return path


def prepared(path: Path, **options: Any) -> Prepared:
    """What the data set makes of a file."""
    return Table().prepare(path, TableOptions(**options))


class Made:
    """A prepared table, decoded again.

    Attributes:
        prepared: as the plugin gave it.
        splits: the rows of a split, each by column name: a number in its own units, or a category.
        labels: class names by split and task; None where it is missing.
    """

    def __init__(self, path: Path, **options: Any) -> None:
        self.prepared = prepared(path, **options)
        self.schema = self.prepared.schema
        self.notes = dict(self.prepared.notes)
        self.splits: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
        self.labels: dict[str, dict[str, list[str | None]]] = {
            split: {task: [] for task in self.schema.tasks} for split in self.splits
        }
        self.inputs: dict[str, list[np.ndarray]] = {"train": [], "test": []}
        for samples in self.prepared.samples:
            self.inputs[samples.split].append(np.asarray(samples.inputs))
            self.splits[samples.split] += [self._row(row) for row in np.asarray(samples.inputs)]
            for task, classes in self.schema.tasks.items():
                codes = np.asarray(samples.labels[task])
                self.labels[samples.split][task] += [classes[code] if code >= 0 else None for code in codes]

    def column(self, name: str, split: str = "train") -> list[Any]:
        return [row[name] for row in self.splits[split]]

    def categories(self, name: str) -> tuple[str, ...]:
        return next(column.categories for column in self.schema.columns if column.name == name)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.schema.columns]

    def _row(self, values: np.ndarray) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for column in self.schema.columns:
            places = values[column.start : column.stop]
            if column.kind == "numeric":
                row[column.name] = round(float(places[0]) * column.std + column.mean, 3)
            else:
                assert sorted(places)[-2:] == [0, 1]
                row[column.name] = column.categories[int(places.argmax())]
        return row
