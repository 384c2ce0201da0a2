"""The action type ``skeleton``: replace the shift of the numbers by your change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from contextssl_cli.plugin import ActionType, Options, Schema

if TYPE_CHECKING:
    from torch import Generator, Tensor


class SkeletonOptions(Options):
    """Each field is a setting: ``contextssl pretrain --set actions.skeleton.largest=0.5``."""

    largest: float = Field(default=1.0, gt=0, description="The largest shift, in standard deviations.")


class SkeletonAction(ActionType):
    """A number of its own is added to all numeric columns; the action is the difference."""

    name = "skeleton"
    summary = "shift of the numeric columns, uniform in +-1 standard deviation; one difference"
    modality = "table"
    options = SkeletonOptions
    chosen: SkeletonOptions = SkeletonOptions()

    def width(self, schema: Schema) -> int:
        """One shift."""
        return 1

    def sample(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """(N, 1) shifts, drawn from ``generator`` alone, on the CPU."""
        import torch

        uniform = torch.rand(len(inputs), 1, generator=generator) * 2 - 1
        return (self.chosen.largest * uniform).to(inputs.device)

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        """Shift the numbers of each record (N, features); the one-hot places of categories stay as they are."""
        numeric = inputs.new_zeros(inputs.shape[1])
        for column in schema.columns:
            if column.kind == "numeric":
                numeric[column.start] = 1
        return inputs + latents * numeric

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """How much higher the second view is."""
        return second - first
