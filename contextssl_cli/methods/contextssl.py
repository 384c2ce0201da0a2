"""ContextSSL (Gupta et al. 2024, section 3): encode once, read in every environment, contrast and predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from contextssl_cli.config.methods import Settings, SimCLROptions, VICRegOptions
from contextssl_cli.config.model import ModelConfig
from contextssl_cli.data.actions import ActionSpace
from contextssl_cli.data.pairs import PairBatch
from contextssl_cli.methods.base import Step, StepLoss
from contextssl_cli.methods.losses import auxiliary_loss, linear_readout, nt_xent, weighted_sum
from contextssl_cli.methods.simclr import SimCLR
from contextssl_cli.methods.vicreg import vicreg_terms, vicreg_weights
from contextssl_cli.model.context_ssl import ContextSSL, Environment
from contextssl_cli.model.world_model import Cache
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.store.schema import Schema


class ContextSSLMethod:
    """ContextSSL: NT-Xent of the predictions (equation 2) and the auxiliary loss, in every environment.

    Beside them, if asked for, three terms that are not in the paper: the invariance penalty, the instance loss, and
    SimCLR's loss on the encoder's features.

    Args:
        settings: weights and temperature.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.simclr = SimCLR(SimCLROptions()) if settings.feature_weight else None

    def build(self, config: ModelConfig, schema: Schema, space: ActionSpace) -> ContextSSL:
        """The encoder, the world model, the auxiliary predictor, and heads if they are needed, with fresh weights."""
        model = ContextSSL(config, schema, space)
        if self.simclr:
            model.heads.update(self.simclr.heads(config.feature_dim, actions=0))
        return model

    def loss(self, model: ContextSSL, batch: PairBatch, step: Step) -> StepLoss:
        """The loss of a batch in the step's environments (paper section 3.2).

        The encoder runs once; the world model reads the same features in each of the environments. With context
        contrast their predictions stand in one softmax, otherwise each environment has its own.

        Args:
            model: in training mode.
            batch: N pairs, N a multiple of the pairs of a sequence.
            step: its environments are the active action types of each reading.
        """
        if self.simclr and not step.world:
            alone = self.simclr.loss(model, batch, step)
            return StepLoss(alone.total, parts={}, feature=alone.parts)
        config, device = self.settings, batch.x.device.type
        with torch.autocast(device, dtype=step.precision, enabled=step.precision != torch.float32):
            reading = _read(model, batch, config, step)
            penalised = _penalised(model, config, step)
            queried = _queried(model, reading, step, step.environments if config.instance_weight else penalised)
            projected = _projected(model, reading, self.simclr) if self.simclr else {}
        predictions = reading.predictions.float().flatten(1, 2)  # (E, N, 2, D)
        contrastive = _contrast(predictions, config)
        auxiliary = _auxiliary(model, batch, predictions, step.environments)
        total = contrastive.mean() + config.aux_weight * auxiliary.mean()
        readout = _readout(model, batch, {environment: queried[environment] for environment in penalised})
        instance = _instance(model, queried, config) if config.instance_weight else {}
        feature = self.simclr.terms(projected, step.generator) if self.simclr else {}
        for weight, terms in (
            (config.invariance_weight, readout),
            (config.instance_weight, instance),
            (config.feature_weight, feature),
        ):
            if terms:
                total = total + weight * torch.stack(list(terms.values())).mean()
        names = [environment_name(environment) for environment in step.environments]
        return StepLoss(
            total,
            dict(zip(names, contrastive, strict=True)),
            dict(zip(names, auxiliary, strict=True)),
            readout,
            instance,
            feature,
        )


@dataclass(frozen=True)
class _Reading:
    """A batch, read in E environments: S sequences of P pairs."""

    z_x: Tensor  # (S, P, D)
    z_y: Tensor  # (S, P, D)
    predictions: Tensor  # (E, S, P, 2, D)
    cache: Cache  # of the E S sequences


def _read(model: ContextSSL, batch: PairBatch, config: Settings, step: Step) -> _Reading:
    sequences = len(batch) // (model.config.block_size // 2)
    z_x, z_y = model.encode(torch.cat([batch.x, batch.y])).view(2, sequences, -1, model.config.feature_dim)
    actions = {
        env: model.space.assemble(batch.actions, env, len(batch)).view(sequences, -1, model.space.width)
        for env in step.environments
    }
    masks = model.masks(model.config.block_size, config.context_mask, step.generator)
    return _Reading(z_x, z_y, *model.sequences(z_x, z_y, actions, masks))


