"""Each loss against its definition, written out a second time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from torch import Tensor

from contextssl_cli.methods.losses import squared_distances
from contextssl_cli.methods.optional_terms import probe_penalty
from contextssl_cli.model.contextssl import auxiliary_loss, nt_xent
from tests.draws import seeded

few = settings(max_examples=25)


def loop_nt_xent(pairs: Tensor, temperature: float, floor: float) -> list[float]:
    """Token by token, in plain Python: -log(exp(s+ / t) / sum over all others of exp(s / t))."""
    tokens = [token.tolist() for pair in pairs for token in pair]

    def weight(a: list[float], b: list[float]) -> float:
        cosine = sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))
        return math.exp(max(cosine, floor) / temperature)

    losses = []
    for number, token in enumerate(tokens):
        partner = number + 1 if number % 2 == 0 else number - 1
        others = [weight(token, other) for place, other in enumerate(tokens) if place != number]
        losses.append(-math.log(weight(token, tokens[partner]) / sum(others)))
    return losses


@pytest.mark.parametrize("floor", [None, 1e-7, 0.3])
@pytest.mark.parametrize("temperature", [0.1, 0.2, 1.0])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_nt_xent_is_its_definition(count: int, temperature: float, floor: float | None) -> None:
    pairs = torch.randn(count, 2, 5, generator=seeded(count))
    by_hand = torch.tensor(loop_nt_xent(pairs, temperature, -1 if floor is None else floor))
    found = nt_xent(pairs, temperature, floor)
    assert found.shape == (count, 2)
    torch.testing.assert_close(found.flatten(), by_hand, rtol=1e-4, atol=1e-5)


def test_the_floor_matters() -> None:
    pairs = torch.randn(6, 2, 5, generator=seeded(0))
    assert not torch.allclose(nt_xent(pairs, 0.1), nt_xent(pairs, 0.1, 1e-7))


@few
@given(st.floats(0.01, 100), st.integers(0, 5))
def test_nt_xent_does_not_depend_on_lengths(scale: float, seed: int) -> None:
    pairs = torch.randn(4, 2, 5, generator=seeded(seed))
    torch.testing.assert_close(nt_xent(pairs * scale, 0.2), nt_xent(pairs, 0.2), rtol=1e-4, atol=1e-5)


@few
@given(st.permutations(range(5)))
def test_nt_xent_moves_with_the_order_of_pairs(order: list[int]) -> None:
    pairs = torch.randn(5, 2, 6, generator=seeded(0))
    torch.testing.assert_close(nt_xent(pairs[order], 0.2), nt_xent(pairs, 0.2)[order])


def test_nt_xent_of_equal_predictions_is_the_logarithm_of_the_others() -> None:
    found = nt_xent(torch.ones(8, 2, 3), 0.1)
    torch.testing.assert_close(found, torch.full((8, 2), math.log(15)))


def test_nt_xent_is_computed_in_float32() -> None:
    pairs = torch.randn(4, 2, 5, generator=seeded(0)).bfloat16()
    assert torch.equal(nt_xent(pairs, 0.1), nt_xent(pairs.float(), 0.1))


ACTIVE = torch.tensor([True, True, False, False, False])


def test_the_auxiliary_loss_is_the_mean_over_both_tokens_and_active_numbers() -> None:
    estimates, targets = torch.randn(3, 2, 5, generator=seeded(0)), torch.randn(3, 5, generator=seeded(1))
    std = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    by_hand = [
        ((float(estimates[k, token, a]) - float(targets[k, a])) / float(std[a])) ** 2
        for k in range(3) for token in range(2) for a in range(2)
    ]  # fmt: skip
    assert float(auxiliary_loss(estimates, targets, ACTIVE, std)) == pytest.approx(np.mean(by_hand), rel=1e-5)


def test_inactive_blocks_have_no_part_in_the_auxiliary_loss() -> None:
    estimates = torch.randn(3, 2, 5, generator=seeded(0)).requires_grad_()
    targets = torch.randn(3, 5, generator=seeded(1))
    loss = auxiliary_loss(estimates, targets, ACTIVE, torch.ones(5))
    loss.backward()
    assert estimates.grad is not None
    assert not estimates.grad[..., ~ACTIVE].any()
    assert estimates.grad[..., ACTIVE].all()
    targets[:, ~ACTIVE] += 7
    assert torch.equal(auxiliary_loss(estimates, targets, ACTIVE, torch.ones(5)), loss)


def test_the_auxiliary_loss_of_the_empty_environment_is_zero_and_has_a_gradient() -> None:
    estimates = torch.randn(3, 2, 5, requires_grad=True)
    loss = auxiliary_loss(estimates, torch.randn(3, 5), torch.zeros(5, dtype=torch.bool), torch.ones(5))
    loss.backward()
    assert loss.item() == 0
    assert estimates.grad is not None
    assert not estimates.grad.any()


def standardised(columns: Tensor) -> np.ndarray:
    values = columns.double().numpy()
    return (values - values.mean(0)) / values.std(0)


@pytest.mark.parametrize("ridge", [1e-3, 0.1, 1.0])
@pytest.mark.parametrize("width", [1, 3])
def test_the_readout_is_what_ridge_regression_explains(ridge: float, width: int) -> None:
    e = torch.randn(50, 6, generator=seeded(0))
    target = e[:, :width] + torch.randn(50, width, generator=seeded(1))
    e_s, t_s = standardised(e), standardised(target)
    fitted = Ridge(alpha=ridge * len(e), fit_intercept=False).fit(e_s, t_s).predict(e_s).reshape(t_s.shape)
    assert float(probe_penalty(e, target, ridge)) == pytest.approx((t_s * fitted).mean(), abs=1e-5)


def test_the_readout_tends_to_r2_as_the_ridge_vanishes() -> None:
    e = torch.randn(50, 6, generator=seeded(0))
    target = e[:, :2] + torch.randn(50, 2, generator=seeded(1))
    r2 = Ridge(alpha=1e-9).fit(e.numpy(), target.numpy()).score(e.numpy(), target.numpy())
    assert float(probe_penalty(e, target, 1e-9)) == pytest.approx(r2, abs=1e-4)


def test_a_linear_function_is_read_whole_and_noise_hardly() -> None:
    e = torch.randn(2000, 6, generator=seeded(0))
    mix = torch.randn(6, 2, generator=seeded(1))
    assert float(probe_penalty(e, e @ mix + 3)) > 0.99
    assert float(probe_penalty(e, torch.randn(2000, 2, generator=seeded(2)))) < 4 * 6 / 2000


@few
@given(st.integers(0, 20), st.floats(1e-4, 1))
def test_the_readout_lies_between_0_and_1(seed: int, ridge: float) -> None:
    generator = seeded(seed)
    value = float(
        probe_penalty(torch.randn(20, 8, generator=generator), torch.randn(20, 2, generator=generator), ridge)
    )
    assert 0 <= value <= 1


@pytest.mark.parametrize("constant", ["embeddings", "latents"])
def test_constant_columns_are_read_as_nothing(constant: str) -> None:
    e, target = torch.randn(20, 4, generator=seeded(0)), torch.randn(20, 2, generator=seeded(1))
    (e if constant == "embeddings" else target)[:] = 1.0
    assert float(probe_penalty(e, target)) == pytest.approx(0, abs=1e-6)


def test_the_readout_can_be_trained_away() -> None:
    latents = torch.randn(40, 1, generator=seeded(1))
    e = torch.cat([latents, torch.randn(40, 3, generator=seeded(0))], dim=1).requires_grad_()
    before = probe_penalty(e, latents)
    (gradient,) = torch.autograd.grad(before, e)
    assert probe_penalty(e - 0.1 * gradient / gradient.norm(), latents).item() < before.item()


@few
@given(shift=st.floats(-3, 3), count=st.integers(1, 5), seed=st.integers(0, 100))
def test_squared_distances_are_those_of_every_two(shift: float, count: int, seed: int) -> None:
    ones = torch.randn(4, 6, generator=seeded(seed)) + shift
    others = torch.cat([ones[:1], torch.randn(count, 6, generator=seeded(seed + 1))])
    by_hand = [[math.dist(one, other) ** 2 for other in others.tolist()] for one in ones.tolist()]
    found = squared_distances(ones, others)
    np.testing.assert_allclose(found, by_hand, rtol=1e-4, atol=1e-4)
    assert float(found.min()) >= 0
