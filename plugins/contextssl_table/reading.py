"""Reading a table from its files."""

from __future__ import annotations

from pathlib import Path

from contextssl_cli.errors import DataMissingError, UsageError
from contextssl_table.read_csv import read_csv
from contextssl_table.read_parquet import read_parquet
from contextssl_table.records import Records, joined

READERS = {".csv": read_csv, ".parquet": read_parquet}
SPLITS = ("train", "test")
_EXPECTED = "expected a .csv or .parquet file, or a folder with train.csv and test.csv (or .parquet)"


def source_paths(source: Path | None) -> tuple[Path, ...]:
    """The file of a table, or the two of a folder: that of the training split, then that of the test split.

    Raises:
        DataMissingError: if there is none.
        UsageError: if the file has another form.
    """
    if source is None:
        raise DataMissingError(f"name the table: contextssl prepare table --source FILE; {_EXPECTED}")
    if not source.exists():
        raise DataMissingError(f"--source {source} does not exist; {_EXPECTED}")
    if source.is_dir():
        return _of_folder(source)
    if source.suffix.lower() not in READERS:
        raise UsageError(f"--source {source}: {_EXPECTED}")
    return (source,)


def _of_folder(folder: Path) -> tuple[Path, ...]:
    found = {split: [folder / f"{split}{suffix}" for suffix in READERS] for split in SPLITS}
    there = {split: [path for path in paths if path.is_file()] for split, paths in found.items()}
    for split, paths in there.items():
        if not paths:
            names = " or ".join(path.name for path in found[split])
            raise DataMissingError(f"--source {folder} is a folder without {names}; {_EXPECTED}")
        if len(paths) > 1:
            raise UsageError(f"--source {folder} holds both {paths[0].name} and {paths[1].name}: keep one of them")
    (train,), (test,) = there["train"], there["test"]
    if train.suffix != test.suffix:
        raise UsageError(f"--source {folder} holds {train.name} and {test.name}: write both in one format")
    return train, test


def read(paths: tuple[Path, ...]) -> Records:
    """The records of all files.

    Raises:
        CorruptFileError: if a file is damaged, empty, or does not fit the other.
    """
    return joined([READERS[path.suffix.lower()](path) for path in paths])
