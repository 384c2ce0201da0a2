"""Which records are for training and which for the test."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.errors import CorruptFileError, UsageError, suggestion
from contextssl_cli.plugin.cells import is_number
from contextssl_cli.text import printable
from contextssl_table.groups import check_groups
from contextssl_table.notes import shown
from contextssl_table.options import SHARE, TableOptions
from contextssl_table.records import Records, as_text


def split_of(records: Records, options: TableOptions) -> NDArray[np.bool_]:
    """Which records are of the training split, (N,).

    Raises:
        UsageError: if the split is neither a column nor a share, or is given twice.
        CorruptFileError: if the split's column says something else than train or test.
    """
    if len(records.counts) > 1:
        if options.split is not None:
            raise UsageError(f"--split {options.split}: the source has a file for each split already")
        return np.arange(len(records)) < records.counts[0]
    if options.split is not None and options.split in records.columns:
        return _of_column(records, options.split)
    return _drawn(records, _share(options.split, records.columns), options)


def _of_column(records: Records, name: str) -> NDArray[np.bool_]:
    said = as_text(records.columns[name]).str.to_lowercase().fill_null("").to_numpy()
    train = np.asarray(said == "train", dtype=bool)
    wrong = ~train & (said != "test")
    if wrong.any():
        row = int(np.argmax(wrong))
        raise CorruptFileError(
            f"{records.place(row)}: the split's column {name!r} holds {shown(said[row])}, expected train or test; "
            "leave other records out of the file"
        )
    if train.all() or not train.any():
        raise CorruptFileError(
            f"{printable(records.paths[0])}: the column {name!r} names one split only, both are needed"
        )
    return train


def _share(text: str | None, columns: Iterable[str]) -> float:
    if text is None:
        return SHARE
    if not is_number(text):
        raise UsageError(f"--split {printable(text)}: neither a column nor a share; {suggestion(text, columns)}")
    share = float(text)
    if not 0 < share < 1:
        raise UsageError(f"--split {text}: expected a column, or a share between 0 and 1")
    return share


def _drawn(records: Records, share: float, options: TableOptions) -> NDArray[np.bool_]:
    """The share of every class of the first label, rounded, in an order that the seed decides."""
    groups = np.zeros(len(records), dtype=np.int64)
    if options.label:
        classes = as_text(records.columns[options.label[0]])
        check_groups(f"the label {options.label[0]!r}", classes.drop_nulls().n_unique())
        _, groups = np.unique(classes.fill_null("").to_numpy(), return_inverse=True)
    draw = np.random.default_rng(options.seed)
    train = np.ones(len(records), dtype=bool)
    for group in np.unique(groups):
        rows = draw.permutation(np.flatnonzero(groups == group))
        train[rows[: round(share * len(rows))]] = False
    if train.all() or not train.any():
        raise UsageError(
            f"{printable(records.paths[0])} holds {len(records)} records, too few to draw a share of {share:g} for the "
            "test"
        )
    return train
