"""What a method is: the modules that it trains, the loss of a step, and the features that evaluation reads."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Generic, Protocol, Self, TypeVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from contextssl_cli.config.methods import MethodOptions
from contextssl_cli.config.model import ModelConfig
from contextssl_cli.data.actions import ActionSpace
from contextssl_cli.data.pairs import PairBatch
from contextssl_cli.methods.losses import weighted_sum
from contextssl_cli.model.contextssl import Environment
from contextssl_cli.model.encoders import EncoderModel, build_encoder
from contextssl_cli.plugin.task import EVERY_ENVIRONMENT
from contextssl_cli.store.schema import Schema

Model = TypeVar("Model", bound=EncoderModel)
_Options = TypeVar("_Options", bound=MethodOptions)
Terms = dict[str, dict[str, Tensor]]
"""Terms of a loss by name and environment, not weighted."""


@dataclass(frozen=True)
class Step:
    """The settings of one training step.

    Attributes:
        environments: the active action types of each reading, for methods with a context.
        generator: the only source of randomness.
        precision: of the matrix products; losses are float32.
        penalise: whether the probe penalty applies, if the configuration has one.
        world: whether the world model is trained. If not, ContextSSL trains its features alone.
    """

    environments: tuple[Environment, ...]
    generator: Generator
    precision: torch.dtype = torch.float32
    penalise: bool = True
    world: bool = True

    def autocast(self, device: torch.device) -> contextlib.AbstractContextManager[None]:
        """The context in which the model runs at the step's precision."""
        return torch.autocast(device.type, dtype=self.precision, enabled=self.precision != torch.float32)


@dataclass(frozen=True)
class StepLoss:
    """The loss of one step.

    Attributes:
        total: the weighted sum, which is minimised.
        terms: by name and environment (``EVERY_ENVIRONMENT`` for a method without a context).
    """

    total: Tensor
    terms: Terms

    @classmethod
    def of(cls, terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Self:
        """The loss of a method without a context."""
        total = weighted_sum(terms, weights)
        return cls(total, {name: {EVERY_ENVIRONMENT: term} for name, term in terms.items()})


class Method(Protocol[Model]):
    """One way to train an encoder."""

    def build(self, config: ModelConfig, schema: Schema, space: ActionSpace) -> Model:
        """The encoder and the modules around it, with fresh weights. Evaluation reads the features of ``encode``."""

    def loss(self, model: Model, batch: PairBatch, step: Step) -> StepLoss:
        """The loss of a batch of pairs."""


class Baseline(Generic[_Options]):
    """A method without a context: heads on the encoder's features, and a weighted sum of terms.

    Args:
        options: settings of the method.
        equivariant: the action types whose parameters condition the heads.
    """

    weighted: ClassVar[tuple[str, ...]] = ()
    """The terms whose weights are options; every other term has weight 1."""

    def __init__(self, options: _Options, equivariant: tuple[str, ...] = ()) -> None:
        self.options = options
        self.equivariant = equivariant

    def build(self, config: ModelConfig, schema: Schema, space: ActionSpace) -> EncoderModel:
        """The encoder and the heads, with fresh weights."""
        model = EncoderModel(build_encoder(config, schema), config, space)  # first, so that it starts alike everywhere
        width = sum(block.width for block in space.blocks if block.name in self.equivariant)
        model.heads = nn.ModuleDict(self.heads(config.feature_dim, width))
        return model

    def loss(self, model: EncoderModel, batch: PairBatch, step: Step) -> StepLoss:
        """The loss of a batch: encoder and heads at the step's precision, terms in float32.

        Args:
            model: with the heads of this method.
            batch: N pairs.
            step: with precision and generator.
        """
        conditions = self.conditions(model, batch.actions, len(batch))
        with step.autocast(batch.x.device):
            features = model.encode(torch.cat([batch.x, batch.y]))
            outputs = self.read(model.heads, features, conditions.to(features))
        terms = self.terms({name: output.float() for name, output in outputs.items()}, step.generator)
        return StepLoss.of(terms, self.weights())

    def conditions(self, model: EncoderModel, actions: Mapping[str, Tensor], rows: int) -> Tensor:
        """The actions (N, A) that condition the heads: the equivariant types, in units of their standard deviation.

        Args:
            model: with the standard deviations over the training data.
            actions: relative parameters (N, width) by action type, at least the equivariant ones.
            rows: N.
        """
        assembled = model.space.assemble(actions, self.equivariant, rows).to(model.device) / model.action_std
        return assembled[:, model.space.active(self.equivariant).to(model.device)]

    def heads(self, dim: int, actions: int) -> dict[str, nn.Module]:
        """Modules on top of features of ``dim`` numbers, conditioned on ``actions`` numbers of an action."""
        raise NotImplementedError

    def read(self, heads: nn.ModuleDict, features: Tensor, actions: Tensor) -> dict[str, Tensor]:
        """The outputs of the heads that the terms need, by name.

        Args:
            heads: of this method.
            features: (2 N, D) of the N first views, then of the second.
            actions: (N, A), as ``conditions`` returns them.
        """
        raise NotImplementedError

    def terms(self, outputs: Mapping[str, Tensor], generator: Generator) -> dict[str, Tensor]:
        """The terms of the loss by name, not weighted."""
        raise NotImplementedError

    def weights(self) -> dict[str, float]:
        """The weights of the terms that have one."""
        return {name: getattr(self.options, name) for name in self.weighted}


class Predicting(Baseline[_Options]):
    """A baseline that is conditioned on actions and predicts where they move its representation of a view.

    A head computes the representation from the encoder's feature. The equivariance term of the loss compares
    representations, and the views of an object are ranked by them.
    """

    similarity_name = "cosine"

    def represent(self, heads: nn.ModuleDict, features: Tensor) -> Tensor:
        """The equivariant representations (N, R) of features (N, D)."""
        raise NotImplementedError

    def predict(self, heads: nn.ModuleDict, representations: Tensor, actions: Tensor) -> Tensor:
        """The representations (N, R) after actions.

        Args:
            heads: of this method.
            representations: (N, R) before the actions.
            actions: (N, A), as ``conditions`` returns them.
        """
        raise NotImplementedError

    def similarity(self, predicted: Tensor, views: Tensor) -> Tensor:
        """The similarity (N, V) of predictions (N, R) and the representations (N, V, R) of V views each."""
        return F.cosine_similarity(predicted[:, None], views, dim=-1)


def mlp(*widths: int, last_bias: bool = True) -> nn.Sequential:
    """Linear layers with batch norm and ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1], bias=last_bias))


def multiple(factor: float, dim: int) -> int:
    """A width as a multiple of ``dim``, at least 1."""
    return max(1, round(factor * dim))
