"""A louder or softer signal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contextssl_cli.plugin import ActionType, Schema

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Gain(ActionType):
    """By a factor from a half to two.

    The latent is counted in doublings: a gain of a and then of b is a gain of a + b, so a difference means the same at
    every loudness.
    """

    name = "gain"
    summary = "loudness, uniform in +-1 doubling of the amplitude; one difference"
    modality = "signal"

    def width(self, schema: Schema) -> int:
        """One gain."""
        return 1

    def sample(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """(N, 1) gains in doublings, drawn from ``generator`` alone."""
        import torch

        return (torch.rand(len(inputs), 1, generator=generator) * 2 - 1).to(inputs.device)

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        """Multiply each signal (N, length) by its own factor."""
        return inputs * latents.exp2()

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """How much louder the second view is, in doublings."""
        return second - first
