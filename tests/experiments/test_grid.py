"""Grids of settings: every combination once, each with a folder of its own."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextssl_cli.errors import UsageError
from contextssl_cli.experiments.plan import combinations, folder_name
from contextssl_cli.experiments.sweep import parse_vary
from contextssl_cli.text import settings_text, value_text

KEYS = st.from_regex(r"[a-z]{1,6}(_[a-z]{1,4})?", fullmatch=True).filter(lambda key: key not in ("seed", "none"))
NUMBERS = st.one_of(st.integers(-99, 99), st.floats(-9, 9, allow_nan=False).map(lambda x: round(x, 3)))
WORDS = st.sampled_from(["adam", "all", "one", "convnet"])
VALUES = st.one_of(st.lists(NUMBERS, min_size=1, max_size=4), st.lists(WORDS, min_size=1, max_size=4),
                   st.lists(st.booleans(), min_size=1, max_size=2))  # fmt: skip
GRIDS = st.dictionaries(KEYS, VALUES, max_size=3)


@given(GRIDS)
def test_a_grid_has_every_combination_once(grid: dict[str, list[Any]]) -> None:
    points = combinations(grid)
    assert len(points) == math.prod(len(values) for values in grid.values())
    for place, point in enumerate(points):
        assert list(point) == list(grid)
        number = place
        for key in reversed(grid):  # the last key's values change fastest
            number, digit = divmod(number, len(grid[key]))
            assert point[key] is grid[key][digit]


@given(GRIDS)
def test_what_is_written_as_flags_is_read_back(grid: dict[str, list[Any]]) -> None:
    flags = [f"{key.replace('_', '-')}={','.join(map(value_text, values))}" for key, values in grid.items()]
    assert parse_vary(flags) == grid


@given(st.lists(st.text(min_size=1, max_size=120), unique=True, min_size=2, max_size=8))
def test_no_two_labels_share_a_folder_and_every_folder_is_a_plain_name(labels: list[str]) -> None:
    names = [folder_name(label) for label in labels]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[A-Za-z0-9_.+,=~-]{1,120}", name)] == []


@given(GRIDS)
def test_points_with_different_values_are_described_differently(grid: dict[str, list[Any]]) -> None:
    points = [point for point in combinations(grid) if point]
    described = {}
    for point in points:
        described.setdefault(settings_text(point), []).append(point)
    assert [same for same in described.values() if any(value_text(v) != value_text(w) for p in same
            for v, w in zip(p.values(), same[0].values(), strict=True))] == []  # fmt: skip


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("context-mask=0,0.2,0.98", [0, 0.2, 0.98]),
        ("optimizer=adam,adamw", ["adam", "adamw"]),
        ("grad_clip=none,1.0", [None, 1.0]),
        ("model.skip=true,false", [True, False]),
        ('equivariant=["rotation"],["color"]', [["rotation"], ["color"]]),
        ("actions.gender.pairing=alone", ["alone"]),
    ],
)
def test_values_are_read_as_those_of_set(text: str, values: list[Any]) -> None:
    (found,) = parse_vary([text]).values()
    assert found == values


@pytest.mark.parametrize("text", ["lr", "lr=", "=1,2", "lr= ", "lr=a,,b", "seed=0,1"])
def test_what_names_no_values_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--vary"):
        parse_vary([text])


def test_a_key_is_named_once_however_it_is_spelt() -> None:
    with pytest.raises(UsageError, match="context_mask twice"):
        parse_vary(["context-mask=0,1", "context_mask=0.5"])
