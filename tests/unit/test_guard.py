"""The guard: what it removes, against independent calculations, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression

from contextssl_cli import Context, ContextEncoder
from contextssl_cli.adaptation.context_files import context_from_run
from contextssl_cli.adaptation.guard import THRESHOLD, Guard
from contextssl_cli.errors import InvalidInputError, UsageError
from contextssl_cli.evaluation.strong_probes import fit_quietly, mlp_classifier, mlp_regressor
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.run import Run
from tests.draws import seeded
from tests.unit.test_pairs import Double, Shift, source

D = 12


def content(count: int, seed: int = 0) -> np.ndarray:
    """Correlated numbers, some directions five times as large as others."""
    draw = np.random.default_rng(seed)
    turn = np.linalg.qr(draw.normal(size=(D, D)))[0]
    return draw.normal(size=(count, D)) * np.geomspace(1, 0.2, D) @ turn + 2


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_one_move_for_all_is_removed_as_least_squares_concept_erasure_does() -> None:
    first = content(200)
    move = np.random.default_rng(1).normal(size=D)
    guard = Guard.fit(first, first + move)
    both = np.concatenate([first, first + move])
    inverse = np.linalg.inv(ledoit_wolf(both)[0])
    expected = both - np.outer((both - both.mean(axis=0)) @ inverse @ move, move) / (move @ inverse @ move)
    assert guard.removed == 1
    np.testing.assert_allclose(guard(both), unit(expected), atol=1e-5)


def test_moves_that_differ_from_input_to_input_are_removed_for_any_probe() -> None:
    draw = np.random.default_rng(2)
    axes, inputs = draw.normal(size=(3, D)), content(63)
    steps = np.sign(draw.normal(size=(63, 3))) @ axes  # no direction has a mean: a linear probe of them reads nothing
    guard = Guard.fit(inputs, inputs + steps)
    others = content(500, seed=3)
    moved = others + np.sign(draw.normal(size=(500, 3))) @ axes
    assert guard.removed == 3
    np.testing.assert_allclose(guard(moved), guard(others), atol=1e-4)


def test_directions_that_hardly_vary_are_dropped() -> None:
    inputs = content(200)
    flat = np.linalg.svd(inputs - inputs.mean(axis=0))[2][-1]
    inputs -= np.outer((inputs - inputs.mean(axis=0)) @ flat, flat) * (1 - 1e-6)
    guard = Guard.fit(inputs, inputs)
    assert guard.about()["directions_too_small"] == 1
    assert np.abs(guard.write @ flat).max() < 1e-6
    np.testing.assert_allclose(guard(inputs + 0.1 * flat), guard(inputs), atol=1e-5)


def test_small_moves_are_left_and_counted() -> None:
    inputs = content(100)
    guard = Guard.fit(inputs, inputs + 1e-4 * content(100, seed=4))
    assert guard.removed == 0
    assert 0 < guard.about()["move_after"] == guard.about()["move_before"] < THRESHOLD
    np.testing.assert_allclose(guard(inputs), unit(inputs), atol=1e-6)


def test_views_that_do_not_move_are_no_evidence() -> None:
    inputs, step = content(80), np.random.default_rng(5).normal(size=D)
    second = inputs + step * (np.arange(80) < 40)[:, None]
    guard = Guard.fit(inputs, second)
    assert guard.pairs == 40
    assert guard.removed == 1
    still = Guard.fit(inputs, inputs)
    assert (still.pairs, still.removed, still.about()["move_before"]) == (0, 0, 0.0)


def test_the_mlp_probes_read_what_no_linear_probe_does() -> None:
    draw = np.random.default_rng(6)
    inputs = draw.normal(size=(2000, 4)) * [1, 1, 1e-3, 1]  # the product below stands in a small direction too
    labels = (inputs[:, 0] * inputs[:, 2] > 0).astype(int)
    assert LogisticRegression().fit(inputs[:1500], labels[:1500]).score(inputs[1500:], labels[1500:]) < 0.6
    assert fit_quietly(mlp_classifier(), inputs[:1500], labels[:1500]).score(inputs[1500:], labels[1500:]) > 0.85
    numbers = inputs[:, 0] * inputs[:, 2] * 1e3
    assert fit_quietly(mlp_regressor(), inputs[:1500], numbers[:1500]).score(inputs[1500:], numbers[1500:]) > 0.7


@pytest.mark.parametrize("name", ["shift", "double"])
def test_a_change_is_of_one_type_alone(name: str) -> None:
    indices = seeded_indices()
    first, second = source(Shift(), Double(), samples=400).draw_change(indices, name, seeded(1))
    numbers = indices.float()
    moved = (second - first)[:, 0]
    assert (moved != 0).all()
    assert (first[:, 1] == second[:, 1]).all()
    if name == "shift":  # both are (number + shift) * (1 + factor): the move is of (-1, 1) times a factor of 1 to 2
        assert moved.abs().max() < 2
    else:
        assert moved.abs().max() > 50  # a factor from 0 to 1 of numbers up to 399
    again = source(Shift(), Double(), samples=400).draw_change(indices, name, seeded(1))
    assert (again[0] == first).all()
    assert (first[:, 0] >= numbers).all()


def seeded_indices() -> torch.Tensor:
    return torch.randperm(400, generator=seeded(0))


@pytest.fixture(scope="module")
def rotation(digits_run: Run) -> Context:
    return context_from_run(digits_run, ["rotation"], 7, seed=0)


def test_a_run_s_context_holds_changes_of_the_zeroed_types(digits_run: Run, rotation: Context, tmp_path: Path) -> None:
    assert {name: views.shape for name, views in rotation.changes.items()} == {"color": (7, 2, 16, 16, 3)}
    assert context_from_run(digits_run, ["color"], 3, seed=0).changes.keys() == {"rotation"}
    rotation.save(tmp_path / "ctx.h5")
    np.testing.assert_array_equal(Context.load(tmp_path / "ctx.h5").changes["color"], rotation.changes["color"])


def test_the_encoder_s_guard_is_that_of_the_embedded_changes(
    digits_run: Run, digits_store: Store, rotation: Context
) -> None:
    plain = ContextEncoder.load(digits_run.folder, "cpu").with_context(rotation)
    images = digits_store.test.inputs()[:20]
    guard = Guard.fit(*(plain.transform(rotation.changes["color"][:, view]) for view in (0, 1)))
    guarded = plain.with_context(rotation, guard="color")
    np.testing.assert_allclose(guarded.transform(images), guard(plain.transform(images)), atol=1e-5)
    assert guard.removed > 0


@pytest.mark.parametrize(
    ("guard", "words"),
    [("colr", "did you mean"), ("rotation", "the context shows rotation"), ("color", "alone changes")],
)  # fmt: skip
def test_what_cannot_be_guarded(digits_run: Run, rotation: Context, guard: str, words: str) -> None:
    encoder = ContextEncoder.load(digits_run.folder, "cpu")
    with pytest.raises(UsageError, match=words):
        encoder.with_context(replace(rotation, changes={}), guard=guard)
    with pytest.raises(UsageError, match="no context" if guard != "colr" else words):
        encoder.with_context(None, guard=guard)


@pytest.mark.parametrize("shape", [(3, 16, 16, 3), (3, 1, 16, 16, 3), (0, 2, 16, 16, 3), (3, 2, 8, 8, 3)])
def test_changes_of_another_shape_are_refused(rotation: Context, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match="changes/color"):
        replace(rotation, changes={"color": np.zeros(shape, np.float32)})
