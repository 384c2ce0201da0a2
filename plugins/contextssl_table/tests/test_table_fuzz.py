"""Any table is read, or refused with a reason; nothing else happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from table_files import prepared, text_of

from contextssl_cli.errors import ContextSSLError

CELLS = st.one_of(
    st.sampled_from(
        ["", "?", "NA", "1", "2", "-0.5", "1e9", "1e308", "inf", "a", "b", "true", "2024-01-31", "2024-02-30"]
    ),
    st.sampled_from(
        ["(missing)", "(other)", "train", "TEST", '"', "a,b", "two\nlines", " x ", "é", "\x00", "1_0", "0x1F"]
    ),
    st.sampled_from(["NAN", "-nan", "Infinity", "None", "<NA>", "1e400", "１２", "a\u2028b", "\x0c", "9" * 400, "\r"]),
    st.text(max_size=3),
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "label": st.sampled_from([("a",), ("b", "a")]),
        "sensitive": st.sampled_from([("c",), ("d", "c")]),
        "categorical": st.just(("d",)),
        "split": st.sampled_from(["e", "0.5", "0.3"]),
        "linked": st.just(("c=1: d: a=b",)),
        "max_categories": st.integers(2, 9),
    },
)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[str]]:
    """Five columns, each of a few of the cells."""
    count = draw(st.integers(0, 24))
    columns = {}
    for name in "abcde":
        pool = draw(st.lists(CELLS, min_size=2, max_size=4, unique=True))
        columns[name] = draw(st.lists(st.sampled_from(pool), min_size=count, max_size=count))
    return columns


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(columns=tables(), options=OPTIONS)
def test_any_table_is_read_or_refused(columns: dict[str, list[str]], options: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(text_of(columns).encode("utf-8", "surrogatepass"))
    try:
        found = prepared(path, **options)
        batches = list(found.samples)
    except ContextSSLError:
        return
    again = prepared(path, **options)
    assert again.schema == found.schema
    assert all(note.isprintable() for note in found.notes.values())
    assert {batch.split for batch in batches} == {"train", "test"}
    for batch in batches:
        inputs = np.asarray(batch.inputs)
        assert inputs.shape[1:] == found.schema.shape
        assert np.isfinite(inputs).all()
        for column in found.schema.columns:
            if column.kind == "categorical":
                assert (inputs[:, column.start : column.stop].sum(1) == 1).all()
        for task, classes in found.schema.tasks.items():
            assert (np.asarray(batch.labels[task]) < len(classes)).all()
