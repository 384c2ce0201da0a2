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
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contextssl_cli.errors import ContextSSLError
from contextssl_cli.text import printable, printable_lines, reason

_LONGEST = 2000  # characters of an error message


class Terminal:
    """The two streams, and how much is said on them.

    All that is printed may hold names and messages from outside. It passes through ``printable``, so it cannot act on
    the terminal, and what has a line break in it cannot look like a line of ours.

    Attributes:
        verbosity: -1 after ``-q`` (errors only), 0, 1 after ``-v``, 2 after ``-vv`` (tracebacks).
    """

    def __init__(self) -> None:
        self.verbosity = 0
        self.out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)

    def result(self, text: str) -> None:
        """A line of the result."""
        self._print(self.out, printable(text))

    def plan(self, text: str, *, as_json: bool) -> None:
        """What a command would do, of ``--dry-run``; or one JSON object."""
        if as_json:
            self.json({"dry_run": text})
        else:
            self.result(text)

    def written(self, *paths: Path) -> None:
        """A line for each file that was written."""
        for path in paths:
            self.result(f"wrote {path}")

    def json(self, value: Any) -> None:
        """The result as one JSON object, in ASCII; NaN and infinite numbers, which JSON does not have, as null."""
        text = json.dumps(_finite(value), indent=2, allow_nan=False).replace("\x7f", "\\u007f")
        with self._writing(self.out):
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def note(self, text: str, verbosity: int = 0) -> None:
        """Something about the way, a line on stderr."""
        if self.verbosity >= verbosity:
            self._print(self.err, printable(text))

    def error(self, code: str, text: str) -> None:
        """An error message, with its stable code (``docs/errors.md``)."""
        shown = printable(text)
        if len(shown) > _LONGEST:  # it quotes a value of thousands of characters
            shown = f"{shown[: _LONGEST - 300]} ... {shown[-300:]}"
        self._print(self.err, f"error[{code}]: {shown}", style="red")

    def traceback(self, error: BaseException) -> None:
        """Where an error came from, indented: its text may have line breaks."""
        text = "".join(traceback.format_exception(error))
        self._print(self.err, "\n".join(f"  {line}" for line in printable_lines(text).splitlines()))

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table on stdout; columns after the first are aligned to the right where they hold numbers."""
        table = Table()
        for number, name in enumerate(header):
            numeric = number > 0 and all(_is_figure(row[number]) for row in rows)
            table.add_column(Text(printable(name)), justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        if not self.out.is_terminal:
            self.out.width = 200  # a pipe has no width: give the table what it needs
        self._print(self.out, printable(title), style="bold")
        self._print(self.out, table, soft_wrap=False)

    def listen(self) -> None:
        """Print log messages and Python warnings as notes of one line: all of ours, the warnings of libraries."""
        logging.getLogger("contextssl_cli").setLevel(logging.INFO)
        logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its cache, and of fonts that it lacks
        root = logging.getLogger()
        root.handlers = [handler for handler in root.handlers if not isinstance(handler, _NoteHandler)]
        root.addHandler(_NoteHandler(self))

        def show(
            message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
            line: str | None = None,
        ) -> None:  # fmt: skip
            self.note(f"warning: {' '.join(str(message).split())}")

        warnings.showwarning = show

    def settle(self) -> None:
        """Write what waits in the streams; what cannot be written is dropped, or Python would fail at its exit."""
        for console in (self.out, self.err):
            try:
                console.file.flush()
            except (OSError, ValueError):
                _discard(console.file)

    def _print(self, console: Console, text: str | Table, **how: Any) -> None:
        """The one place where text is printed."""
        with self._writing(console):
            console.print(text, **how)

    @contextmanager
    def _writing(self, console: Console) -> Iterator[None]:
        """Say so if results cannot be written; go on if notes cannot.

        Raises:
            ContextSSLError: if stdout cannot be written to, such as on a full disk.
            BrokenPipeError: if the reader of a pipe has gone.
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
        except Exception as error:  # a library's message and its values need not fit
            text = f"{record.name}: {reason(error)}"
        self._terminal.note(text)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _discard(stream: Any) -> None:
    """Let a stream that cannot be written to lead nowhere."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


terminal = Terminal()


def _is_figure(text: str) -> bool:
    return not text or text[0].isdigit() or text[0] in "-+"
