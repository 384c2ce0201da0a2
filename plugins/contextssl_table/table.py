"""A user's own table: what to predict and what to protect is said when it is prepared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.files import file_hash
from contextssl_cli.plugin import Dataset, Options, Prepared, Samples, Schema
from contextssl_table.features import Encoding, Feature, labels_of
from contextssl_table.links import check_linked, check_links, parse_links
from contextssl_table.notes import Notes, cut, shown
from contextssl_table.options import TableOptions, check_roles, learned
from contextssl_table.reading import read, source_paths
from contextssl_table.records import Records, as_text
from contextssl_table.splitting import split_of

if TYPE_CHECKING:
    from torch import Generator, Tensor

CORRUPTION_RATE = 0.3
_ROWS = 50_000  # that are encoded at a time


class Table(Dataset):
    """CSV or Parquet: one file, or a folder with one for each split."""

    name = "table"
    summary = "your own table, CSV or Parquet; tasks: --label, sensitive attributes: --sensitive"
    modality = "table"
    licence = "that of your table"
    options: ClassVar[type[Options]] = TableOptions
    training: ClassVar[dict[str, Any]] = {
        "steps": 1500,
        "invariance_weight": 1.0,
        "model": {"encoder": "mlp", "feature_dim": 64, "encoder_width": 256, "width": 64, "aux_hidden": 256},
    }
    probing: ClassVar[dict[str, Any]] = {
        "label_inputs": "samples",
        "action_batch_size": 512,
        "label_batch_size": 512,
    }

    def prepare(self, source: Path | None, options: TableOptions) -> Prepared:
        """Read the table, find out what its columns hold, and encode them."""
        paths = source_paths(source)
        records = read(paths)
        check_roles(options, records.columns, records.unread)
        links = parse_links(options)
        check_links(links, learned(options, records.columns))
        _check_ids(records, options)
        train, notes = split_of(records, options), Notes()
        features = Encoding(records, train, options, notes).encode(links)
        columns = [feature.column for feature in features]
        categories = {column.name: column.categories for column in columns}
        check_linked(links, columns)
        labels = {name: labels_of(name, records, train, notes) for name in options.label}
        schema = Schema(
            dataset=self.name,
            modality=self.modality,
            shape=(columns[-1].stop,),
            dtype="float32",
            columns=tuple(columns),
            tasks={name: classes for name, (classes, _) in labels.items()},
            attributes={name: categories[name] for name in options.sensitive},
        )
        codes = {name: found for name, (_, found) in labels.items()}
        sources = _digests(paths)
        return Prepared(schema, _samples(schema, features, codes, train), sources, notes=notes.as_dict())

    def digests(self, source: Path, options: TableOptions) -> dict[str, str]:
        """SHA-256 of each file."""
        return _digests(source_paths(source))

    def augment_view(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """Corrupt each view as SCARF does, so that aligning a pair is not trivial."""
        from contextssl_cli.data.augment import scarf_corruption

        return scarf_corruption(inputs, schema, CORRUPTION_RATE, generator)


def _digests(paths: Sequence[Path]) -> dict[str, str]:
    return {path.name: file_hash(path) for path in paths}


def _check_ids(records: Records, options: TableOptions) -> None:
    if options.id is None:
        return
    column = as_text(records.columns[options.id])
    missing = column.is_null().to_numpy()
    if missing.any():
        raise CorruptFileError(f"{records.place(int(np.argmax(missing)))}: the column {options.id!r} names no record")
    twice = column.is_duplicated().to_numpy()
    if twice.any():
        rows = np.flatnonzero(twice)
        first = column[int(rows[0])]
        other = int(np.flatnonzero((column == first).to_numpy())[1])
        repeated = column.gather(rows).unique(maintain_order=True)
        names = ", ".join(map(cut, repeated[:5]))
        names += f" and {len(repeated) - 5:,} more" if len(repeated) > 5 else ""
        raise CorruptFileError(
            f"{records.place(other)}: the id {shown(first)} has occurred before, in {records.place(int(rows[0]))}; ids "
            f"that occur twice: {names}"
        )


def _samples(
    schema: Schema, features: Sequence[Feature], labels: dict[str, NDArray[np.int64]], train: NDArray[np.bool_]
) -> Iterator[Samples]:
    attributes = {f.column.attribute: f.values for f in features if f.column.attribute}
    for start in range(0, len(train), _ROWS):
        rows = slice(start, start + _ROWS)
        inputs = np.zeros((len(train[rows]), *schema.shape), dtype=np.float32)
        for feature in features:
            feature.write(inputs, rows)
        for split, chosen in (("train", train[rows]), ("test", ~train[rows])):
            if chosen.any():
                yield Samples(
                    split,
                    inputs[chosen],
                    labels={name: codes[rows][chosen] for name, codes in labels.items()},
                    attributes={name: codes[rows][chosen] for name, codes in attributes.items()},
                )
