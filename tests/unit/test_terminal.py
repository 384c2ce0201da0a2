"""What is printed: nothing from outside acts on the terminal, and a stream that cannot be written has an answer."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from contextssl_cli.errors import ContextSSLError
from contextssl_cli.report.plugins import print_findings
from contextssl_cli.report.progress import training_progress
from contextssl_cli.report.terminal import Terminal, terminal
from contextssl_cli.training.progress import Progress

HOSTILE = [
    "\x1b[2J\x1b[H",  # clears the screen
    "\x1b]0;title\x07",  # names the window
    "a\nerror[E100]: forged",
    "b\rwrote nothing",
    "\x9b31m",  # the same as ESC [ in one character
    "\u202egnp.exe",  # turns what follows around
    "\x7f\x08\x08",
    "[red]markup[/red] :warning:",
    os.fsdecode(b"\xff"),
]


def progress(text: str) -> None:
    with training_progress(text) as report:
        report(Progress(1, 1, {text: 1.0}))


def warned(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        terminal.listen()
        warnings.warn(text, stacklevel=1)


def logged(text: str) -> None:
    terminal.listen()
    logging.getLogger("contextssl_cli.somewhere").info("reading %s", text)
    logging.getLogger("a.library").warning("odd: %s", text)


PRINTERS: dict[str, Callable[[str], object]] = {
    "result": terminal.result,
    "note": terminal.note,
    "error": lambda text: terminal.error("E200", text),
    "table": lambda text: terminal.table(text, [text, "b"], [[text, text]]),
    "written": lambda text: terminal.written(Path(text)),
    "facts": lambda text: terminal.facts({text: {text: text}}, as_json=False),
    "facts as JSON": lambda text: terminal.facts({text: {text: text}}, as_json=True),
    "findings": lambda text: print_findings(
        [dict.fromkeys(("result", "subject", "rule", "text"), text)], as_json=False
    ),
    "progress": progress,
    "warning": warned,
    "log": logged,
    "traceback": lambda text: terminal.traceback(ValueError(text)),
}


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("printer", PRINTERS)
def test_no_text_acts_on_the_terminal_or_forges_a_line(
    printer: str, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "verbosity", 2)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    PRINTERS[printer](text)
    out, err = capsys.readouterr()
    shown = out + err
    assert shown
    assert all(line.isprintable() for line in shown.split("\n"))
    shown.encode()
    forged = [line for line in shown.split("\n") if line.startswith(("error[E100]", "wrote nothing"))]
    assert forged == []


def test_markup_and_emoji_in_a_name_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    name = "[red]a[/red] :warning: [link=http://x]b[/link]"
    terminal.result(name)
    terminal.table("t", ["h"], [[name]])
    shown = capsys.readouterr().out
    assert shown.count(name) == 2


def test_json_has_null_for_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.json({"a": [float("nan"), 1.5], "b": {"c": float("-inf")}, "d": (float("inf"), "NaN")})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.5], "b": {"c": None}, "d": [None, "NaN"]}


def test_json_is_ascii_and_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"names": HOSTILE}
    terminal.json(value)
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert "\x7f" not in shown
    assert json.loads(shown) == value


class Full:
    """A stream on a full disk."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")

    def isatty(self) -> bool:
        return False


def test_a_result_that_cannot_be_written_is_a_failure_and_a_note_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Terminal()
    monkeypatch.setattr(sys, "stdout", Full())
    monkeypatch.setattr(sys, "stderr", Full())
    for print_it in (own.result, own.json):
        with pytest.raises(ContextSSLError) as caught:
            print_it("text")
        assert (caught.value.exit_code, caught.value.code) == (1, "E100")
    own.note("text")
    own.error("E200", "text")
    own.settle()


PROGRAM = "from contextssl_cli.cli.app import main; main()"


@pytest.mark.parametrize(
    ("redirection", "code"),
    [(">/dev/full", 1), ("2>/dev/full", 0), (">&- 2>&- <&-", 0), (">&-", 0)],
)
@pytest.mark.slow
def test_streams_that_are_full_or_closed(redirection: str, code: int, tmp_path: Path) -> None:
    command = f"{sys.executable} -c '{PROGRAM}' plugins --json {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.stderr.count("error[") == code


@pytest.mark.parametrize("columns", [3, 12])
def test_a_wide_table_of_numbers_is_printed_in_parts_that_fit(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(terminal, "out", Console(file=stream, force_terminal=True, width=80, color_system=None))
    header = ["context", "tokens", *(f"figure {number}" for number in range(columns))]
    rows = [["rotation", str(length), *(f"{number}.125 ± 0.250" for number in range(columns))] for length in (0, 126)]
    terminal.table("wide", header, rows, labels=2)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    for number in range(columns):  # every figure is whole, in a line with its labels
        found = [line for line in lines if f"{number}.125 ± 0.250" in line.replace("│", " ")]
        assert [("rotation" in line) for line in found].count(True) >= 2
