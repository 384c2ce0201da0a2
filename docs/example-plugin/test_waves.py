"""The contract, and what the two action types promise besides."""

from __future__ import annotations

import numpy as np
import torch

from contextssl_cli.plugin import Schema
from contextssl_cli.testing import check_action_type, check_dataset, check_plugin
from contextssl_waves.gain import Gain
from contextssl_waves.shift import Shift
from contextssl_waves.waves import LENGTH, Waves, bursts

SIGNALS = Schema(dataset="signals", modality="signal", shape=(LENGTH,), dtype="float32")


def test_plugin() -> None:
    check_plugin("contextssl_waves")


def test_waves() -> None:
    check_dataset(Waves())


def test_shift() -> None:
    check_action_type(Shift(), SIGNALS, torch.rand(64, LENGTH))


def test_gain() -> None:
    check_action_type(Gain(), SIGNALS, torch.rand(64, LENGTH))


def test_a_shift_moves_the_burst_and_a_gain_scales_it() -> None:
    signal = torch.from_numpy(bursts(np.zeros(1, dtype=int), np.array([[4.0]]))).float()
    later = Shift().apply(signal, torch.tensor([[0.25]]), SIGNALS)
    assert torch.equal(later[:, LENGTH // 4 :], signal[:, : -LENGTH // 4])
    assert torch.equal(Gain().apply(signal, torch.tensor([[1.0]]), SIGNALS), 2 * signal)


def test_the_two_action_types_may_be_applied_in_either_order() -> None:
    signals, shifts, gains = torch.rand(8, LENGTH), torch.linspace(-0.2, 0.2, 8)[:, None], torch.rand(8, 1)
    one_way = Gain().apply(Shift().apply(signals, shifts, SIGNALS), gains, SIGNALS)
    other_way = Shift().apply(Gain().apply(signals, gains, SIGNALS), shifts, SIGNALS)
    assert torch.equal(one_way, other_way)
