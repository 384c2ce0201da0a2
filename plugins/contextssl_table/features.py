"""The columns of a table as the encoder reads them: numbers standardised, categories one-hot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.errors import CorruptFileError, UsageError
from contextssl_cli.plugin import Column
from contextssl_cli.plugin.cells import in_order
from contextssl_cli.text import printable
from contextssl_table.groups import check_groups
from contextssl_table.kinds import Numbers, numbers_of
from contextssl_table.links import Links, check_values
from contextssl_table.notes import Notes, cut, shown
from contextssl_table.options import TableOptions, learned
from contextssl_table.records import Records, as_text

if TYPE_CHECKING:
    import polars as pl

MISSING = "(missing)"
OTHER = "(other)"
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")  # what pandas calls an index without a name in a Parquet file


@dataclass(frozen=True)
class Feature:
    """A column with its values.

    Attributes:
        column: of the schema.
        values: (N,) standardised numbers, or category indices.
    """

    column: Column
    values: NDArray[Any]

    def write(self, out: NDArray[np.float32], rows: slice) -> None:
        """Encode some records into their places of ``out``, (rows, features), which holds zeros."""
        values = self.values[rows]
        if self.column.kind == "numeric":
            out[:, self.column.start] = values
        else:
            out[np.arange(len(values)), self.column.start + values] = 1


class Encoding:
    """Makes the features one after another.

    Args:
        records: of both splits.
        train: (N,) which records are of the training split: means, spreads and categories are theirs alone.
        options: the roles of columns.
        notes: told what was found and left out.
    """

    def __init__(self, records: Records, train: NDArray[np.bool_], options: TableOptions, notes: Notes) -> None:
        self.features: list[Feature] = []
        self._records = records
        self._train = train
        self._options = options
        self._notes = notes
        self._place = 0

    def encode(self, links: Links) -> list[Feature]:
        """All features, in the order of the table's columns.

        Raises:
            CorruptFileError: if a column mixes numbers and text.
            UsageError: if a sensitive attribute has one value or too many, or nothing is left.
        """
        for name, kind in self._records.unread.items():
            if name not in self._options.drop:
                self._leave(name, f"of the type {kind}")
        categories = {*self._options.sensitive, *self._options.categorical, *links}
        for name in learned(self._options, self._records.columns):
            column = self._records.columns[name]
            numbers = None if name in categories else numbers_of(name, self._records)
            if column.null_count() == len(column) and name not in self._options.sensitive:
                self._leave(name, "no record has a value")
            elif _PANDAS_INDEX.fullmatch(name) and name not in categories:
                self._leave(name, "the index of a pandas data frame; --categorical keeps it")
            elif numbers is not None:
                self._add_numbers(name, numbers)
            else:
                self._add_categories(name, as_text(column), links)
        if not self.features:
            raise UsageError("no column is left to learn from; the table needs one that is not constant")
        return self.features

    def _add_numbers(self, name: str, numbers: Numbers) -> None:
        missing = np.isnan(numbers.values)
        self._note_missing(name, missing)
        known = numbers.values[self._train & ~missing]
        if len(known) and known.min() < known.max():
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                mean, std = known.mean(), known.std()
                values = np.where(missing, 0.0, (numbers.values - mean) / std).astype(np.float32)
            if not (np.isfinite(std) and np.isfinite(values).all()):
                raise CorruptFileError(
                    f"the column {name!r} holds numbers too far apart to standardise; --drop {printable(name)}"
                )
            self._add(values, name=name, kind="numeric", mean=float(mean), std=float(std))
            self._notes.add("numbers" if numbers.kind == "numbers" else "dates, as days since 1970-01-01", name)
        else:
            self._leave(name, "one value in the training split" if len(known) else "no value in the training split")
        if missing[self._train].any() and not missing[self._train].all():
            mark = f"{name} {MISSING}"
            while mark in self._records.columns:
                mark = f"{mark} {MISSING}"
            self._add(missing.astype(np.int64), name=mark, kind="categorical", categories=("no", "yes"))

    def _add_categories(self, name: str, text: pl.Series, links: Links) -> None:
        import polars as pl

        missing = text.is_null().to_numpy()
        self._note_missing(name, missing)
        sensitive = name in self._options.sensitive
        known = in_order(text.filter(pl.Series(self._train)).drop_nulls().unique())
        found = len(known) + bool(missing[self._train].any())
        if sensitive:
            check_groups(f"the sensitive attribute {name!r}", len(known), bool(missing[self._train].any()))
        if found < 2:
            self._leave(name, "one value in the training split" if known else "no value in the training split")
        elif len(known) > self._options.max_categories and not (sensitive or name in self._options.categorical):
            self._leave(name, f"{len(known):,} different values, more than --max-categories")
        else:
            codes, categories = self._coded(name, text, known, missing)
            check_values(name, links.get(name, {}), categories)
            self._notes.add("categories", f"{name} ({len(categories)})")
            self._add(codes, name=name, kind="categorical", categories=categories,
                      attribute=name if sensitive else None, linked=links.get(name, {}))  # fmt: skip

    def _coded(
        self, name: str, text: pl.Series, known: Sequence[str], missing: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        codes, categories = codes_of(text, known), list(known)
        unseen = (codes < 0) & ~missing
        if unseen.any():
            _note_unseen(self._notes, name, text, unseen)
        for category, where in ((MISSING, missing), (OTHER, unseen)):
            if where.any():
                categories += [] if category in categories else [category]
                codes[where] = categories.index(category)
        return codes, tuple(categories)

    def _add(self, values: NDArray[Any], **given: Any) -> None:
        width = len(given.get("categories", ())) or 1
        self.features.append(Feature(Column(start=self._place, stop=self._place + width, **given), values))
        self._place += width

    def _leave(self, name: str, why: str) -> None:
        self._notes.add("columns left out", f"{name} ({why})")

    def _note_missing(self, name: str, missing: NDArray[np.bool_]) -> None:
        if missing.any():
            self._notes.add("records without a value", _counted(name, missing, self._records))


def labels_of(
    name: str, records: Records, train: NDArray[np.bool_], notes: Notes
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The classes of a label and the class of each record, -1 where it has none.

    A class that only the test split has counts as missing there: nothing could be learned of it.

    Raises:
        UsageError: if it has one class or too many in the training split, or no known class in the test split.
    """
    import polars as pl

    text = as_text(records.columns[name])
    classes = in_order(text.filter(pl.Series(train)).drop_nulls().unique())
    check_groups(f"the label {name!r}", len(classes))
    codes = codes_of(text, classes)
    counts = np.bincount(codes[codes >= 0], minlength=len(classes))
    notes.add("labels", f"{name} ({'; '.join(f'{cut(c)} {n:,}' for c, n in zip(classes, counts, strict=True))})")
    missing = text.is_null().to_numpy()
    if (codes[~train] < 0).all():
        raise UsageError(
            f"no record of the test split has a label {name!r} that the training split has: "
            f"{', '.join(map(cut, classes[:5]))}"
        )
    if missing.any():
        notes.add("labels that are missing", _counted(name, missing, records))
    unseen = (codes < 0) & ~missing
    if unseen.any():
        _note_unseen(notes, name, text, unseen)
    return tuple(classes), codes


def codes_of(text: pl.Series, known: Sequence[str]) -> NDArray[np.int64]:
    """The index of each value among the known ones, -1 for others and where it is missing."""
    import polars as pl

    return (
        text.replace_strict(list(known), list(range(len(known))), default=-1, return_dtype=pl.Int64)
        .fill_null(-1)
        .to_numpy(writable=True)
    )


def _counted(name: str, missing: NDArray[np.bool_], records: Records) -> str:
    """How many values are missing, and the words that said so."""
    words = ", ".join(sorted(records.words.get(name, ())))
    return f"{name} {missing.sum():,}" + (f" ({words})" if words else "")


def _note_unseen(notes: Notes, name: str, text: pl.Series, unseen: NDArray[np.bool_]) -> None:
    import polars as pl

    values = in_order(text.filter(pl.Series(unseen)).unique())
    first = ", ".join(map(shown, values[:3])) + (", ..." if len(values) > 3 else "")
    notes.add("values that only the test split has", f"{name} {first} in {unseen.sum():,}")