def _projected(model: ContextSSL, reading: _Reading, simclr: SimCLR) -> dict[str, Tensor]:
    """SimCLR's projections of the features of both views."""
    rows = torch.cat([reading.z_x, reading.z_y]).flatten(0, -2)  # (2 N, D)
    projections = simclr.read(model.heads, rows, rows.new_zeros(len(rows), 0))
    return {view: projection.float() for view, projection in projections.items()}


def _contrast(predictions: Tensor, config: Settings) -> Tensor:
    """The mean NT-Xent of each environment, (E,), from predictions (E, N, 2, D)."""
    groups = [predictions.flatten(0, 1)] if config.context_contrast else list(predictions)
    losses = [nt_xent(group, config.temperature, config.similarity_floor) for group in groups]
    return torch.cat(losses).view(len(predictions), -1).mean(dim=1)


def _auxiliary(
    model: ContextSSL, batch: PairBatch, predictions: Tensor, environments: tuple[Environment, ...]
) -> Tensor:
    """The auxiliary loss of each environment, (E,), from predictions (E, N, 2, D)."""
    target = model.space.assemble(batch.second, model.space.names, len(batch))
    estimates = model.latents(predictions)
    losses = [
        auxiliary_loss(estimate, target, model.space.active(environment).to(target.device), model.latent_std)
        for environment, estimate in zip(environments, estimates, strict=True)
    ]
    return torch.stack(losses)


def _penalised(model: ContextSSL, config: Settings, step: Step) -> tuple[Environment, ...]:
    """The environments with zeroed types, if what a probe still reads of those is penalised in this step."""
    if not (step.penalise and config.invariance_weight):
        return ()
    return tuple(environment for environment in step.environments if not model.space.active(environment).all())


def _queried(
    model: ContextSSL, reading: _Reading, step: Step, asked: tuple[Environment, ...]
) -> dict[Environment, Tensor]:
    """Embeddings (S, P, 2, D) of both views, by environment that a term of the loss asks for.

    They are queried as at test time, each sequence under the full context that its neighbour makes. Under the context
    mask the tokens of a sequence see contexts that differ, and what they still know of a zeroed type drowns in that
    noise; under one full context it is small but coherent, which a well-fitted probe reads.
    """
    if not asked:
        return {}
    sequences = len(reading.z_x)
    tokens = model.second_tokens(torch.stack([reading.z_x, reading.z_y], dim=2).roll(1, dims=0).flatten(1, 2))
    queried = {}
    for environment in asked:
        first = step.environments.index(environment) * sequences
        found = model.world.query(tokens, reading.cache.contexts(slice(first, first + sequences)))
        queried[environment] = F.normalize(found.float().unflatten(1, (-1, 2)), dim=-1).roll(-1, dims=0)
    return queried


def _readout(model: ContextSSL, batch: PairBatch, queried: Mapping[Environment, Tensor]) -> dict[str, Tensor]:
    """What a linear probe reads of the zeroed types' latents from embeddings (S, P, 2, D), by environment."""
    if not queried:
        return {}
    views = [model.space.assemble(part, model.space.names, len(batch)) for part in (batch.first, batch.second)]
    target = torch.stack(views, dim=1).flatten(0, 1)  # (2 N, A)
    found = {}
    for environment, embeddings in queried.items():
        zeroed = ~model.space.active(environment).to(target.device)
        found[environment_name(environment)] = linear_readout(embeddings.flatten(0, 2), target[:, zeroed])
    return found


def _instance(model: ContextSSL, queried: Mapping[Environment, Tensor], config: Settings) -> dict[str, Tensor]:
    """How far a linear map of the two views' embeddings (S, P, 2, D) is from agreeing, by environment.

    No action is told, and the views differ in all of them: only what no action changes tells a pair from the others.
    The prediction of equation 2 may do without that, since the second view's own token carries it.
    """
    return {
        environment_name(environment): _agreement(model, embeddings.flatten(0, 1), config)
        for environment, embeddings in queried.items()
    }


def _agreement(model: ContextSSL, embeddings: Tensor, config: Settings) -> Tensor:
    """NT-Xent or VICReg of a linear map of embeddings (N, 2, D).

    NT-Xent divides what it maps by its length, which a linear probe cannot do; VICReg has no such step, so what it
    makes equal, spread and uncorrelated is there for a linear probe as well. Its terms have the published weights,
    counted in units of the first.
    """
    if config.instance_objective == "nt-xent":
        return nt_xent(model.instance(embeddings), config.temperature).mean()
    unit = embeddings.shape[-1] ** 0.5  # the D numbers of an embedding of unit length have this inverse as their size
    terms, weights = vicreg_terms(*model.instance(unit * embeddings).unbind(1)), vicreg_weights(VICRegOptions())
    return weighted_sum(terms, weights) / weights["invariance"]
