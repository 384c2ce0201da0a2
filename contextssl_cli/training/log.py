"""The metrics log of a run, ``metrics.jsonl``: one JSON object per line."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contextssl_cli import files
from contextssl_cli.plugin.task import EVERY_ENVIRONMENT

CONTRAST = "contrast"


@dataclass(frozen=True)
class MetricsLog:
    """The lines of a run, each with a ``step``. The file may not exist yet, and a kill may have cut the last line."""

    path: Path

    def append(self, values: dict[str, Any]) -> None:
        """Write one line."""
        files.append_text(self.path, json.dumps(values) + "\n")

    def lines(self) -> list[dict[str, Any]]:
        """All whole lines; none if there is no file."""
        if not self.path.is_file():
            return []
        found = []
        for text in files.read_bytes(self.path).decode("utf-8", "replace").splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                found.append(json.loads(text))
        return [line for line in found if isinstance(line, dict) and isinstance(line.get("step"), int)]

    def until(self, step: int) -> list[dict[str, Any]]:
        """The lines up to a step."""
        return [line for line in self.lines() if line["step"] <= step]

    def drop_after(self, step: int) -> None:
        """Keep the lines up to a step; a resumed run writes the others again."""
        if self.path.is_file():
            files.write_text(self.path, "".join(json.dumps(line) + "\n" for line in self.until(step)))


def terms_of(line: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The terms of the loss in a line, by name and environment. Values that are no numbers are left out."""
    terms = line.get("terms")
    found = {name: finite_numbers(values) for name, values in terms.items()} if isinstance(terms, dict) else {}
    return {name: values for name, values in found.items() if values}


def main_losses(terms: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The losses that a display shows: the contrast by environment, and the terms without an environment by name."""
    found = {}
    for name, values in terms.items():
        for environment, value in values.items():
            if environment == EVERY_ENVIRONMENT or name == CONTRAST:
                found[name if environment == EVERY_ENVIRONMENT else environment] = value
    return found


def finite_numbers(values: Any) -> dict[str, float]:
    """The values that are finite numbers, by name; none of what is not a JSON object."""
    found = {}
    for name, value in values.items() if isinstance(values, dict) else ():
        with contextlib.suppress(OverflowError):  # a whole number beyond any float
            if isinstance(value, int | float) and math.isfinite(value):
                found[name] = float(value)
    return found
