"""What a method is: the modules it trains, its loss of a step, and what is read for evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol, TypeVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from contextssl_cli.config.model import ModelConfig
from contextssl_cli.data.actions import ActionSpace
from contextssl_cli.data.pairs import PairBatch
from contextssl_cli.methods.losses import weighted_sum
from contextssl_cli.model.context_ssl import ContextSSL, Environment
from contextssl_cli.model.encoder_model import EncoderModel
from contextssl_cli.store.schema import Schema

Model = TypeVar("Model", bound=EncoderModel)


@dataclass(frozen=True)
class Step:
    """A training step, beside its batch.

    Attributes:
        environments: the active action types of each reading, for methods with a context.
        generator: the only source of randomness.
        precision: of the matrix products; losses are float32.
        penalise: with the invariance penalty, if the configuration has one.
        world: with the world model; without, ContextSSL trains its features alone.
    """

    environments: tuple[Environment, ...]
    generator: Generator
    precision: torch.dtype = torch.float32
    penalise: bool = True
    world: bool = True


@dataclass(frozen=True)
class StepLoss:
    """The loss of one step and what it is made of."""

    total: Tensor
    parts: dict[str, Tensor]
    """By environment, or by term for a method without a context; not weighted."""
    auxiliary: dict[str, Tensor] = field(default_factory=dict)
    """By environment."""
    readout: dict[str, Tensor] = field(default_factory=dict)
    """What a linear probe reads of the zeroed types, where it is penalised, by environment."""
    instance: dict[str, Tensor] = field(default_factory=dict)
    """The instance loss, where there is one, by environment."""
    feature: dict[str, Tensor] = field(default_factory=dict)
    """Of the encoder's features, where ContextSSL has such a loss, by term."""


class Method(Protocol[Model]):
    """One way to train an encoder."""

    def build(self, config: ModelConfig, schema: Schema, space: ActionSpace) -> Model:
        """The encoder and the modules around it, with fresh weights. Its ``encode`` is what is read for evaluation."""

    def loss(self, model: Model, batch: PairBatch, step: Step) -> StepLoss:
        """The loss of a batch of pairs."""


class Headed(EncoderModel):
    """An encoder with the heads that a method trains it with, by name, which evaluation does not read."""

    def __init__(self, config: ModelConfig, schema: Schema, space: ActionSpace) -> None:
        super().__init__(config, schema, space)
        self.heads = nn.ModuleDict()


class Baseline:
    """A method without a context: heads on the encoder's features, and a sum of weighted terms.

    Args:
        equivariant: the action types whose parameters it is told.
    """

    def __init__(self, equivariant: tuple[str, ...] = ()) -> None:
        self.equivariant = equivariant

    def build(self, config: ModelConfig, schema: Schema, space: ActionSpace) -> Headed:
        """The encoder and the heads, with fresh weights."""
        told = sum(block.width for block in space.blocks if block.name in self.equivariant)
        model = Headed(config, schema, space)
        model.heads.update(self.heads(config.feature_dim, told))  # after the encoder, which so starts as every method's
        return model

    def loss(self, model: Headed | ContextSSL, batch: PairBatch, step: Step) -> StepLoss:
        """The loss of a batch: encoder and heads at the step's precision, terms in float32.

        Args:
            model: whose heads are this method's; ContextSSL has them if its features are contrasted.
            batch: N pairs.
            step: of which a method without a context reads precision and generator.
        """
        told = self.told(model, batch.actions, len(batch))
        with torch.autocast(batch.x.device.type, dtype=step.precision, enabled=step.precision != torch.float32):
            features = model.encode(torch.cat([batch.x, batch.y]))
            outputs = self.read(model.heads, features, told.to(features))
        terms = self.terms({name: output.float() for name, output in outputs.items()}, step.generator)
        return StepLoss(weighted_sum(terms, self.weights()), terms)

    def told(self, model: EncoderModel, actions: Mapping[str, Tensor], rows: int) -> Tensor:
        """What the heads are told (N, A): the told types alone, each number divided by its spread in the training data.

        Args:
            model: which knows the spread.
            actions: relative parameters (N, width) by action type; at least the told ones.
            rows: N.
        """
        assembled = model.space.assemble(actions, self.equivariant, rows).to(model.device) / model.action_std
        return assembled[:, model.space.active(self.equivariant).to(model.device)]

    def heads(self, dim: int, actions: int) -> dict[str, nn.Module]:
        """Modules on top of features of ``dim`` numbers, told ``actions`` numbers of an action."""
        raise NotImplementedError

    def read(self, heads: nn.ModuleDict, features: Tensor, actions: Tensor) -> dict[str, Tensor]:
        """What the terms are made of.

        Args:
            heads: those of this method.
            features: (2 N, D) of the N first views, then of the second.
            actions: (N, A) of the told action types, each number divided by its spread over the training data.
        """
        raise NotImplementedError

    def terms(self, outputs: Mapping[str, Tensor], generator: Generator) -> dict[str, Tensor]:
        """The terms of the loss by name, not weighted."""
        raise NotImplementedError

    def weights(self) -> dict[str, float]:
        """The weight of each term."""
        raise NotImplementedError


class Predicting(Baseline):
    """A baseline that is told actions, and predicts where they move its representation of a view.

    The representation is made of the encoder's feature by a head. It is what the equivariance term of the loss is of,
    and what the views of an object are ranked in.
    """

    similarity_name = "cosine"

    def represent(self, heads: nn.ModuleDict, features: Tensor) -> Tensor:
        """The equivariant representations (N, R) of features (N, D)."""
        raise NotImplementedError

    def predict(self, heads: nn.ModuleDict, representations: Tensor, actions: Tensor) -> Tensor:
        """The representations (N, R) after actions.

        Args:
            heads: those of this method.
            representations: (N, R) before them.
            actions: (N, A), as ``told`` gives them.
        """
        raise NotImplementedError

    def similarity(self, predicted: Tensor, views: Tensor) -> Tensor:
        """How near predictions (N, R) are to the representations (N, V, R) of V views each: (N, V), more is nearer."""
        return F.cosine_similarity(predicted[:, None], views, dim=-1)


def mlp(*widths: int, last_bias: bool = True) -> nn.Sequential:
    """Linear layers with batch norm and ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1], bias=last_bias))


def multiple(factor: float, dim: int) -> int:
    """A width given as a multiple of the feature's."""
    return max(1, round(factor * dim))
