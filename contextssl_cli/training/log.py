"""``metrics.jsonl``: what training told, one JSON object a line."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contextssl_cli import files


@dataclass(frozen=True)
class Journal:
    """The lines of a run, each of a ``step``. There may be no file yet, and a kill may have cut off the last line."""

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
