"""The methods with a world model: ContextSSL, and SimCLR+ and VICReg+ (Gupta et al. 2024, sections 3 and 4)."""

from __future__ import annotations

from typing import Any

import torch

from contextssl_cli.config.model import ModelConfig
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.actions import ActionSpace
from contextssl_cli.data.pairs import PairBatch
from contextssl_cli.methods.base import Baseline, Step, StepLoss, Terms
from contextssl_cli.methods.optional_terms import OptionalTerms
from contextssl_cli.model.contextssl import ContextSSL, objective, read_batch
from contextssl_cli.model.encoders import build_encoder
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.store.schema import Schema


class ContextSSLMethod:
    """ContextSSL: the objective of ``model/contextssl.py``, and the optional terms of a configuration.

    Args:
        config: weights, temperature and the mask's rate.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.optional = OptionalTerms(config)

    def build(self, config: ModelConfig, schema: Schema, space: ActionSpace) -> ContextSSL:
        """Encoder, world model, auxiliary predictor, and the modules of optional terms, with fresh weights."""
        model = ContextSSL(build_encoder(config, schema), config, space)
        self.optional.add_modules(model)
        return model

    def loss(self, model: ContextSSL, batch: PairBatch, step: Step) -> StepLoss:
        """The loss of a batch in the step's environments (section 3.2).

        Args:
            model: in training mode.
            batch: N pairs, N a multiple of the pairs of a sequence.
            step: with the environments to read the batch in.
        """
        alone = self.optional.features_alone(model, batch, step)
        if alone is not None:
            return alone
        with step.autocast(batch.x.device):
            reading = read_batch(model, batch, step.environments, self.config.context_mask, step.generator)
            outputs = self.optional.read(model, reading, step)
        contrast, auxiliary = objective(model, batch, reading, step.environments, self.config)
        total = contrast.mean() + self.config.aux_weight * auxiliary.mean()
        names = [environment_name(environment) for environment in step.environments]
        terms: Terms = {
            "contrast": dict(zip(names, contrast, strict=True)),
            "auxiliary": dict(zip(names, auxiliary, strict=True)),
        }
        weights = self.optional.weights()
        for name, values in self.optional.terms(model, batch, outputs, step).items():
            total = total + weights[name] * torch.stack(list(values.values())).mean()
            terms[name] = values
        return StepLoss(total, terms)


class Plus:
    """SimCLR+ and VICReg+: a baseline's terms on the predictions of ContextSSL's transformer, without actions.

    The transformer takes the place of the baseline's projector.

    Args:
        baseline: whose terms and weights apply.
        mask: probability that a token drops a context pair.
    """

    def __init__(self, baseline: Baseline[Any], mask: float) -> None:
        self.baseline = baseline
        self.mask = mask

    def build(self, config: ModelConfig, schema: Schema, space: ActionSpace) -> ContextSSL:
        """The encoder and the transformer, with fresh weights."""
        return ContextSSL(build_encoder(config, schema), config, space, reads_actions=False)

    def loss(self, model: ContextSSL, batch: PairBatch, step: Step) -> StepLoss:
        """SimCLR's equation 1, or VICReg's equation 6, on the predictions of a batch."""
        with step.autocast(batch.x.device):
            reading = read_batch(model, batch, [()], self.mask, step.generator)
        first, second = reading.predictions.float().view(len(batch), 2, -1).unbind(1)
        terms = self.baseline.terms({"first": first, "second": second}, step.generator)
        return StepLoss.of(terms, self.baseline.weights())
