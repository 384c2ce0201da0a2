from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contextssl_cli.data.actions import ActionSpace, Block
from contextssl_cli.errors import CorruptFileError
from contextssl_cli.plugin.task import resolve_task
from tests import tiny

SPACE = tiny.SPACE
widths = st.lists(st.integers(1, 5), min_size=1, max_size=4)
PARTS = {"turn": torch.tensor([[1.0, 2.0]]), "tint": torch.tensor([[3.0, 4.0, 5.0]])}


def space_of(sizes: Sequence[int]) -> ActionSpace:
    return ActionSpace(blocks=tuple(Block(name=f"b{number}", width=width) for number, width in enumerate(sizes)))


@given(widths)
def test_the_blocks_tile_the_vector_in_their_order(sizes: list[int]) -> None:
    space = space_of(sizes)
    places = [place for part in space.slices.values() for place in range(part.start, part.stop)]
    assert places == list(range(space.width))
    assert [part.stop - part.start for part in space.slices.values()] == sizes
    assert list(space.slices) == list(space.names)


@given(widths, st.data())
def test_active_and_inactive_numbers_complement_each_other(sizes: list[int], data: st.DataObject) -> None:
    space = space_of(sizes)
    chosen = data.draw(st.sets(st.sampled_from(space.names)))
    assert torch.equal(space.active(chosen), ~space.active(set(space.names) - chosen))
    assert int(space.active(chosen).sum()) == sum(block.width for block in space.blocks if block.name in chosen)
    assert space.bits(chosen).tolist() == [float(name in chosen) for name in space.names]


@pytest.mark.parametrize(
    ("environment", "vector"),
    [
        ((), [0, 0, 0, 0, 0]),
        (("turn",), [1, 2, 0, 0, 0]),
        (("tint",), [0, 0, 3, 4, 5]),
        (("tint", "turn"), [1, 2, 3, 4, 5]),
    ],
)
def test_inactive_blocks_are_zero(environment: tuple[str, ...], vector: list[float]) -> None:
    assert SPACE.assemble(PARTS, environment, 1).tolist() == [vector]


def test_only_the_active_blocks_must_be_there() -> None:
    only = {"turn": PARTS["turn"]}
    assert torch.equal(SPACE.assemble(only, ("turn",), 1), SPACE.assemble(PARTS, ("turn",), 1))
    assert SPACE.assemble({}, (), 3).tolist() == [[0.0] * 5] * 3


def test_an_unknown_block_is_named_with_a_suggestion() -> None:
    with pytest.raises(CorruptFileError, match=r"'tunr'.*did you mean 'turn'"):
        SPACE.check({"tunr": 2}, ("tunr",))


def test_a_missing_block_is_named() -> None:
    with pytest.raises(CorruptFileError, match="tint"):
        SPACE.assemble({"turn": PARTS["turn"]}, ("turn", "tint"), 1)


def test_a_block_of_another_width_is_refused_with_both_widths() -> None:
    with pytest.raises(CorruptFileError, match=r"'turn'.*width 3.*is 2"):
        SPACE.check({"turn": 3}, ("turn",))


def test_the_space_survives_json() -> None:
    assert ActionSpace.model_validate_json(SPACE.model_dump_json()) == SPACE


def test_a_task_s_space_stands_in_the_order_in_which_the_user_named_it() -> None:
    schema = tiny.image_schema()
    for name in ("digits-rotation-color", "digits-color-rotation"):
        task = resolve_task(name)
        space = ActionSpace.of(task, schema)
        assert space.names == tuple(name.split("-")[1:])
        assert [block.width for block in space.blocks] == [action.width(schema) for action in task.actions]
