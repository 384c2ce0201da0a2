"""The corruption of table cells, as SCARF does it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from contextssl_cli.data.augment import scarf_corruption
from contextssl_cli.store.schema import Schema
from tests import tiny
from tests.draws import seeded

CATEGORIES = (1, 40, 1, 30)
SCHEMA = tiny.table_schema(CATEGORIES)


def rows(count: int, schema: Schema = SCHEMA) -> Tensor:
    """Random numbers and random categories, so that two rows hardly ever agree in a cell."""
    generator, parts = seeded(count), []
    for column in schema.columns:
        width = column.stop - column.start
        if width == 1:
            parts.append(torch.randn(count, 1, generator=generator))
        else:
            parts.append(F.one_hot(torch.randint(width, (count,), generator=generator), width).float())
    return torch.cat(parts, dim=1)


def cells(table: Tensor) -> list[Tensor]:
    return [table[:, column.start : column.stop] for column in SCHEMA.columns]


@settings(max_examples=30)
@given(st.integers(1, 30), st.floats(0, 1), st.integers(0, 100))
def test_a_cell_keeps_its_value_or_takes_one_of_its_column_whole(count: int, rate: float, seed: int) -> None:
    table = rows(count)
    for before, after in zip(cells(table), cells(scarf_corruption(table, SCHEMA, rate, seeded(seed))), strict=True):
        assert {tuple(cell) for cell in after.tolist()} <= {tuple(cell) for cell in before.tolist()}


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.8])
def test_about_its_rate_of_the_cells_changes(rate: float) -> None:
    table = rows(4000)
    corrupted = scarf_corruption(table, SCHEMA, rate, seeded(1))
    for places, before, after in zip(CATEGORIES, cells(table), cells(corrupted), strict=True):
        changed = (before != after).any(dim=1).double().mean()
        visible = rate * (1 - 1 / (4000 if places == 1 else places))  # a donor may hold the same value
        assert abs(changed - visible) < 5 * (visible * (1 - visible) / 4000) ** 0.5 + 0.003


def test_columns_are_corrupted_independently() -> None:
    table = rows(4000)
    corrupted = scarf_corruption(table, SCHEMA, 0.5, seeded(1))
    changed = torch.stack([(b != a).any(dim=1) for b, a in zip(cells(table), cells(corrupted), strict=True)]).double()
    off_diagonal = torch.corrcoef(changed) - torch.eye(4)
    assert off_diagonal.abs().max() < 5 / 4000**0.5


def test_a_rate_of_0_changes_nothing_and_nothing_is_changed_in_place() -> None:
    table = rows(50)
    before = table.clone()
    assert torch.equal(scarf_corruption(table, SCHEMA, 0.0, seeded(1)), before)
    scarf_corruption(table, SCHEMA, 1.0, seeded(1))
    assert torch.equal(table, before)


def test_the_generator_decides() -> None:
    once, again, other = (scarf_corruption(rows(50), SCHEMA, 0.5, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
