"""What changes in a record when its attribute changes, and what the action says."""

from __future__ import annotations

import pytest
import torch
from attribute_tables import crowd, decoded, records, schema
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contextssl_attribute.chosen import ChosenAttribute
from contextssl_cli import testing
from contextssl_cli.errors import UsageError
from contextssl_cli.plugin import Column
from tests.draws import seeded

GROUPS = (("female", "male"), ("female", "male", "other"), tuple("abcdefg"))
PAIRINGS = ("alone", "counterfactual", "matched")


def change(**options: str) -> ChosenAttribute:
    return ChosenAttribute().configured(options)


@pytest.mark.parametrize("groups", GROUPS, ids=len)
@pytest.mark.parametrize("pairing", PAIRINGS)
def test_the_contract(groups: tuple[str, ...], pairing: str) -> None:
    testing.check_action_type(change(pairing=pairing), schema(groups), crowd(schema(groups), 64))


@pytest.mark.parametrize("groups", GROUPS, ids=len)
def test_every_category_is_drawn_as_often(groups: tuple[str, ...]) -> None:
    table = schema(groups)
    action, inputs = change(), torch.zeros(6000, table.shape[0])
    drawn = action.apply(inputs, action.sample(inputs, table, seeded(1)), table)
    shares = drawn[:, 1 : 1 + len(groups)].mean(0)
    assert (shares - 1 / len(groups)).abs().max() < 0.03


def test_a_binary_change_is_one_number() -> None:
    table = schema()
    assert change().width(table) == 1
    zero, one = torch.tensor([[0.0]]), torch.tensor([[1.0]])
    found = [change().relative(a, b).item() for a in (zero, one) for b in (zero, one)]
    assert found == [0.0, 1.0, -1.0, 0.0]


def test_binary_draws_are_those_of_the_first_version() -> None:
    inputs = crowd(schema(), 500)
    as_before = torch.randint(2, (500, 1), generator=seeded(3)).to(inputs)
    assert torch.equal(change().sample(inputs, schema(), seeded(3)), as_before)


@given(st.integers(3, 9), st.data())
def test_a_change_among_many_says_what_is_left_and_what_is_reached(count: int, data: st.DataObject) -> None:
    table = schema(tuple(f"g{n}" for n in range(count)))
    before, after = (data.draw(st.integers(0, count - 1)) for _ in range(2))
    assert change().width(table) == count
    expected = [0.0] * count
    expected[after] += 1
    expected[before] -= 1
    codes = torch.eye(count)
    assert change().relative(codes[[before]], codes[[after]])[0].tolist() == expected


@pytest.mark.parametrize("groups", GROUPS, ids=len)
def test_alone_nothing_else_changes(groups: tuple[str, ...]) -> None:
    table = schema(groups)
    inputs, action = crowd(table, 200), change(pairing="alone")
    changed = action.apply(inputs, action.sample(inputs, table, seeded(0)), table)
    places = torch.ones(table.shape[0], dtype=torch.bool)
    places[1 : 1 + len(groups)] = False
    assert torch.equal(changed[:, places], inputs[:, places])
    assert not torch.equal(changed, inputs)


@pytest.mark.parametrize("groups", GROUPS[:2], ids=len)
def test_linked_values_follow(groups: tuple[str, ...]) -> None:
    table = schema(groups)
    people = [(30.0, "male", "husband", "a"), (31.0, "female", "wife", "b"), (5.0, "male", "child", "a")]
    inputs, codes = records(table, people), torch.eye(len(groups))

    def written(group: str) -> list[tuple[str, ...]]:
        latents = codes[[groups.index(group)] * 3] if len(groups) > 2 else torch.full((3, 1), groups.index(group) / 1.0)
        return decoded(table, change(pairing="counterfactual").apply(inputs, latents, table))

    assert written("female") == [("female", "wife", "a"), ("female", "wife", "b"), ("female", "child", "a")]
    assert written("male") == [("male", "husband", "a"), ("male", "husband", "b"), ("male", "child", "a")]
    if len(groups) > 2:  # nothing is linked to it
        assert written("other") == [("other", "husband", "a"), ("other", "wife", "b"), ("other", "child", "a")]


