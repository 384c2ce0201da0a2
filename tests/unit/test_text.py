"""Text from outside cannot act on a terminal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextssl_cli.text import printable, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name.csv", "plain name.csv"),
        ("caf\u00e9 \u4e2d \U0001f600", "caf\u00e9 \u4e2d \U0001f600"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x9b31m", "\\x9b31m"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("abc\u202egpj.exe", "abc\\u202egpj.exe"),
        ("\ud800", "\\ud800"),
        (os.fsdecode(b"\xff.png"), "\\xff.png"),
    ],
)
def test_what_a_terminal_would_act_on_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(Path(text)) == shown


@given(st.text(st.characters()))
def test_any_text_can_be_printed_and_holds_no_control_character(text: str) -> None:
    assert printable(text).isprintable()
    assert "\x1b" not in printable_lines(text).encode("utf-8").decode("utf-8")
