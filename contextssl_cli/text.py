"""Text from outside, made safe to print, and settings as a user writes them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FIGURE = re.compile(r"([-+]?\d[\d.]*( ± \d[\d.]*)?)?|undefined")
_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str | Path) -> str:
    """Text that cannot act on a terminal: control characters, bidirectional overrides and lone surrogates are escaped.

    Args:
        text: a file name, a column name, or any other text that the program did not write itself. Line breaks are
            escaped too, so that a name cannot forge a line of output.

    Returns:
        The text, with each character that a terminal would act on or could not show as its Python escape.
    """
    return "".join(c if c.isprintable() and c not in _BIDIRECTIONAL else _escaped(c) for c in os.fspath(text))


def printable_lines(text: str) -> str:
    """As ``printable``, for text of several lines: line breaks and tabs stay."""
    return "".join(c if c in "\n\t" else printable(c) for c in text)


def reason(error: BaseException) -> str:
    """``TYPE: text`` of any exception in one line, even if its text cannot be obtained."""
    try:
        text = " ".join(str(error).split())
    except KeyboardInterrupt:
        raise
    except BaseException as broken:  # the __str__ of a plugin's exception may raise anything
        text = f"its text raised {type(broken).__name__}"
    name = printable(type(error).__name__)
    return f"{name}: {printable(text)}" if text else name


def settings_text(values: Mapping[str, Any]) -> str:
    """Settings in one line: ``context_mask 0.2, lr 0.001``."""
    return ", ".join(f"{key} {value_text(value)}" for key, value in values.items())


def value_text(value: Any) -> str:
    """A setting's value as a user would write it: ``none``, ``true``, ``rotation+color``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "+".join(map(value_text, value)) or "none"
    return "none" if value is None or value == {} else str(value)


def is_figure(text: str) -> bool:
    """Whether a cell is a number, with or without a standard deviation, or empty: such cells are aligned right."""
    return _FIGURE.fullmatch(text) is not None


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that is not UTF-8 (PEP 383)
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
