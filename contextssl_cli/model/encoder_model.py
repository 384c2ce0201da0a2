"""An encoder with the units of its data set's actions: what the models of all methods have in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from contextssl_cli.config.model import ModelConfig
from contextssl_cli.data.actions import ActionSpace
from contextssl_cli.model.encoders import build_encoder
from contextssl_cli.store.schema import Schema


class EncoderModel(nn.Module):
    """An encoder whose features can be read.

    Args:
        config: sizes and options.
        schema: of the data set; the encoder takes its inputs.
        space: the declared action blocks.
    """

    action_std: Tensor

    def __init__(self, config: ModelConfig, schema: Schema, space: ActionSpace) -> None:
        super().__init__()
        self.config = config
        self.space = space
        self.encoder = build_encoder(config, schema)
        self.feature_norm = nn.BatchNorm1d(config.feature_dim, affine=False) if config.feature_norm else nn.Identity()
        self.register_buffer("action_std", torch.ones(space.width))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.action_std.device

    def standardise(self, actions: Tensor, latents: Tensor) -> None:
        """Take the units of actions and latents, each (N, A), from a sample of training pairs."""
        self.action_std.copy_(spread(actions))

    def encode(self, inputs: Tensor) -> Tensor:
        """Features z (N, D) of model inputs."""
        features: Tensor = self.feature_norm(self.encoder(inputs))
        return features


def spread(columns: Tensor) -> Tensor:
    """Standard deviations, (A,) of (N, A); 1 for a column that does not vary."""
    std = columns.std(dim=0)
    return torch.where(std > 1e-6 * columns.abs().amax(dim=0), std, torch.ones_like(std))
