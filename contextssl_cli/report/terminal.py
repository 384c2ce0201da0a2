"""Results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table


class Terminal:
    """The two streams, and how much is said on them.

    Attributes:
        verbosity: -1 after ``-q`` (errors only), 0, 1 after ``-v``, 2 after ``-vv`` (tracebacks).
    """

    def __init__(self) -> None:
        self.verbosity = 0
        self.out = Console(highlight=False, soft_wrap=True)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)

    def result(self, text: str) -> None:
        """A line of the result."""
        self.out.print(text, markup=False)

    def written(self, *paths: Path) -> None:
        """A line for each file that was written."""
        for path in paths:
            self.result(f"wrote {path}")

    def json(self, value: Any) -> None:
        """The result as one JSON object."""
        sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")

    def note(self, text: str, verbosity: int = 0) -> None:
        """Something about the way, on stderr."""
        if self.verbosity >= verbosity:
            self.err.print(text, markup=False)

    def error(self, code: str, text: str) -> None:
        """An error message, with its stable code (``docs/errors.md``)."""
        self.err.print(f"error[{code}]: {text}", markup=False, style="red")

    def traceback(self, error: Exception) -> None:
        """Where an error came from."""
        self.err.print("".join(traceback.format_exception(error)), markup=False)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table on stdout; columns after the first are aligned to the right where they hold numbers."""
        table = Table()
        for number, name in enumerate(header):
            numeric = number > 0 and all(_is_figure(row[number]) for row in rows)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*row)
        if not self.out.is_terminal:
            self.out.width = 200  # a pipe has no width: give the table what it needs
        self.out.print(title, markup=False, style="bold")
        self.out.print(table, markup=False, soft_wrap=False)

    def listen(self) -> None:
        """Print the package's log messages and Python warnings as notes of one line."""
        logger = logging.getLogger("contextssl_cli")
        logger.setLevel(logging.INFO)
        logger.handlers = [_NoteHandler(self)]

        def show(
            message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
            line: str | None = None,
        ) -> None:  # fmt: skip
            self.note(f"warning: {message}")

        warnings.showwarning = show


class _NoteHandler(logging.Handler):
    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        self._terminal.note(record.getMessage())


terminal = Terminal()


def _is_figure(text: str) -> bool:
    return not text or text[0].isdigit() or text[0] in "-+"
