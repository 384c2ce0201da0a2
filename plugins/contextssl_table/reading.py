"""Reading a table from its files."""

from __future__ import annotations

import os
from pathlib import Path

from contextssl_cli.errors import CorruptFileError, DataMissingError, UsageError
from contextssl_cli.files import check_input, read_error
from contextssl_cli.text import printable
from contextssl_table.read_csv import read_csv
from contextssl_table.read_parquet import read_parquet
from contextssl_table.records import Records, joined

READERS = {".csv": read_csv, ".parquet": read_parquet}
_OTHER_KINDS = {
    b"PAR1\x15": "Parquet: name it .parquet",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet: unpack it, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "a spreadsheet: save it as CSV",
    b"\x1f\x8b": "compressed with gzip: unpack it",
    b"BZh91AY": "compressed with bzip2: unpack it",
    b"\xfd7zXZ": "compressed with xz: unpack it",
    b"(\xb5/\xfd": "compressed with Zstandard: unpack it",
}
"""By their first bytes: files that are often named .csv and are none."""
SPLITS = ("train", "test")
_EXPECTED = "expected a .csv or .parquet file, or a folder with train.csv and test.csv (or .parquet)"


def source_paths(source: Path | None) -> tuple[Path, ...]:
    """The file of a table, or the two of a folder: that of the training split, then that of the test split.

    Raises:
        DataMissingError: if there is none, or it cannot be reached.
        UsageError: if the file has another form.
        UnsafeFileError: if it is a FIFO, a socket or a device.
    """
    if source is None:
        raise DataMissingError(f"name the table: contextssl prepare table --source FILE; {_EXPECTED}")
    if not _is_there(source):
        raise DataMissingError(f"--source {printable(source)} does not exist; {_EXPECTED}")
    if os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises for a folder that may not be entered
        return _of_folder(source)
    if source.suffix.lower() not in READERS:
        raise UsageError(f"--source {printable(source)}: {_EXPECTED}")
    return (check_input(source),)


def _of_folder(folder: Path) -> tuple[Path, ...]:
    found = {split: [folder / f"{split}{suffix}" for suffix in READERS] for split in SPLITS}
    there = {split: [path for path in paths if _is_there(path)] for split, paths in found.items()}
    for split, paths in there.items():
        if not paths:
            names = " or ".join(path.name for path in found[split])
            raise DataMissingError(f"--source {printable(folder)} is a folder without {names}; {_EXPECTED}")
        if len(paths) > 1:
            raise UsageError(
                f"--source {printable(folder)} holds both {paths[0].name} and {paths[1].name}: keep one of them"
            )
    (train,), (test,) = there["train"], there["test"]
    if train.suffix != test.suffix:
        raise UsageError(f"--source {printable(folder)} holds {train.name} and {test.name}: write both in one format")
    return check_input(train), check_input(test)


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise read_error(path, error) from error
    return True


def read(paths: tuple[Path, ...]) -> Records:
    """The records of all files.

    Raises:
        CorruptFileError: if a file is damaged, empty, or does not fit the other.
    """
    for path in paths:
        if path.suffix.lower() == ".csv":
            _check_is_text(path)
    return joined([READERS[path.suffix.lower()](path) for path in paths])


def _check_is_text(path: Path) -> None:
    with path.open("rb") as stream:
        start = stream.read(8)
    for signature, words in _OTHER_KINDS.items():
        if start.startswith(signature):
            raise CorruptFileError(f"{path} is not CSV but {words}")
