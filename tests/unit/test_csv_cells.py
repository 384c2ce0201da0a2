"""Tables that a spreadsheet or a page shows: no name becomes a formula, a cell, a link or code."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextssl_cli.evaluation.results import Row, cell, to_csv
from contextssl_cli.report.tables import TextTable

FORMULAS = ["=1+1", "+cmd|'/c calc'!A1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff20x", "=", "-"]


def read_back(text: str) -> str:
    return text.removeprefix("'")


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_text(text: str) -> None:
    assert cell(text)[0] not in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


@pytest.mark.parametrize("text", ["-0.5", "+3", "1e-3", "-1E+5", "0", ""])
def test_a_number_stays_a_number(text: str) -> None:
    assert cell(text) == text


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_a_cell_is_read_back_without_one_apostrophe(text: str) -> None:
    assert read_back(cell(text)) == text


@pytest.mark.parametrize("text", [*FORMULAS, "a,b", 'a"b', "a\nforged,1,2", "'quoted", "caf\u00e9"])
def test_rows_keep_their_number_and_their_figures(text: str) -> None:
    rows = [({text: text}, Row(text, 2, text, text, text, -0.5, 0.1, [0, 1], [-0.6, -0.4]))] * 2
    written = to_csv(rows, [text])
    assert len(written.splitlines()) == 3
    header, *lines = csv.reader(io.StringIO(written))
    assert len(lines) == 2
    for line in lines:
        found = dict(zip(header[1:], line[1:], strict=True))
        assert (float(found["mean"]), float(found["std"]), int(found["context_length"])) == (-0.5, 0.1, 2)
        assert [float(value) for value in found["values"].split()] == [-0.6, -0.4]
        assert not any(value.startswith(("=", "@", "+")) for value in line)
    assert not header[0].startswith(("=", "@", "+", "-"))


@pytest.mark.parametrize(
    "text",
    ["a|b", "[x](http://x)", "![x](http://x)", "`code`", "<script>", "a\n| forged |", "a\\|b", "\x1b[2J", "\u202e"],
)
def test_a_name_in_markdown_is_text(text: str) -> None:
    shown = TextTable("title", [text, "b"], [[text, "1"], ["c", "2"]]).markdown()
    assert len(shown.splitlines()) == 4
    assert all(line.isprintable() for line in shown.splitlines())
    for line in shown.splitlines():
        plain = line.replace("\\\\", "")  # a backslash that stands for itself
        for mark in "[]`<>":
            assert plain.count(mark) == plain.count(f"\\{mark}")
        assert plain.count("|") - plain.count("\\|") == 3
