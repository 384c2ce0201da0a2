"""The points of a grid of settings, as ``--vary KEY=V1,V2`` names them."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contextssl_cli.config.resolve import parse_setting
from contextssl_cli.errors import UsageError

Values = dict[str, Any]
"""The settings that set one point apart, by key."""

_PLAIN = re.compile(r"[A-Za-z0-9_.+-]+((, | )[A-Za-z0-9_.+-]+)*")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.+-]+")
_LONGEST = 80  # characters of a folder's name


def parse_vary(texts: Sequence[str]) -> dict[str, list[Any]]:
    """The grid of ``--vary`` flags: values by key.

    A key may be written with hyphens, ``context-mask``. Values are read as those of ``--set``, so words need no quotes.

    Raises:
        UsageError: if a key or a value is missing, a key is named twice, or it is the seed.
    """
    grid: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, listed = text.partition("=")
        key = name.strip().replace("-", "_")
        if not equals or not key or not listed.strip():
            raise UsageError(f"--vary {text}: expected KEY=V1,V2,...")
        if key == "seed":
            raise UsageError(f"--vary {text}: seeds are repetitions, not settings; name them with --seeds")
        if key in grid:
            raise UsageError(f"--vary names {key} twice; give all of its values at once")
        grid[key] = _values(listed, text)
    return grid


def expand(grid: Mapping[str, Sequence[Any]]) -> list[Values]:
    """Every combination of the grid's values, the last key's changing fastest; one empty point for an empty grid."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def folder_name(label: str) -> str:
    """A label as the name of a folder, ``context_mask=0.2,lr=0.001``; no two labels share one.

    One with other characters, or too long, loses them and ends in a hash.
    """
    if _PLAIN.fullmatch(label) and len(label) <= _LONGEST:
        return label.replace(", ", ",").replace(" ", "=")
    digest = hashlib.sha256(label.encode()).hexdigest()[:8]
    return f"{_UNSAFE.sub('-', label)[:_LONGEST].strip('-')}~{digest}"


def twice(values: Iterable[Any]) -> list[Any]:
    """The values that occur more than once, in their order."""
    found = list(values)
    return [value for number, value in enumerate(found) if value in found[:number]]


def _values(listed: str, text: str) -> list[Any]:
    _, whole = parse_setting(f"values=[{listed}]")
    if isinstance(whole, list):
        return whole
    parts = [part.strip() for part in listed.split(",")]  # bare words are no TOML
    if not all(parts):
        raise UsageError(f"--vary {text}: a value is empty")
    return [parse_setting(f"value={part}")[1] for part in parts]
