"""The contract, run by the plugin's own tests."""

from __future__ import annotations

import torch

from contextssl_cli.plugin import Schema
from contextssl_cli.testing import check_action_type, check_dataset, check_plugin
from contextssl_waves.shift import Shift
from contextssl_waves.waves import LENGTH, Waves


def test_plugin() -> None:
    check_plugin("contextssl_waves")


def test_waves() -> None:
    check_dataset(Waves())  # with its recorded loudness


def test_shift() -> None:
    signals = Schema(dataset="signals", modality="signal", shape=(LENGTH,), dtype="float32")
    check_action_type(Shift(), signals, torch.rand(64, LENGTH))
