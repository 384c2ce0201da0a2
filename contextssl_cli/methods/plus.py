"""SimCLR+ and VICReg+ (Gupta et al. 2024, section 4): ContextSSL's transformer, given the context but no action."""

from __future__ import annotations

import torch
from torch import Tensor

from contextssl_cli.config.methods import SimCLRPlusOptions, VICRegPlusOptions
from contextssl_cli.config.model import ModelConfig
from contextssl_cli.data.actions import ActionSpace
from contextssl_cli.data.pairs import PairBatch
from contextssl_cli.methods.base import Step, StepLoss
from contextssl_cli.methods.losses import nt_xent, weighted_sum
from contextssl_cli.methods.vicreg import vicreg_terms, vicreg_weights
from contextssl_cli.model.context_ssl import ContextSSL, Environment
from contextssl_cli.store.schema import Schema


class WithoutAction(ContextSSL):
    """ContextSSL whose tokens carry no action, so that every environment reads alike.

    It has neither the auxiliary predictor nor the map of the instance loss.
    """

    reads_actions = False

    def __init__(self, config: ModelConfig, schema: Schema, space: ActionSpace) -> None:
        super().__init__(config, schema, space)
        del self.aux
        if config.instance_dim:
            del self.instance

    def first_tokens(self, features: Tensor, actions: Tensor, environment: Environment) -> Tensor:
        """Tokens [z_x; 0], whatever the action."""
        return self.second_tokens(features)


class Plus:
    """A loss on the transformer's predictions of both tokens of a pair.

    Args:
        options: of the method.
        mask: probability that a token drops a context pair.
    """

    def __init__(self, options: SimCLRPlusOptions | VICRegPlusOptions, mask: float) -> None:
        self.options = options
        self.mask = mask

    def build(self, config: ModelConfig, schema: Schema, space: ActionSpace) -> WithoutAction:
        """The encoder and the transformer, with fresh weights."""
        return WithoutAction(config, schema, space)

    def loss(self, model: WithoutAction, batch: PairBatch, step: Step) -> StepLoss:
        """SimCLR's equation 1, or VICReg's equation 6, on the predictions of a batch."""
        with torch.autocast(batch.x.device.type, dtype=step.precision, enabled=step.precision != torch.float32):
            sequences = len(batch) // (model.config.block_size // 2)
            views = torch.cat([batch.x, batch.y])
            z_x, z_y = model.encode(views).view(2, sequences, -1, model.config.feature_dim)
            nothing = z_x.new_zeros(*z_x.shape[:2], model.space.width)
            masks = model.masks(model.config.block_size, self.mask, step.generator)
            predictions = model.sequences(z_x, z_y, {(): nothing}, masks)[0]
        pairs = predictions.float().view(len(batch), 2, -1)
        if isinstance(self.options, SimCLRPlusOptions):
            contrast = nt_xent(pairs, self.options.temperature).mean()
            return StepLoss(contrast, {"contrast": contrast})
        terms, weights = vicreg_terms(pairs[:, 0], pairs[:, 1]), vicreg_weights(self.options)
        return StepLoss(weighted_sum(terms, weights), terms)
