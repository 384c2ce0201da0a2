"""One training step's loss: encode once, read in every environment, contrast and predict."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from contextssl_cli.data.pairs import PairBatch
from contextssl_cli.model.context_ssl import ContextSSL, Environment
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.training.config import TrainConfig
from contextssl_cli.training.losses import auxiliary_loss, nt_xent


@dataclass(frozen=True)
class StepLoss:
    """The loss of one step and what it is made of, by environment."""

    total: Tensor
    contrastive: dict[str, Tensor]
    auxiliary: dict[str, Tensor]


def step_loss(
    model: ContextSSL,
    batch: PairBatch,
    environments: tuple[Environment, ...],
    config: TrainConfig,
    generator: Generator,
    precision: torch.dtype = torch.float32,
) -> StepLoss:
    """The loss of a batch (paper section 3.2).

    The encoder runs once; the world model reads the same features in each of the environments. With context contrast
    their predictions stand in one softmax, otherwise each environment has its own.

    Args:
        model: in training mode.
        batch: N pairs, N a multiple of the pairs of a sequence.
        environments: the active action types of each reading.
        config: weights and temperature.
        generator: of the context masks.
        precision: of the matrix products; losses are float32.
    """
    device = batch.x.device.type
    with torch.autocast(device, dtype=precision, enabled=precision != torch.float32):
        predictions = _predict(model, batch, environments, config, generator).float()  # (E, N, 2, D)
    names = [environment_name(environment) for environment in environments]
    contrastive = _contrast(predictions, config)
    target = model.space.assemble(batch.second, model.space.names, len(batch))
    auxiliary = torch.stack([
        auxiliary_loss(model.latents(prediction), target, model.space.active(environment).to(target.device))
        for environment, prediction in zip(environments, predictions, strict=True)
    ])  # (E,)
    total = contrastive.mean() + config.aux_weight * auxiliary.mean()
    return StepLoss(total, dict(zip(names, contrastive, strict=True)), dict(zip(names, auxiliary, strict=True)))


def _predict(
    model: ContextSSL,
    batch: PairBatch,
    environments: tuple[Environment, ...],
    config: TrainConfig,
    generator: Generator,
) -> Tensor:
    pairs = model.config.block_size // 2
    z_x, z_y = model.encode(torch.cat([batch.x, batch.y])).chunk(2)
    actions = {
        env: model.space.assemble(batch.actions, env, len(batch)).unflatten(0, (-1, pairs)) for env in environments
    }
    masks = model.masks(model.config.block_size, config.context_mask, generator)
    predictions = model.sequences(z_x.unflatten(0, (-1, pairs)), z_y.unflatten(0, (-1, pairs)), actions, masks)
    return predictions.flatten(1, 2)


def _contrast(predictions: Tensor, config: TrainConfig) -> Tensor:
    """The mean NT-Xent of each environment, (E,), from predictions (E, N, 2, D)."""
    groups = [predictions.flatten(0, 1)] if config.context_contrast else list(predictions)
    losses = [nt_xent(group, config.temperature, config.similarity_floor) for group in groups]
    return torch.cat(losses).view(len(predictions), -1).mean(dim=1)
