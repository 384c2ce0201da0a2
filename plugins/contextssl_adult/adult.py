"""UCI Adult (Becker and Kohavi, 1996): census records, income as the task, sex as the sensitive attribute."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contextssl_adult.categories import CATEGORIES
from contextssl_cli.errors import CorruptFileError
from contextssl_cli.files import file_hash, read_text
from contextssl_cli.plugin import Column, Dataset, Options, Prepared, Samples, Schema
from contextssl_cli.plugin.sources import PublishedFile, download, source_file
from contextssl_cli.text import printable

if TYPE_CHECKING:
    import polars as pl
    from torch import Generator, Tensor

PAGE = "https://archive.ics.uci.edu/dataset/2/adult"
FILES = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult"
URLS = {
    f"{FILES}/adult.data": PublishedFile("5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d", 3_974_305),
    f"{FILES}/adult.test": PublishedFile("a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05", 2_003_153),
}
NUMERIC = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")
COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship",
    "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income",
)  # fmt: skip
RECORDS = {"train": 32_561, "test": 16_281}
"""As published: a file that is cut at the end of a line is found by nothing else."""
CORRUPTION_RATE = 0.3
LINKED = {"relationship": {"gender": {"Female": {"Husband": "Wife"}, "Male": {"Wife": "Husband"}}}}


class Adult(Dataset):
    """The canonical files: ``adult.data`` for training, ``adult.test`` for the test."""

    name = "adult"
    summary = "UCI Adult, 48,842 census records; task: income, sensitive attribute: gender; downloaded, or --source"
    modality = "table"
    licence = "CC BY 4.0 (UCI Machine Learning Repository)"
    training: ClassVar[dict[str, Any]] = {
        "steps": 1500,
        "invariance_weight": 1.0,
        "model": {"encoder": "mlp", "feature_dim": 64, "encoder_width": 256, "width": 64, "aux_hidden": 256},
        # The published figures (docs/results/adult.md) are of these pairs.
        "actions": {"gender": {"pairing": "alone"}, "attribute": {"pairing": "alone"}},
    }

    probing: ClassVar[dict[str, Any]] = {
        "label_inputs": "samples",
        "action_batch_size": 512,
        "label_batch_size": 512,
    }

    def prepare(self, source: Path | None, options: Options) -> Prepared:
        """Read both files; standardise numbers by the training records, encode the categories as one-hot."""
        folder = source or download(URLS, self.name, PAGE)
        paths = {"train": source_file(folder, "adult.data"), "test": source_file(folder, "adult.test")}
        tables = {split: read_records(path) for split, path in paths.items()}
        for split, table in tables.items():
            _check_count(paths[split], len(table), RECORDS[split])
        columns = _columns(tables["train"])
        schema = Schema(
            dataset=self.name,
            modality=self.modality,
            shape=(columns[-1].stop,),
            dtype="float32",
            columns=columns,
            tasks={"income": CATEGORIES["income"]},
            attributes={"gender": CATEGORIES["sex"]},
        )
        samples = [_samples(split, table, columns, paths[split]) for split, table in tables.items()]
        return Prepared(schema, samples, {path.name: file_hash(path) for path in paths.values()})

    def augment_view(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """Corrupt each view as SCARF does, so that aligning a pair is not trivial."""
        from contextssl_cli.data.augment import scarf_corruption

        return scarf_corruption(inputs, schema, CORRUPTION_RATE, generator)


def read_records(path: Path) -> pl.DataFrame:
    """The records of one file as text columns, stripped of blanks and of the full stop that ends a test label.

    Left out are comments (lines that begin with ``|``, as the first of ``adult.test``), blank lines, and a first line
    that names or numbers the columns.

    Raises:
        DataMissingError: if the file does not exist or cannot be read.
        UnsafeFileError: if it is no regular file.
        CorruptFileError: if it is no UTF-8 text, a line has another number of columns, or a number is not one; the line
            or the column is named.
    """
    import polars as pl

    lines = csv.reader(io.StringIO(read_text(path), newline=""), skipinitialspace=True)
    rows: list[list[str]] = []
    try:
        for line in lines:
            cells = [cell.strip() for cell in line]
            if not any(cells) or cells[0].startswith("|") or (not rows and _is_header(cells)):
                continue
            if len(cells) != len(COLUMNS):
                raise CorruptFileError(
                    f"{printable(path)}, line {lines.line_num}: {len(cells)} columns, expected {len(COLUMNS)}; the "
                    "file may be cut off, fetch it again"
                )
            cells[-1] = cells[-1].rstrip(".")
            rows.append(cells)
    except csv.Error as error:
        raise CorruptFileError(f"{printable(path)}, line {lines.line_num}: {error}; fetch it again") from error
    if not rows:
        raise CorruptFileError(f"{printable(path)} holds no records")
    table = pl.DataFrame(rows, schema=list(COLUMNS), orient="row")
    return table.with_columns(_numbers(table[name], path) for name in NUMERIC)


def _is_header(cells: Sequence[str]) -> bool:
    """Whether a line names the columns, whatever joins the words of a name and whatever the label is called."""
    names = [re.sub("[ _.]", "-", cell.lower()) for cell in cells]
    return names[:-1] == list(COLUMNS[:-1]) or names == [str(number) for number in range(len(COLUMNS))]


def _check_count(path: Path, found: int, expected: int) -> None:
    if found != expected:
        raise CorruptFileError(
            f"{printable(path)} holds {found:,} records, expected the {expected:,} of {PAGE}; it may be cut off, fetch "
            "it again"
        )


def _numbers(text: pl.Series, path: Path) -> pl.Series:
    import polars as pl

    values = text.cast(pl.Float64, strict=False)
    wrong = values.is_null() | ~values.fill_null(0).is_finite()
    if wrong.any():
        raise CorruptFileError(
            f"{printable(path)}: the column {text.name!r} holds {text.filter(wrong)[0][:80]!r}, expected a number"
        )
    return values


def _columns(train: pl.DataFrame) -> tuple[Column, ...]:
    columns: list[Column] = []
    start = 0
    for name in COLUMNS[:-1]:
        attribute = "gender" if name == "sex" else None
        if name in NUMERIC:
            values = train[name].to_numpy()
            std = float(values.std()) or 1.0
            column = Column(name=name, kind="numeric", start=start, stop=start + 1, mean=float(values.mean()), std=std)
        else:
            categories = CATEGORIES[name]
            column = Column(name=name, kind="categorical", start=start, stop=start + len(categories),
                            categories=categories, attribute=attribute, linked=LINKED.get(name, {}))  # fmt: skip
        columns.append(column)
        start = column.stop
    return tuple(columns)


def _samples(split: str, table: pl.DataFrame, columns: Sequence[Column], path: Path) -> Samples:
    parts = [_encode(table[column.name].to_numpy(), column, path) for column in columns]
    return Samples(
        split,
        np.concatenate(parts, axis=1),
        labels={"income": _codes(table["income"].to_numpy(), CATEGORIES["income"], "income", path)},
        attributes={"gender": _codes(table["sex"].to_numpy(), CATEGORIES["sex"], "sex", path)},
    )


def _encode(values: NDArray[Any], column: Column, path: Path) -> NDArray[np.float32]:
    if column.kind == "numeric":
        return ((values - column.mean) / column.std).astype(np.float32)[:, None]
    codes = _codes(values, column.categories, column.name, path)
    return np.eye(len(column.categories), dtype=np.float32)[codes]


def _codes(values: NDArray[Any], categories: Sequence[str], name: str, path: Path) -> NDArray[np.int64]:
    known = {category: code for code, category in enumerate(categories)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise CorruptFileError(
            f"{printable(path)}: the column {name!r} holds {unknown[0][:80]!r}, expected one of {', '.join(categories)}"
        )
    return np.array([known[value] for value in values])
