"""Reading: blocks hold whole records and lose no byte, whatever the text."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contextssl_mimic3 import blocks
from contextssl_mimic3.blocks import ahead, record_blocks, unquoted_commas
from contextssl_mimic3.reading import read_table
from contextssl_mimic3.tables import Table

CELL = st.text(st.sampled_from('ab,"\n\r é'), max_size=12)
ROWS = st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=30)


def text_of(rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue().encode()


@settings(max_examples=60)
@given(ROWS, st.integers(5, 80), st.booleans())
def test_blocks_are_whole_records(rows: list[tuple[str, ...]], size: int, packed: bool) -> None:
    text = text_of(rows)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", size)
        path = Path(folder) / ("table.csv.gz" if packed else "table.csv")
        path.write_bytes(gzip.compress(text) if packed else text)
        found = list(ahead(record_blocks(path)))
    assert b"".join(found) == text
    parts = [list(csv.reader(io.StringIO(block.decode(), newline=""))) for block in found]
    assert [tuple(row) for part in parts for row in part] == rows


@given(ROWS)
def test_only_commas_between_cells_count(rows: list[tuple[str, ...]]) -> None:
    assert unquoted_commas(text_of(rows)) == 2 * len(rows)


@settings(max_examples=20)
@given(ROWS, st.integers(20, 200))
def test_a_table_is_read_as_the_csv_module_reads_it(rows: list[tuple[str, ...]], size: int) -> None:
    table = Table("NOTES", {"ROW_ID": "id", "ONE": "text", "THREE": "text"})
    numbered = [("row_id", "one", "two", "three"), *((str(n), *row) for n, row in enumerate(rows))]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", size)
        path = Path(folder) / "notes.csv"
        path.write_bytes(text_of(numbered))
        frames = list(read_table(path, table, {}))
    found = [row for frame in frames for row in frame.rows()]
    clean = [(n, row[0].strip(), row[2].strip()) for n, row in enumerate(rows)]
    assert [(n, one or "", three or "") for n, one, three in found] == clean


def test_memory_stays_bounded_by_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose text is many times its packed size is not unpacked as a whole."""
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"1,2\n" * 500_000))
    monkeypatch.setattr(blocks, "BLOCK", 10_000)
    sizes = [len(block) for block in record_blocks(path)]
    assert sum(sizes) == 2_000_000
    assert max(sizes) <= 10_000
