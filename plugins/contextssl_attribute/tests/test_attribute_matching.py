"""Pairs of real records: the second is of another group and the nearest in the other columns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from attribute_tables import crowd, decoded, records, schema
from torch import Generator, Tensor

from contextssl_attribute.chosen import ChosenAttribute
from contextssl_cli.data.augment import scarf_corruption
from contextssl_cli.data.pairs import PairSource
from contextssl_cli.errors import UsageError
from contextssl_cli.plugin import Dataset, Options, Prepared, Schema
from contextssl_cli.plugin.attribute import nearest
from contextssl_cli.plugin.task import Task
from tests.draws import seeded

MATCHED = ChosenAttribute().configured({"pairing": "matched"})
GROUPS = (("female", "male"), ("a", "b", "c", "d"))


class People(Dataset):
    name, summary, modality, licence = "people", "people", "table", "none"

    def prepare(self, source: Path | None, options: Options) -> Prepared:
        raise NotImplementedError

    def augment_view(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        return scarf_corruption(inputs, schema, 0.5, generator)


def source(table: Schema, inputs: Tensor, *actions: ChosenAttribute) -> PairSource:
    return PairSource(Task(People(), actions or (MATCHED,)), table, inputs, torch.arange(len(inputs)), {})


def groups_of(table: Schema, inputs: Tensor) -> Tensor:
    column = table.columns[1]
    return inputs[:, column.start : column.stop].argmax(1)


@pytest.mark.parametrize("groups", GROUPS, ids=len)
def test_a_record_stands_for_its_own_category_and_another_for_each_other(groups: tuple[str, ...]) -> None:
    table = schema(groups)
    inputs = crowd(table, 120)
    found, own = MATCHED.partners(inputs, table), groups_of(table, inputs)
    assert found is not None
    assert found.shape == (120, len(groups))
    assert torch.equal(found[torch.arange(120), own], torch.arange(120))
    for code in range(len(groups)):
        assert (own[found[:, code]] == code).all()


def test_the_partner_is_the_nearest_and_of_equal_ones_the_first() -> None:
    table = schema(("a", "b", "c"))  # nothing is linked
    inputs = crowd(table, 150)
    found, own = MATCHED.partners(inputs, table), groups_of(table, inputs)
    assert found is not None
    rest = torch.cat([inputs[:, :1], inputs[:, 4:]], dim=1).double()
    for row in range(150):
        distances = (rest - rest[row]).square().sum(1)
        for code in range(3):
            if code != own[row]:
                candidates = (own == code).nonzero()[:, 0]
                assert found[row, code] == candidates[distances[candidates].argmin()]


def test_a_differing_category_counts_as_much_as_two_random_values_of_a_number() -> None:
    table = schema(("a", "b"))
    near = (1.9**0.5, "b", "child", "a")  # nearer than a record of another town, by its age
    inputs = records(table, [(0.0, "a", "child", "a"), (0.0, "b", "child", "b"), near])
    assert MATCHED.partners(inputs, table)[0, 1] == 2
    far = (2.1**0.5, "b", "child", "a")
    inputs = records(table, [(0.0, "a", "child", "a"), (0.0, "b", "child", "b"), far])
    assert MATCHED.partners(inputs, table)[0, 1] == 1


def test_linked_values_are_compared_after_their_change() -> None:
    table = schema()
    inputs = records(
        table, [(0.0, "male", "husband", "a"), (0.0, "female", "child", "a"), (1.0, "female", "wife", "a")]
    )
    assert MATCHED.partners(inputs, table)[0, 0] == 2  # a husband's counterpart is a wife, a year away
    assert inputs[2, 0] == 1.0


def test_a_category_without_records_is_stood_for_by_the_record_itself() -> None:
    table = schema(("a", "b", "c"))
    inputs = records(table, [(0.0, "a", "child", "a"), (0.0, "c", "child", "b")])
    assert MATCHED.partners(inputs, table).tolist() == [[0, 0, 1], [0, 1, 1]]


def test_pairs_are_real_records_whose_action_is_their_difference() -> None:
    table = schema()
    inputs = crowd(table, 60)
    batch = source(table, inputs).draw(torch.arange(60).repeat(10), seeded(0), augment=False)
    assert torch.equal(batch.x, inputs.repeat(10, 1))
    assert {tuple(row) for row in batch.y.tolist()} <= {tuple(row) for row in inputs.tolist()}
    change = groups_of(table, batch.y) - groups_of(table, batch.x)
    assert torch.equal(batch.actions["attribute"][:, 0], change.float())
    assert abs((change != 0).double().mean() - 0.5) < 0.1


def test_the_attribute_is_written_again_after_corruption() -> None:
    table = schema(("a", "b", "c"))
    inputs = crowd(table, 100)
    batch = source(table, inputs).draw(torch.arange(100), seeded(0), augment=True)
    assert torch.equal(groups_of(table, batch.x), groups_of(table, inputs))
    assert not torch.equal(batch.x, inputs)
    assert torch.equal(batch.first["attribute"], inputs[:, 1:4])
    assert torch.equal(batch.second["attribute"], batch.y[:, 1:4])


def test_partners_are_found_within_the_part_that_is_drawn_from() -> None:
    table = schema()
    inputs = crowd(table, 80)
    inputs[:, 0] = torch.arange(80.0)
    half = source(table, inputs).subset(torch.arange(0, 80, 2))
    batch = half.draw(torch.arange(40).repeat(5), seeded(0), augment=False)
    assert (batch.y[:, 0] % 2 == 0).all()


def test_it_stands_alone() -> None:
    other = ChosenAttribute().configured({"sensitive": "town"})
    table = schema()
    with pytest.raises(UsageError, match="pairs the samples by itself"):
        source(table, crowd(table, 20), MATCHED, other).draw(torch.arange(5), seeded(0), augment=False)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_neither_chunks_nor_threads_change_the_answer(chunk: int) -> None:
    table = schema()
    asked, among = crowd(table, 300), crowd(table, 111, seed=1)
    asked[:, 0] *= 0.1
    among[:, 0] *= 0.3
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        expected = nearest(asked, among)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(nearest(asked, among, chunk), expected)
    distances = (asked.double()[:, None] - among.double()).square().sum(2)
    assert torch.allclose(distances.gather(1, expected[:, None])[:, 0], distances.amin(1), atol=1e-5)


def test_only_a_chunk_of_distances_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    multiply = torch.addmm

    def watched(*tensors: Tensor, **given: float) -> Tensor:
        found = multiply(*tensors, **given)
        held.append(found.numel())
        return found

    monkeypatch.setattr(torch, "addmm", watched)
    nearest(torch.randn(500, 3), torch.randn(40, 3), chunk=400)
    assert sum(held) == 500 * 40
    assert max(held) <= 400


def test_the_records_are_not_changed() -> None:
    table = schema()
    inputs = crowd(table, 50)
    before = inputs.clone()
    MATCHED.partners(inputs, table)
    assert torch.equal(inputs, before)
    assert len(decoded(table, inputs)) == 50
