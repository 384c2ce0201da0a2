"""A circular shift of a signal in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contextssl_cli.plugin import ActionType, Schema

if TYPE_CHECKING:
    from torch import Generator, Tensor

LARGEST = 0.25


class Shift(ActionType):
    """By up to a quarter of the length either way, in units of the length; the action is the difference of the shifts.

    Two views differ by less than half the length, so the way round is never in doubt.
    """

    name = "shift"
    summary = "circular shift in time, uniform in +-0.25 of the length; one difference"
    modality = "signal"

    def width(self, schema: Schema) -> int:
        """One shift."""
        return 1

    def sample(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """(N, 1) shifts as a fraction of the length, drawn from ``generator`` alone."""
        import torch

        return ((torch.rand(len(inputs), 1, generator=generator) * 2 - 1) * LARGEST).to(inputs.device)

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        """Move each signal (N, length) later by its own shift, to whole samples: no loop over the batch."""
        import torch

        length = inputs.shape[1]
        moved = torch.arange(length, device=inputs.device) - (latents * length).round().long()
        return inputs.gather(1, moved % length)

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """How much later the second view is."""
        return second - first
