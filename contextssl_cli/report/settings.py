"""Settings in words, as a user would write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def describe(values: Mapping[str, Any]) -> str:
    """Settings in words: ``context_mask 0.2, lr 0.001``."""
    return ", ".join(f"{key} {show(value)}" for key, value in values.items())


def show(value: Any) -> str:
    """A value as a user would write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "+".join(map(show, value)) or "none"
    return str(value)