def test_a_record_s_own_category_changes_nothing() -> None:
    table = schema()
    inputs = records(
        table, [(30.0, "male", "husband", "a"), (31.0, "female", "wife", "b"), (5.0, "male", "child", "b")]
    )
    own = torch.tensor([[1.0], [0.0], [1.0]])
    for pairing in PAIRINGS:
        assert torch.equal(change(pairing=pairing).apply(inputs, own, table), inputs)


def test_a_change_done_twice_is_done_once() -> None:
    table, action = schema(), change()
    inputs = crowd(table, 100)
    latents = action.sample(inputs, table, seeded(0))
    once = action.apply(inputs, latents, table)
    assert torch.equal(action.apply(once, latents, table), once)


def test_a_value_that_was_corrupted_away_stays_as_it_is() -> None:
    """A block that is not one-hot is mapped place by place."""
    table = schema()
    inputs = records(table, [(1.0, "male", "husband", "a")])
    inputs[0, 3:6] = torch.tensor([0.25, 0.5, 0.25])
    changed = change().apply(inputs, torch.zeros(1, 1), table)
    assert changed[0, 3:6].tolist() == [0.25, 0.0, 0.75]


def test_any_categorical_column_may_change() -> None:
    table = schema()
    action = change(sensitive="town")
    inputs = records(table, [(1.0, "male", "husband", "a")])
    assert decoded(table, action.apply(inputs, torch.ones(1, 1), table)) == [("male", "husband", "b")]


def test_the_first_attribute_is_the_default() -> None:
    table = schema(attributes={"town": ("a", "b"), "sex": ("female", "male")})
    columns = tuple(c.model_copy(update={"attribute": "town"}) if c.name == "town" else c for c in table.columns)
    assert change().column(table.model_copy(update={"columns": columns})).name == "town"


@pytest.mark.parametrize(
    ("sensitive", "words"),
    [("age", "numbers"), ("gendre", "gendre"), ("toun", "'town'")],
)
def test_a_column_that_cannot_change(sensitive: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        change(sensitive=sensitive).width(schema())


def test_a_table_without_an_attribute() -> None:
    with pytest.raises(UsageError, match="declares no sensitive attribute"):
        change().width(schema(attributes={}))


def test_a_constant_attribute() -> None:
    with pytest.raises(UsageError, match="has 1 categories: a change needs two"):
        change().width(schema(("all",)))


@pytest.mark.parametrize(
    ("linked", "words"),
    [
        ({"sex": {"male": {"wife": "widower"}}}, "'widower'"),
        ({"sex": {"male": {"spouse": "husband"}}}, "'spouse'"),
        ({"sex": {"male": {"wife": "husband", "husband": "child"}}}, "which changes too"),
        ({"sex": {"neither": {"wife": "husband"}}}, "'neither': no such category"),
        ({"race": {"male": {"wife": "husband"}}}, "which no other column holds"),
    ],
)
def test_a_wrong_link_is_refused(linked: dict[str, dict[str, dict[str, str]]], words: str) -> None:
    table = schema()
    with pytest.raises(ValidationError, match=words):
        schema(columns=[c.model_dump() | ({"linked": linked} if c.name == "role" else {}) for c in table.columns])


def test_a_link_of_the_attribute_to_itself_is_refused() -> None:
    values = {"name": "sex", "kind": "categorical", "start": 0, "stop": 2, "categories": ("f", "m"), "attribute": "sex"}
    column = Column(**values, linked={"sex": {"f": {"m": "f"}}})
    with pytest.raises(ValidationError, match="which no other column holds"):
        schema(columns=(column,), shape=(2,))
