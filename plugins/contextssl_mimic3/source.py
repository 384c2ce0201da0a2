"""The folder with the tables: where it is, what is in it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from contextssl_cli import paths
from contextssl_cli.errors import DataMissingError, UsageError
from contextssl_cli.files import check_input, file_hash, read_error
from contextssl_cli.plugin.sources import download, source_folder
from contextssl_cli.text import printable
from contextssl_mimic3.demo import PAGE as DEMO_PAGE
from contextssl_mimic3.demo import URLS
from contextssl_mimic3.reading import Rewritten, read_table
from contextssl_mimic3.tables import PUBLISHED_ROWS, SPREADSHEET_ROWS, TABLES

if TYPE_CHECKING:
    import polars as pl

PAGE = "https://physionet.org/content/mimiciii/1.4/"
_log = logging.getLogger(__name__)


def find_folder(source: Path | None, *, demo: bool) -> Path:
    """The folder with the tables.

    Args:
        source: as the user named it.
        demo: download the open demo.

    Raises:
        UsageError: if both are asked for.
        DataMissingError: if neither is, and no tables lie where they are looked for.
    """
    if source and demo:
        raise UsageError("--demo downloads the open demo, --source reads tables of yours; give one of them")
    if demo:
        return download(URLS, "mimic3", DEMO_PAGE)
    usual = paths.home() / "sources" / "mimic3"
    if source or usual.is_dir():
        return source or usual
    raise DataMissingError(
        f"MIMIC-III may not be downloaded by a program: no --source was given, and there is no folder {usual}. Ask for "
        f"access at {PAGE} (PhysioNet credentialing: a course and a data use agreement), then: contextssl prepare "
        "mimic3 --source DIR. Or take the open demo of 100 patients: contextssl prepare mimic3 --demo"
    )


class Source:
    """The tables of a folder, ``.csv`` or ``.csv.gz``, their names in capitals or not.

    Where a table exists both plain and compressed, the plain one is read.

    Args:
        folder: that holds them.

    Raises:
        DataMissingError: if the folder, or a table that is needed, is not there.
        UnsafeFileError: if a table is a FIFO, a socket, a device or a folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = source_folder(folder, "the folder with the tables of MIMIC-III v1.4")
        try:
            named = {path.name.upper(): path for path in sorted(folder.iterdir(), reverse=True)}
        except OSError as error:
            raise read_error(folder, error) from error
        found = {name: named.get(f"{name}.CSV") or named.get(f"{name}.CSV.GZ") for name in TABLES}
        self.files = {name: check_input(path) for name, path in found.items() if path}
        self.rows: dict[str, int] = {}
        """Records of the tables that were read to their end."""
        self.codes: dict[str, str] = {}
        """What the user should know of the ICD-9 codes of a table, by table."""
        self._rewritten: dict[str, dict[str, Rewritten]] = {name: {} for name in TABLES}
        missing = [name for name, table in TABLES.items() if table.needed and name not in self.files]
        if missing:
            raise DataMissingError(
                f"{printable(folder)} has no table {missing[0]} ({missing[0]}.csv or {missing[0]}.csv.gz); all of "
                f"{', '.join(name for name, table in TABLES.items() if table.needed)} are needed ({PAGE})"
            )

    def __contains__(self, name: str) -> bool:
        return name in self.files

    def read(self, name: str) -> Iterator[pl.DataFrame]:
        """Frames of a table; none if it is not there.

        Raises:
            CorruptFileError: see ``read_table``.
        """
        if name not in self.files:
            return
        _log.info("reading %s", self.files[name])
        rows = 0
        for frame in read_table(self.files[name], TABLES[name], self._rewritten[name]):
            rows += len(frame)
            yield frame
        self.rows[name] = rows

    def whole(self, name: str) -> pl.DataFrame:
        """A table that fits into memory."""
        import polars as pl

        return pl.concat(self.read(name))

    def digests(self) -> dict[str, str]:
        """SHA-256 by file name."""
        return {path.name: file_hash(path) for path in self.files.values()}

    def left_out(self) -> dict[str, str]:
        """The tables that are not there, with what is lost."""
        return {
            name: f"without it there is no {table.lost}" for name, table in TABLES.items() if name not in self.files
        }

    def maybe_cut_off(self) -> dict[str, str]:
        """The tables that may have been cut off: they have fewer records than were published, or fill a spreadsheet."""
        published = PUBLISHED_ROWS.get(self.rows.get("PATIENTS", 0), {})
        fewer = {
            name: f"{rows:,} records, {published[name]:,} were published; it may be cut off"
            for name, rows in self.rows.items()
            if rows < published.get(name, 0)
        }
        full = {
            name: f"{rows:,} records, as many as a spreadsheet holds; it may be cut off"
            for name, rows in self.rows.items()
            if rows in SPREADSHEET_ROWS
        }
        return full | fewer

    def rewritten(self) -> dict[str, str]:
        """The columns with cells that another program has written in another form; their values are the same."""
        return {
            f"{table} {column}": f"{found.cells:,} cells such as {printable(found.example)!r}"
            for table, columns in self._rewritten.items()
            for column, found in columns.items()
        }
