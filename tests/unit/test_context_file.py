"""The context and its file, ours and a user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from contextssl_cli.errors import CorruptFileError, InvalidInputError
from contextssl_cli.store.context import CONTEXT_KIND, CONTEXT_VERSION, Context

X = np.linspace(0, 1, 15, dtype=np.float32).reshape(3, 5)
Y, TURN = X[::-1].copy(), np.array([[1.0], [2.0], [3.0]], np.float32)
few = settings(max_examples=20)
kinds = st.sampled_from([np.uint8, np.int64, np.float32, np.float64])


@st.composite
def contexts(draw: st.DrawFn) -> Context:
    kind, pairs = draw(kinds), draw(st.integers(1, 4))
    shape = (pairs, *draw(hnp.array_shapes(max_dims=3, max_side=3)))
    finite = st.integers(0, 255) if np.dtype(kind).kind in "ui" else st.floats(-1e3, 1e3, width=32)
    x, y = (draw(hnp.arrays(kind, shape, elements=finite)) for _ in range(2))
    names = draw(st.sets(st.text("abcxyz_", min_size=1, max_size=5), max_size=3))
    blocks = {name: draw(hnp.arrays(np.float32, (pairs, draw(st.integers(1, 3))), elements=st.floats(-9, 9, width=32)))
              for name in names}  # fmt: skip
    return Context(x, y, blocks, draw(st.sampled_from(["", "f" * 64])), draw(st.sampled_from(["", "/a run"])))


def assert_equal(one: Context, other: Context) -> None:
    np.testing.assert_array_equal(one.x, other.x)
    np.testing.assert_array_equal(one.y, other.y)
    assert one.x.dtype == other.x.dtype
    assert one.environment == other.environment
    for name, block in one.actions.items():
        np.testing.assert_array_equal(block, other.actions[name])
    assert (one.fingerprint, one.run) == (other.fingerprint, other.run)


@few
@given(contexts())
def test_a_context_survives_its_file(tmp_path_factory: pytest.TempPathFactory, context: Context) -> None:
    path = tmp_path_factory.mktemp("contexts") / "context.h5"
    context.save(path)
    assert_equal(Context.load(path), context)


@few
@given(contexts(), st.sampled_from(["npz", "h5", "hdf5"]))
def test_a_user_s_pairs_are_read_from_npz_and_hdf5(
    tmp_path_factory: pytest.TempPathFactory, context: Context, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("pairs") / f"pairs.{suffix}"
    arrays = {"x": context.x, "y": context.y} | {f"actions/{name}": block for name, block in context.actions.items()}
    if suffix == "npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    assert_equal(Context.from_pairs(path, context.fingerprint, context.run), context)


def test_a_user_s_script_may_write_a_context_with_h5py_alone(tmp_path: Path) -> None:
    path = tmp_path / "context.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": CONTEXT_KIND, "version": CONTEXT_VERSION})
        file["x"], file["y"], file["actions/turn"] = X, Y, TURN
    assert_equal(Context.load(path), Context(X, Y, {"turn": TURN}))


def test_contexts_are_compared_by_identity_and_shown_in_one_line() -> None:
    """``==`` on arrays has no single truth value, and thousands of numbers help nobody."""
    one, other = Context(X, Y, {"turn": TURN}), Context(X, Y, {"turn": TURN})
    assert one == one
    assert one != other
    assert len({one, other}) == 2
    assert "turn" in repr(one)
    assert len(repr(one)) < 80


def test_the_environment_is_what_has_a_block() -> None:
    assert Context(X, Y, {"turn": TURN, "tint": TURN}).environment == ("tint", "turn")
    assert Context(X, Y).environment == ()


def test_taking_pairs_takes_them_from_every_array() -> None:
    part = Context(X, Y, {"turn": TURN}, "f", "r").take(2)
    assert_equal(part, Context(X[:2], Y[:2], {"turn": TURN[:2]}, "f", "r"))


INVALID: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "no pair": (X[:0], Y[:0], {}, "at least one pair"),
    "no shape": (X[:, 0], Y[:, 0], {}, "at least one pair"),
    "unequal": (X, Y[:2], {}, "must be equal"),
    "rows": (X, Y, {"turn": TURN[:2]}, "one row per pair"),
    "flat action": (X, Y, {"turn": TURN[:, 0]}, "one row per pair"),
    "NaN input": (X * np.nan, Y, {}, "'x' .* NaN"),
    "infinite action": (X, Y, {"turn": TURN / 0.0 if False else TURN * np.inf}, "'turn' .* infinite"),
    "text": (X.astype(str), Y.astype(str), {}, "expected numbers"),
}


@pytest.mark.parametrize("fault", INVALID)
def test_invalid_pairs_are_refused_in_memory_and_from_a_file(fault: str, tmp_path: Path) -> None:
    x, y, actions, message = INVALID[fault]
    with pytest.raises(InvalidInputError, match=message):
        Context(x, y, actions)
    path = tmp_path / "pairs.npz"
    np.savez(path, x=x, y=y, **{f"actions/{name}": block for name, block in actions.items()})
    with pytest.raises(CorruptFileError, match=rf"pairs\.npz.*{message}"):
        Context.from_pairs(path)


def test_what_is_no_array_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"'x'.* a list"):
        Context(X.tolist(), Y)
    with pytest.raises(InvalidInputError, match=r"'turn'.* a tuple"):
        Context(X, Y, {"turn": tuple(TURN)})


@pytest.mark.parametrize(
    ("arrays", "named"),
    [({"x": X}, "'y'"), ({"x": X, "y": Y, "turn": TURN}, "'turn'"), ({"y": Y, "actions/turn": TURN}, "'x'")],
)
def test_a_missing_or_stray_array_is_named(arrays: dict[str, Any], named: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "pairs.npz", **arrays)
    with pytest.raises(CorruptFileError, match=named):
        Context.from_pairs(tmp_path / "pairs.npz")


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.npz"
    np.savez(path, x=np.array([{"a": 1}, {"b": 2}], dtype=object), y=Y)
    with pytest.raises(CorruptFileError, match="pickled objects are refused"):
        Context.from_pairs(path)
