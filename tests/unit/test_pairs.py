"""Batches of pairs, from applied and from recorded action types."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from contextssl_cli.data.pairs import PairBatch, PairSource
from contextssl_cli.errors import CorruptFileError, UsageError
from contextssl_cli.plugin import ActionType, Dataset, Options, Prepared, Schema
from contextssl_cli.plugin.task import Task
from tests import tiny
from tests.draws import seeded

few = settings(max_examples=30)
SCHEMA = tiny.table_schema((1, 1))


class Shift(ActionType):
    """Adds its latent to the first number."""

    name, summary, modality = "shift", "a shift", "table"

    def width(self, schema: Schema) -> int:
        return 1

    def sample(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        return torch.rand(len(inputs), 1, generator=generator)

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        return torch.cat([inputs[:, :1] + latents, inputs[:, 1:]], dim=1)

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        return second - first


class Double(Shift):
    """Multiplies the first number by 1 + its latent, after every shift."""

    name, summary, order = "double", "a factor", 5

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        return torch.cat([inputs[:, :1] * (1 + latents), inputs[:, 1:]], dim=1)


class Pose(ActionType):
    """Recorded with each view."""

    name, summary, modality, recorded = "pose", "a recorded pose", "table", True

    def width(self, schema: Schema) -> int:
        return 1

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        return second - first

    def absolute(self, latents: Tensor) -> Tensor:
        return 2 * latents


class Rows(Dataset):
    name, summary, modality, licence = "rows", "rows", "table", "none"

    def prepare(self, source: Path | None, options: Options) -> Prepared:
        raise NotImplementedError

    def augment_view(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        return inputs + torch.tensor([0.0, 1.0]) * torch.rand(len(inputs), 1, generator=generator)


def source(*actions: ActionType, objects: list[int] | None = None, samples: int = 12) -> PairSource:
    """Sample i is the row (i, i); its recorded pose is i."""
    number = torch.arange(samples if objects is None else len(objects))
    latents = {action.name: number[:, None].float() for action in actions if action.recorded}
    inputs = number[:, None].float().repeat(1, 2)
    return PairSource(
        Task(Rows(), actions), SCHEMA, inputs, number if objects is None else torch.tensor(objects), latents
    )


def parts(batch: PairBatch) -> dict[str, Tensor]:
    named = {"actions": batch.actions, "first": batch.first, "second": batch.second}
    return {"x": batch.x, "y": batch.y} | {f"{n}/{key}": v for n, part in named.items() for key, v in part.items()}


def equal(one: PairBatch, other: PairBatch) -> bool:
    return all(torch.equal(value, parts(other)[name]) for name, value in parts(one).items())


@few
@given(st.integers(0, 2**31), st.booleans())
def test_the_same_seed_gives_the_same_views(seed: int, augment: bool) -> None:
    pairs, rows = source(Shift(), Double()), torch.tensor([3, 1, 3])
    once, again = (pairs.draw(rows, seeded(seed), augment=augment) for _ in range(2))
    assert equal(once, again)
    assert not equal(once, pairs.draw(rows, seeded(seed + 1), augment=augment))


def test_a_seeded_stream_depends_on_every_number_and_their_order() -> None:
    numbers = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 2, 1), (1, 2, 0)]
    assert len({float(torch.rand((), generator=seeded(*n), dtype=torch.double)) for n in numbers}) == len(numbers)


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    source(Shift()).draw(torch.arange(5), seeded(0), augment=True)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_applied_types_make_both_views_of_one_sample() -> None:
    batch = source(Shift()).draw(torch.arange(12), seeded(0), augment=False)
    torch.testing.assert_close(batch.x[:, 0] - batch.first["shift"][:, 0], torch.arange(12.0))
    torch.testing.assert_close(batch.y[:, 0] - batch.second["shift"][:, 0], torch.arange(12.0))
    torch.testing.assert_close(batch.y[:, 0] - batch.x[:, 0], batch.actions["shift"][:, 0])


def test_every_pair_draws_its_own_parameters() -> None:
    batch = source(Shift()).draw(torch.zeros(12, dtype=torch.long), seeded(0), augment=False)
    assert len(batch.x[:, 0].unique()) == len(batch.y[:, 0].unique()) == 12


@pytest.mark.parametrize("named", [(Shift(), Double()), (Double(), Shift())])
def test_types_are_applied_by_their_order_and_not_by_how_they_were_named(named: tuple[ActionType, ...]) -> None:
    batch = source(*named).draw(torch.arange(12), seeded(0), augment=False)
    for view, latents in ((batch.x, batch.first), (batch.y, batch.second)):
        by_hand = (torch.arange(12.0) + latents["shift"][:, 0]) * (1 + latents["double"][:, 0])
        torch.testing.assert_close(view[:, 0], by_hand)


def test_view_augmentation_comes_only_when_asked_for_and_differ_between_the_views() -> None:
    pairs, rows = source(Shift()), torch.arange(12)
    clean, noisy = (pairs.draw(rows, seeded(0), augment=asked) for asked in (False, True))
    assert torch.equal(clean.x[:, 1], torch.arange(12.0))
    assert torch.equal(clean.y[:, 1], torch.arange(12.0))
    assert not torch.isclose(noisy.x[:, 1], noisy.y[:, 1]).any()


def test_the_source_itself_is_not_changed_by_drawing() -> None:
    pairs = source(Shift(), Double())
    before = pairs.inputs.clone()
    pairs.draw(torch.arange(12), seeded(0), augment=True)
    assert torch.equal(pairs.inputs, before)


views = st.lists(st.integers(0, 3), min_size=1, max_size=4).flatmap(
    lambda ids: st.permutations(sorted(ids * 2 + ids[:1]))
)


@few
@given(views, st.integers(0, 1000))
def test_recorded_types_pair_different_views_of_one_object(objects: list[int], seed: int) -> None:
    pairs = source(Pose(), objects=objects)
    batch = pairs.draw(torch.arange(len(objects)), seeded(seed), augment=False)
    first, second = batch.x[:, 0].long(), batch.y[:, 0].long()
    assert torch.equal(pairs.objects[first], pairs.objects[second])
    assert not (first == second).any()
    torch.testing.assert_close(batch.actions["pose"][:, 0], (second - first).float())
    torch.testing.assert_close(batch.second["pose"][:, 0], 2.0 * second)


def test_every_other_view_of_an_object_is_drawn_equally_often() -> None:
    pairs = source(Pose(), objects=[7, 3, 7, 3, 7, 7])
    drawn = pairs.draw(torch.full((3000,), 2), seeded(0), augment=False).y[:, 0].long()
    counts = torch.bincount(drawn, minlength=6)
    assert counts[[1, 2, 3]].tolist() == [0, 0, 0]
    expected, spread = 1000, (3000 / 3 * 2 / 3) ** 0.5
    assert (counts[[0, 4, 5]] - expected).abs().max() < 5 * spread


def test_an_object_with_one_view_is_an_error_that_names_it() -> None:
    with pytest.raises(CorruptFileError, match="object 4 has one"):
        source(Pose(), objects=[1, 1, 4, 2, 2])


def test_an_applied_type_works_beside_a_recorded_one() -> None:
    batch = source(Pose(), Shift(), objects=[0, 0, 1, 1]).draw(torch.arange(4), seeded(0), augment=False)
    assert batch.x[:, 1].tolist() == [0, 1, 2, 3]
    assert batch.y[:, 1].tolist() == [1, 0, 3, 2]
    torch.testing.assert_close(batch.y[:, 0], batch.y[:, 1] + batch.second["shift"][:, 0])


def test_a_subset_keeps_samples_objects_and_latents_together() -> None:
    pairs = source(Pose(), objects=[0, 0, 1, 1, 2, 2]).subset(torch.tensor([4, 2, 5, 3]))
    assert len(pairs) == 4
    assert pairs.objects.tolist() == [2, 1, 2, 1]
    batch = pairs.draw(torch.arange(4), seeded(0), augment=False)
    assert batch.x[:, 0].tolist() == [4, 2, 5, 3]
    assert batch.y[:, 0].tolist() == [5, 3, 4, 2]
    torch.testing.assert_close(batch.first["pose"][:, 0], 2 * batch.x[:, 0])


def test_moving_a_batch_keeps_what_is_in_it() -> None:
    batch = source(Shift()).draw(torch.arange(3), seeded(0), augment=False)
    assert equal(batch.to(torch.device("cpu")), batch)
    assert len(batch) == 3


class Mirrored(Rows):
    """Half of its samples change sign before the views are made."""

    name = "mirrored"

    def augment(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        return inputs * (1 - 2 * torch.randint(2, (len(inputs), 1), generator=generator))

    def augment_view(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        return inputs


def test_an_augmentation_is_shared_by_both_views_and_only_in_training() -> None:
    rows = torch.arange(1, 11)
    pairs = PairSource(Task(Mirrored(), (Shift(),)), SCHEMA, torch.ones(11, 2), torch.arange(11), {})
    batch = pairs.draw(rows, seeded(0), augment=True)
    assert torch.equal(batch.x[:, 1], batch.y[:, 1])
    assert set(batch.x[:, 1].tolist()) == {-1.0, 1.0}
    assert set(pairs.draw(rows, seeded(0), augment=False).x[:, 1].tolist()) == {1.0}


def test_recorded_views_are_not_augmented() -> None:
    views = torch.ones(6, 2)
    latents = {"pose": torch.arange(6.0)[:, None]}
    pairs = PairSource(Task(Mirrored(), (Pose(),)), SCHEMA, views, torch.tensor([0, 0, 1, 1, 2, 2]), latents)
    assert torch.equal(pairs.draw(torch.arange(6), seeded(0), augment=True).x, views)


class Neighbour(Shift):
    """Its second view is the next sample, or the one after it."""

    name = "neighbour"

    def partners(self, inputs: Tensor, schema: Schema) -> Tensor:
        rows = torch.arange(len(inputs))
        return torch.stack([rows + 1, rows + 2], dim=1) % len(inputs)


def test_an_action_type_may_pair_the_samples_by_itself() -> None:
    pairs, rows = source(Neighbour()), torch.arange(8).repeat(20)
    batch = pairs.draw(rows, seeded(0), augment=False)
    steps = (batch.y[:, 1] - batch.x[:, 1]).long()
    assert set(steps.tolist()) == {1, 2}
    within = pairs.subset(torch.tensor([4, 7, 9]))
    assert set(within.draw(torch.zeros(20, dtype=torch.long), seeded(0), augment=False).y[:, 1].tolist()) == {7.0, 9.0}


def test_an_action_type_that_pairs_by_itself_stands_alone() -> None:
    with pytest.raises(UsageError, match="neighbour pairs the samples by itself"):
        source(Neighbour(), Double()).draw(torch.arange(3), seeded(0), augment=False)
