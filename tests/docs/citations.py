"""Numbers in the documentation that stand in a file of results: ``0.98<!-- results/adult.json: ... -->``.

The comment behind a number names the file, below ``docs/``, and the figure in it:

    <!-- FILE: key.of.the.object -->                                      as adaptation_gap; ``key %`` in hundredths
    <!-- FILE: environment / length / metric / target / probe -->          the mean of a row; the probe's first words do
    <!-- FILE: environment / length / metric / target / probe / std -->    its standard deviation
    <!-- FILE: environment / length / metric / target / probe / % -->      the mean in hundredths, ``/ std %`` likewise

Before either, ``key.of.the.object > `` leads to a part of the file. A page shows no comment. The number has to be the
value rounded to the places that are printed; before ``%``, in hundredths.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NUMBER = r"[-−+]?\d+(?:\.\d+)?"
_COMMENT = re.compile(r"<!-- (?P<file>[\w./-]+\.json): (?P<figure>.*?) -->", re.DOTALL)
_BEFORE = re.compile(rf"(?P<number>{NUMBER})(?P<percent> ?%)?\s*$")
_CODE = (r"^(```|~~~).*?^\1", r"`[^`]*`")


@dataclass(frozen=True)
class Citation:
    """A number as it is printed, and where it is from."""

    number: str
    percent: bool
    file: str
    figure: str
    line: int

    def wrong(self, docs: Path) -> str:
        """What is wrong with it; empty if nothing is."""
        try:
            value = resolve(json.loads((docs / self.file).read_text(encoding="utf-8")), self.figure)
        except (OSError, ValueError, LookupError, TypeError) as error:
            return f"line {self.line}: {self.file}: {self.figure}: {type(error).__name__}: {error}"
        places = len(self.number.partition(".")[2])
        expected = f"{value * 100 if self.percent else value:.{places}f}"
        printed = self.number.replace("−", "-").lstrip("+")
        return "" if expected == printed else f"line {self.line}: {printed} is printed, {self.file} has {expected}"


def citations(text: str) -> Iterator[Citation]:
    """Every number with a comment behind it, outside of code.

    Raises:
        ValueError: if a comment stands behind no number.
    """
    text = _blank(text, *_CODE)
    for comment in _COMMENT.finditer(text):
        before = _BEFORE.search(text[: comment.start()])
        line = text.count("\n", 0, comment.start()) + 1
        if before is None:
            raise ValueError(f"line {line}: no number before {comment.group()}")
        figure = " ".join(comment["figure"].split())
        yield Citation(before["number"], bool(before["percent"]), comment["file"], figure, line)


def resolve(values: Any, figure: str) -> float:
    """The value of a figure.

    Raises:
        LookupError, TypeError: if there is no such key or row, or several rows.
    """
    path, _, asked = figure.rpartition(" > ")
    for key in path.split(".") if path else []:
        values = values[int(key)] if isinstance(values, list) else values[key]
    if " / " not in asked:
        path, percent, _ = asked.partition(" %")
        for key in path.split("."):
            values = values[int(key)] if isinstance(values, list) else values[key]
        return float(values) * (100 if percent else 1)
    environment, length, metric, target, probe, *rest = asked.split(" / ")
    found = [
        row
        for row in values["results"]
        if (row["environment"], row["context_length"], row["metric"], row["target"])
        == (environment, int(length), metric, target)
        and row["probe"].startswith(probe)
    ]
    kind = rest[0] if rest else "mean"
    if len(found) != 1 or len(rest) > 1 or kind not in ("mean", "std", "%", "std %"):
        raise LookupError(f"{len(found)} rows")
    value = float(found[0]["std" if kind.startswith("std") else "mean"])
    return 100 * value if kind.endswith("%") else value


def uncited(text: str) -> list[tuple[int, str]]:
    """Numbers that look like results, with two or three decimals, and cite nothing: (line, number).

    Code, formulas and addresses are left out.
    """
    kept = _blank(
        text,
        *_CODE,
        rf"{NUMBER}( ?%)?\s*{_COMMENT.pattern}",
        r"<!--.*?-->",
        r"\$\$.*?\$\$|\$[^$\n]*\$",
        r"\]\([^)]*\)|https?://\S+|arXiv:\S+",
    )
    numbers = re.finditer(r"(?<![\d.,])\d+\.\d{2,3}(?!\d|[.,]\d)", kept)
    return [(kept.count("\n", 0, number.start()) + 1, number.group()) for number in numbers]


def _blank(text: str, *patterns: str) -> str:
    """The text with blanks in place of what matches; lines stay where they are."""
    for pattern in patterns:
        text = re.sub(pattern, lambda cut: re.sub(r"[^\n]", " ", cut.group()), text, flags=re.MULTILINE | re.DOTALL)
    return text
