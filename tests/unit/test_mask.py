"""Which token may read which, shown on the masks themselves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contextssl_cli.model.contextssl import context_mask, pair_mask
from tests import tiny
from tests.draws import seeded

lengths = st.integers(0, 40)
rates = st.floats(0, 0.99)
RATES = [0.0, 0.1, 0.5, 0.9]


@given(lengths)
def test_no_token_sees_the_future(tokens: int) -> None:
    assert not pair_mask(tokens).triu(1).any()


@given(lengths)
def test_every_token_sees_itself(tokens: int) -> None:
    assert pair_mask(tokens).diagonal().all()


@given(lengths)
def test_the_past_is_seen_but_for_the_first_token_of_ones_own_pair(tokens: int) -> None:
    hidden = ~pair_mask(tokens) & torch.ones(tokens, tokens, dtype=torch.bool).tril()
    assert hidden.nonzero().tolist() == [[second, second - 1] for second in range(1, tokens, 2)]


@given(lengths, rates, st.integers(0, 5))
def test_context_dropout_keeps_or_drops_whole_pairs(tokens: int, rate: float, seed: int) -> None:
    mask = context_mask(tokens, rate, seeded(seed))
    first = mask[:, 0::2][:, : tokens // 2]
    assert torch.equal(first, mask[:, 1::2])


@given(lengths, rates, st.integers(0, 5))
def test_context_dropout_keeps_ones_own_pair(tokens: int, rate: float, seed: int) -> None:
    mask = context_mask(tokens, rate, seeded(seed))
    pair = torch.arange(tokens) // 2
    assert mask[pair[:, None] == pair[None]].all()


@pytest.mark.parametrize("rate", RATES)
def test_context_dropout_drops_other_pairs_at_its_rate(rate: float) -> None:
    tokens = 128
    mask = torch.stack([context_mask(tokens, rate, seeded(1, draw)) for draw in range(20)])
    pair = torch.arange(tokens) // 2
    dropped = ~mask[:, pair[:, None] != pair[None]][:, ::2]  # one token of each pair
    spread = (rate * (1 - rate) / dropped.numel()) ** 0.5
    assert abs(dropped.double().mean() - rate) <= 5 * spread


def test_context_dropout_differs_between_query_tokens() -> None:
    mask = context_mask(64, 0.5, seeded(0))
    assert len(mask[:, :32].unique(dim=0)) == 64


def test_each_layer_has_its_own_context_mask_within_the_pair_mask() -> None:
    model = tiny.model(layers=3)
    masks = torch.stack(model.masks(64, 0.5, seeded(0)))
    assert len(masks.unique(dim=0)) == 3
    assert not (masks & ~pair_mask(64)).any()
    assert masks.diagonal(dim1=1, dim2=2).all()


def test_without_a_generator_the_context_is_seen_whole() -> None:
    model = tiny.model(layers=3)
    assert all(torch.equal(mask, pair_mask(10)) for mask in model.masks(10, 0.9))


def test_masks_depend_on_the_generator_alone() -> None:
    model = tiny.model()
    once, again = (torch.stack(model.masks(32, 0.5, seeded(3))) for _ in range(2))
    assert torch.equal(once, again)
