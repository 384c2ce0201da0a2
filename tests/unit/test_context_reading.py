"""The same properties through the whole model, and what they give: one cached context, embeddings that stand alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from contextssl_cli.model.contextssl import Cache, ContextSSL, pair_mask
from tests import tiny
from tests.draws import seeded

MODEL = tiny.model(layers=3)
TURN = ("turn",)
PAIRS = 6
few = settings(max_examples=20)


def pairs(count: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """z_x, z_y and actions in the environment {turn}."""
    generator = seeded(5, seed)
    z_x, z_y = (torch.randn(count, 16, generator=generator) for _ in range(2))
    return z_x, z_y, torch.randn(count, 5, generator=generator) * MODEL.space.active(TURN)


def predict(model: ContextSSL, z_x: Tensor, z_y: Tensor, actions: Tensor, rate: float = 0.0) -> Tensor:
    """(tokens, D), interleaved."""
    masks = model.masks(2 * len(z_x), rate, seeded(0) if rate else None)
    return model.sequences(z_x[None], z_y[None], {TURN: actions[None]}, masks)[0].reshape(2 * len(z_x), -1)


def dependence(rate: float = 0.0) -> Tensor:
    """(tokens, tokens): whether the prediction of the row moves with the token of the column, by its gradient."""
    parts = [part.requires_grad_() for part in pairs(PAIRS)]
    predictions = predict(MODEL, *parts, rate)
    rows = []
    for prediction in predictions:
        x, y, action = torch.autograd.grad(prediction.square().sum(), parts, retain_graph=True)
        moved = torch.stack([x.abs().sum(1) + action.abs().sum(1), y.abs().sum(1)], dim=1).flatten()
        rows.append(moved > 0)
    return torch.stack(rows)


def reach(mask: Tensor) -> Tensor:
    """What three layers under one mask can carry from column to row."""
    steps = mask.double()
    return (steps @ steps @ steps) > 0


def test_predictions_depend_on_just_the_tokens_that_the_mask_lets_through() -> None:
    assert torch.equal(dependence(), reach(pair_mask(2 * PAIRS)))


def test_a_second_token_never_depends_on_the_first_token_of_its_own_pair() -> None:
    assert not dependence()[1::2, 0::2].diagonal().any()
    assert not dependence(rate=0.5)[1::2, 0::2].diagonal().any()


def test_nothing_depends_on_the_future() -> None:
    assert not dependence().triu(1).any()
    assert not dependence(rate=0.5).triu(1).any()


@pytest.mark.parametrize("pair", range(PAIRS))
def test_a_pair_s_own_action_never_reaches_its_second_token(pair: int) -> None:
    z_x, z_y, actions = pairs(PAIRS)
    before = predict(MODEL, z_x, z_y, actions)
    actions[pair] += 10 * MODEL.space.active(TURN)
    after = predict(MODEL, z_x, z_y, actions)
    assert torch.equal(before[2 * pair + 1], after[2 * pair + 1])
    assert not torch.allclose(before[2 * pair], after[2 * pair])


@few
@given(st.integers(0, 12), st.integers(0, 3))
def test_a_cached_context_gives_what_the_full_sequence_gives(count: int, seed: int) -> None:
    z_x, z_y, actions = pairs(count, seed)
    query = torch.randn(1, 16, generator=seeded(9, seed))
    second = MODEL.second_tokens
    context = torch.stack([MODEL.first_tokens(z_x, actions, TURN), second(z_y)], dim=1).flatten(0, 1)
    tokens = torch.cat([context, second(query)])
    with torch.no_grad():
        full, _ = MODEL.world(tokens[None], MODEL.masks(len(tokens)))
        cached = MODEL.predict(query, MODEL.read_context(z_x, z_y, actions, TURN))
    torch.testing.assert_close(cached, full[:, -1], rtol=1e-4, atol=1e-5)


@few
@given(st.integers(0, 12))
def test_a_query_with_an_action_gives_what_the_full_sequence_gives(count: int) -> None:
    z_x, z_y, actions = pairs(count + 1)
    with torch.no_grad():
        full = predict(MODEL, z_x, z_y, actions)[2 * count]
        cache = MODEL.read_context(z_x[:count], z_y[:count], actions[:count], TURN)
        cached = MODEL.predict(z_x[count:], cache, actions[count:], TURN)[0]
    torch.testing.assert_close(cached, full, rtol=1e-4, atol=1e-5)


def cache_of(count: int) -> Cache:
    with torch.no_grad():
        return MODEL.read_context(*pairs(count), TURN)


@few
@given(st.integers(0, 4), st.permutations(range(8)), st.integers(1, 8))
def test_embeddings_of_a_batch_do_not_depend_on_one_another(count: int, order: list[int], kept: int) -> None:
    inputs, cache = torch.randn(8, 7, generator=seeded(2)), cache_of(count)
    chosen = torch.tensor(order[:kept])
    with torch.no_grad():
        alone = torch.cat([MODEL.embed(MODEL.encode(row[None]), cache) for row in inputs])
        together = MODEL.embed(MODEL.encode(inputs[chosen]), cache)
    torch.testing.assert_close(together, alone[chosen], rtol=1e-4, atol=1e-5)


def test_the_context_does_change_the_embedding() -> None:
    z = torch.randn(4, 16, generator=seeded(3))
    with torch.no_grad():
        one, other = MODEL.embed(z, cache_of(0)), MODEL.embed(z, cache_of(3))
    assert (one - other).abs().max() > 0.01


def test_the_order_of_a_context_s_pairs_does_not_matter_to_one_layer() -> None:
    shallow = tiny.model(layers=1)
    z_x, z_y, actions = pairs(5)
    order = torch.tensor([3, 1, 4, 0, 2])
    with torch.no_grad():
        z = torch.randn(4, 16, generator=seeded(3))
        one = shallow.embed(z, shallow.read_context(z_x, z_y, actions, TURN))
        other = shallow.embed(z, shallow.read_context(z_x[order], z_y[order], actions[order], TURN))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_an_empty_context_is_no_context() -> None:
    cache = cache_of(0)
    z = torch.randn(4, 16, generator=seeded(3))
    with torch.no_grad():
        alone, _ = MODEL.world(MODEL.second_tokens(z)[:, None], MODEL.masks(1))
        found = MODEL.predict(z, cache)
    assert cache.tokens == 0
    torch.testing.assert_close(found, alone[:, 0], rtol=1e-4, atol=1e-5)


def test_embeddings_have_unit_length() -> None:
    z = torch.randn(4, 16, generator=seeded(3))
    with torch.no_grad():
        norms = MODEL.embed(z, cache_of(2)).norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(4))


@pytest.mark.parametrize("active", [(), ("turn",), ("tint",), ("turn", "tint")])
def test_only_the_activity_bits_and_active_blocks_tell_the_environment(active: tuple[str, ...]) -> None:
    z_x, z_y, _ = pairs(3)
    parts = {"turn": torch.ones(3, 2), "tint": torch.ones(3, 3)}
    actions = MODEL.space.assemble(parts, active, 3)
    first, second = MODEL.first_tokens(z_x, actions, active), MODEL.second_tokens(z_y)
    told = (
        [float("turn" in active)] * 2 + [float("tint" in active)] * 3 + [float(n in active) for n in ("turn", "tint")]
    )
    assert first[:, 16:].tolist() == [told] * 3
    assert not second[:, 16:].any()
