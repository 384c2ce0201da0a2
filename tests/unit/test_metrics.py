from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from contextssl_cli.training.metrics import adaptation_gap, pooled_r2
from tests.draws import seeded

ROTATION, COLOR, NONE = ("rotation",), ("color",), ()


def test_pooled_r2_is_the_r2_of_all_outputs_in_one_column() -> None:
    output, target = torch.randn(30, 4, generator=seeded(0)), torch.randn(30, 4, generator=seeded(1)) + torch.arange(4)
    assert pooled_r2(output, target) == pytest.approx(r2_score(target.flatten(), output.flatten()), abs=1e-6)


def test_pooled_r2_has_one_mean_and_not_one_a_column() -> None:
    target = torch.randn(30, 2, generator=seeded(1)) + torch.tensor([0.0, 10.0])
    output = target.mean(dim=0).expand(30, 2)
    assert r2_score(target, output) == pytest.approx(0, abs=1e-6)
    assert pooled_r2(output, target) > 0.9


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_pooled_r2_of_a_target_that_does_not_vary_is_0(value: float) -> None:
    target = torch.full((8, 2), value)
    assert pooled_r2(target, target) == 0
    assert pooled_r2(target + 1, target) == 0


def test_pooled_r2_is_1_for_the_target_0_for_the_mean_and_negative_beyond() -> None:
    target = torch.randn(30, 2, generator=seeded(1))
    assert pooled_r2(target, target) == 1
    assert pooled_r2(target.mean().expand(30, 2), target) == pytest.approx(0, abs=1e-6)
    assert pooled_r2(-target, target) < 0


def test_the_gap_of_two_types_is_that_of_method_md() -> None:
    published = {ROTATION: {"rotation": 0.744, "color": 0.023}, COLOR: {"rotation": 0.344, "color": 0.986}}
    assert adaptation_gap(published, (ROTATION, COLOR)) == pytest.approx(1.363)


def test_the_gap_of_one_type_is_against_the_empty_environment() -> None:
    assert adaptation_gap({ROTATION: {"rotation": 0.9}, NONE: {"rotation": 0.2}}, (ROTATION, NONE)) == pytest.approx(
        0.7
    )


@settings(max_examples=30)
@given(st.integers(2, 5))
def test_the_ceiling_is_the_number_of_types(count: int) -> None:
    environments = tuple((f"type{number}",) for number in range(count))
    perfect = {own: {name: float(name in own) for (name,) in environments} for own in environments}
    assert adaptation_gap(perfect, environments) == pytest.approx(count)


def test_with_more_types_the_other_contexts_are_averaged() -> None:
    names = ("a", "b", "c")
    values = np.arange(9.0).reshape(3, 3)
    r2 = {(own,): dict(zip(names, row, strict=True)) for own, row in zip(names, values, strict=True)}
    by_hand = sum(values[i, i] - np.mean([values[j, i] for j in range(3) if j != i]) for i in range(3))
    assert adaptation_gap(r2, tuple((name,) for name in names)) == pytest.approx(by_hand)


def test_a_probe_that_overfits_counts_as_adaptation_in_the_papers_gap_only() -> None:
    r2 = {ROTATION: {"rotation": 0.98, "color": -0.02}, COLOR: {"rotation": -0.45, "color": 0.97}}
    assert adaptation_gap(r2, (ROTATION, COLOR)) == pytest.approx(0.98 + 0.97)
    assert adaptation_gap(r2, (ROTATION, COLOR), clip=False) == pytest.approx(0.98 + 0.45 + 0.97 + 0.02)


@given(st.lists(st.floats(-5, 1), min_size=4, max_size=4))
def test_the_gap_never_exceeds_its_ceiling(values: list[float]) -> None:
    first, second = ({"rotation": a, "color": b} for a, b in (values[:2], values[2:]))
    assert -2 <= adaptation_gap({ROTATION: first, COLOR: second}, (ROTATION, COLOR)) <= 2


def test_an_embedding_that_ignores_its_context_has_no_gap() -> None:
    same = {"rotation": 0.6, "color": 0.4}
    assert adaptation_gap({ROTATION: same, COLOR: same}, (ROTATION, COLOR)) == 0
