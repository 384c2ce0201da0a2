"""The action type ``skeleton``: replace the change of brightness by yours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from contextssl_cli.plugin import ActionType, Options, Schema

if TYPE_CHECKING:
    from torch import Generator, Tensor


class SkeletonOptions(Options):
    """Each field is a setting: ``contextssl pretrain --set actions.skeleton.darkest=0.2``."""

    darkest: float = Field(default=0.4, gt=0, lt=1, description="The smallest factor of brightness.")


class SkeletonAction(ActionType):
    """The image times a factor of its own; the action is the difference of the factors."""

    name = "skeleton"
    summary = "brightness, a factor uniform in [0.4, 1]; one difference"  # with its units: users write contexts by it
    modality = "image"
    options = SkeletonOptions
    chosen: SkeletonOptions = SkeletonOptions()

    def width(self, schema: Schema) -> int:
        """One factor."""
        return 1

    def sample(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """(N, 1) factors, drawn from ``generator`` alone, on the CPU."""
        import torch

        low = self.chosen.darkest
        return (low + (1 - low) * torch.rand(len(inputs), 1, generator=generator)).to(inputs.device)

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        """Multiply each image (N, channels, height, width) in [0, 1] by its own factor."""
        return inputs * latents[:, :, None, None]

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """How much brighter the second view is."""
        return second - first
