"""Strict parsing of JSON and TOML: anything that is ambiguous, or that later code could not process, is refused."""

from __future__ import annotations

import json
import math
import tomllib
from typing import Any

from contextssl_cli.text import printable

_LEVELS = 100  # of nested tables; code that reads them recurses
_DIGITS = 4300  # of an integer; Python converts no longer ones


def parse_json(text: str) -> Any:
    """Parse JSON. Extensions that ``json.loads`` accepts, and ambiguous objects, are refused.

    Raises:
        ValueError: if it is not JSON, a number is NaN, infinite or has thousands of digits, an object has a key twice,
            or it is nested too deeply.
    """
    try:
        value = json.loads(
            text, parse_constant=_finite, parse_float=_finite, parse_int=_whole, object_pairs_hook=_unique
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check_size(value)
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ValueError: if it is not TOML, a number has thousands of digits, or it is nested too deeply.
    """
    try:
        value = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:  # Python's own, for a number that it does not convert
        raise ValueError(f"a number has more than {_DIGITS:,} digits") from error
    _check_size(value)
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is not a finite number")
    return value


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number has {len(text):,} digits")
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {printable(name[:80])!r} occurs twice")
        found[name] = value
    return found


def _check_size(value: Any) -> None:
    """Refuse nesting that is too deep for recursive code, and numbers that cannot be printed."""
    level = [value]
    for _ in range(_LEVELS + 1):
        if any(isinstance(one, int) and one.bit_length() > _DIGITS * math.log2(10) for one in level):
            raise ValueError(f"a number has more than {_DIGITS:,} digits")
        groups = [one for one in level if isinstance(one, dict | list)]
        if not groups:
            return
        level = [inner for one in groups for inner in (one.values() if isinstance(one, dict) else one)]
    raise ValueError(f"it has more than {_LEVELS} levels")
