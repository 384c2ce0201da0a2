"""Results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contextssl_cli.errors import ContextSSLError
from contextssl_cli.text import is_figure, printable, printable_lines, reason

_LONGEST = 2000  # characters of an error message


class Terminal:
    """The two streams, and their verbosity.

    Printed text may hold names and messages from outside. It passes through ``printable``, so it cannot act on the
    terminal, and a line break in it cannot forge a line of output.

    Attributes:
        verbosity: -1 after ``-q`` (errors only), 0, 1 after ``-v``, 2 after ``-vv`` (tracebacks).
    """

    def __init__(self) -> None:
        self.verbosity = 0
        self.out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)

    def result(self, text: str) -> None:
        """Print a line of the result."""
        self._print(self.out, printable(text))

    def plan(self, text: str, *, as_json: bool) -> None:
        """Print what a command would do, for ``--dry-run``; or one JSON object."""
        if as_json:
            self.json({"dry_run": text})
        else:
            self.result(text)

    def written(self, *paths: Path) -> None:
        """Print a line for each file that was written."""
        for path in paths:
            self.result(f"wrote {path}")

    def json(self, value: Any) -> None:
        """Print the result as one JSON object in ASCII; NaN and infinite numbers become null."""
        text = json.dumps(_finite(value), indent=2, allow_nan=False).replace("\x7f", "\\u007f")
        with self._writing(self.out):
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def note(self, text: str, verbosity: int = 0) -> None:
        """Print a line on stderr if the verbosity is at least the given one."""
        if self.verbosity >= verbosity:
            self._print(self.err, printable(text))

    def error(self, code: str, text: str) -> None:
        """Print an error message with its stable code (``docs/errors.md``)."""
        shown = printable(text)
        if len(shown) > _LONGEST:  # it quotes a value of thousands of characters
            shown = f"{shown[: _LONGEST - 300]} ... {shown[-300:]}"
        self._print(self.err, f"error[{code}]: {shown}", style="red")

    def traceback(self, error: BaseException) -> None:
        """Print the traceback of an error, indented, since its text may have line breaks."""
        text = "".join(traceback.format_exception(error))
        self._print(self.err, "\n".join(f"  {line}" for line in printable_lines(text).splitlines()))

    def facts(self, facts: Mapping[str, Any], *, as_json: bool) -> None:
        """Print names and values, one per line; or one JSON object."""
        if as_json:
            self.json(facts)
            return
        width = max(map(len, facts))
        for name, value in facts.items():
            text = ", ".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, dict) else value
            self.result(f"{name:<{width}}  {text}")

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]], labels: int = 1) -> None:
        """Print a table on stdout; columns of numbers after the labels are aligned to the right.

        A table that is wider than the terminal is printed in several parts, each with the columns of labels and text.

        Args:
            title: above the table.
            header: the heads of the columns.
            rows: their cells.
            labels: how many columns label a row.
        """
        shown = [[printable(cell) for cell in line] for line in (header, *rows)]
        figures = [
            number for number in range(labels, len(header)) if all(is_figure(line[number]) for line in shown[1:])
        ]
        self._print(self.out, printable(title), style="bold")
        for part in self._parts(shown, figures):
            table = Table()
            for number in part:
                justify: Literal["left", "right"] = "right" if number in figures else "left"
                table.add_column(Text(shown[0][number]), justify=justify, overflow="fold")
            for line in shown[1:]:
                table.add_row(*(Text(line[number]) for number in part))
            self._print(self.out, table, soft_wrap=False)

    def _parts(self, lines: Sequence[Sequence[str]], figures: Sequence[int]) -> list[list[int]]:
        """The columns of each part of a table: all labels, and as many columns of figures as fit."""
        if not self.out.is_terminal:
            self.out.width = 200  # a pipe has no width of its own
        labels = [number for number in range(len(lines[0])) if number not in figures]
        words = [[*head.split(), *cells] for head, *cells in zip(*lines, strict=True)]  # a head breaks at its blanks
        widths = [3 + max(map(cell_len, column), default=0) for column in words]  # with borders
        room = self.out.width - 1 - sum(widths[number] for number in labels)
        parts: list[list[int]] = [[]]
        for number in figures:
            if parts[-1] and sum(widths[other] for other in (*parts[-1], number)) > room:
                parts.append([])
            parts[-1].append(number)
        return [sorted([*labels, *part]) for part in parts]

    def listen(self) -> None:
        """Print log messages of this package and warnings, also those of libraries, as notes of one line."""
        logging.getLogger("contextssl_cli").setLevel(logging.INFO)
        logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it reports its cache and missing fonts
        root = logging.getLogger()
        root.handlers = [handler for handler in root.handlers if not isinstance(handler, _NoteHandler)]
        root.addHandler(_NoteHandler(self))

        def show(message: Warning | str, *_: Any, **__: Any) -> None:
            self.note(f"warning: {' '.join(str(message).split())}")

        warnings.showwarning = show

    def settle(self) -> None:
        """Flush the streams; what cannot be written is dropped, or Python would fail at its exit."""
        for console in (self.out, self.err):
            try:
                console.file.flush()
            except (OSError, ValueError):
                _discard(console.file)

    def _print(self, console: Console, text: str | Table, **how: Any) -> None:
        """Print text or a table: the only place that does."""
        with self._writing(console):
            console.print(text, **how)

    @contextmanager
    def _writing(self, console: Console) -> Iterator[None]:
        """Raise an error if results cannot be written; continue if notes cannot.

        Raises:
            ContextSSLError: if stdout cannot be written to, such as on a full disk.
            BrokenPipeError: if the other end of a pipe is closed.
        """
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            _discard(console.file)
            if console is self.out:
                why = error.strerror or str(error)
                raise ContextSSLError(f"cannot write the result to the standard output: {why}") from error


class _NoteHandler(logging.Handler):
    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = " ".join(record.getMessage().split())
        except Exception as error:  # a library's message and its values may not fit
            text = f"{record.name}: {reason(error)}"
        self._terminal.note(text)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _discard(stream: Any) -> None:
    """Redirect a stream that cannot be written to the null device."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


terminal = Terminal()
