"""The samples of the gap that training watches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from contextssl_cli.data.actions import ActionSpace
from contextssl_cli.data.pairs import PairBatch, PairSource
from contextssl_cli.plugin.task import Task
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.monitor import MAX_SAMPLES, Monitor, split_samples
from tests import tiny
from tests.draws import seeded


@pytest.mark.parametrize("seed", range(3))
def test_a_store_ordered_by_class_has_every_class_on_both_sides(seed: int) -> None:
    classes = torch.arange(2000) // 200  # 0, 0, ..., 9, 9
    fit, judge = split_samples(torch.arange(2000), MAX_SAMPLES, seeded(seed))
    for rows in (fit, judge):
        assert len(rows) == MAX_SAMPLES // 2
        assert classes[rows].bincount(minlength=10).min() >= MAX_SAMPLES // 2 // 10 // 3
    assert not set(fit.tolist()) & set(judge.tolist())


@pytest.mark.parametrize("views", [1, 3, 50])
def test_no_object_is_on_both_sides(views: int) -> None:
    objects = torch.arange(6 * views) // views
    fit, judge = split_samples(objects, MAX_SAMPLES, seeded(0))
    assert set(objects[fit].tolist()) | set(objects[judge].tolist()) == set(range(6))
    assert not set(objects[fit].tolist()) & set(objects[judge].tolist())


def test_another_seed_draws_other_samples() -> None:
    one, other = (set(split_samples(torch.arange(2000), MAX_SAMPLES, seeded(seed))[0].tolist()) for seed in range(2))
    assert one != other


def test_the_monitor_fits_and_judges_every_class(
    digits_task: Task, digits_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = torch.from_numpy(digits_store.train.labels("digit")).sort(stable=True)
    source = PairSource.of(digits_task, digits_store.schema, digits_store.train).subset(classes.indices)
    held_out, drawn = source.subset(torch.arange(len(source))[::10]), []
    draw = PairSource.draw

    def watched(self: PairSource, indices: Tensor, *args: Any, **kwargs: Any) -> PairBatch:
        drawn.append((self, indices))
        return draw(self, indices, *args, **kwargs)

    monkeypatch.setattr(PairSource, "draw", watched)
    Monitor(source, held_out, 4, seeded(0))
    sides = [set(classes.values[::10][rows].tolist()) for owner, rows in drawn if owner is held_out]
    assert sides == [set(range(10)), set(range(10))]


def test_the_gap_of_a_seed_is_repeatable(digits_task: Task, digits_store: Store) -> None:
    source = PairSource.of(digits_task, digits_store.schema, digits_store.train)
    train, held_out = source.subset(torch.arange(400)), source.subset(torch.arange(400, 460))
    space = ActionSpace.of(digits_task, digits_store.schema)
    model = tiny.model(digits_store.schema, space=space, encoder="convnet")
    gaps = [Monitor(train, held_out, 4, seeded(5)).gap(model) for _ in range(2)]
    assert gaps[0] == gaps[1]
    assert not model.training
