"""ContextSSL: the encoder and the world model together (paper section 3).

Shapes: N pairs or inputs, S sequences of P pairs (T = 2 P tokens), D feature numbers, A action numbers, B blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from contextssl_cli.config.model import ModelConfig
from contextssl_cli.data.actions import ActionSpace
from contextssl_cli.data.pairs import PairBatch
from contextssl_cli.model.encoder_model import EncoderModel, spread
from contextssl_cli.model.mask import context_mask, pair_mask
from contextssl_cli.model.world_model import Cache, WorldModel
from contextssl_cli.store.schema import Schema

Environment = tuple[str, ...]
"""The active action types."""


class ContextSSL(EncoderModel):
    """An encoder whose features a world model reads in context.

    Args:
        config: sizes and options.
        schema: of the data set; the encoder takes its inputs.
        space: the declared action blocks.
    """

    reads_actions: ClassVar[bool] = True
    """Whether its tokens carry the context's actions; if not, all environments are one to it."""
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: ModelConfig, schema: Schema, space: ActionSpace) -> None:
        super().__init__(config, schema, space)
        dim = config.feature_dim
        bits = len(space.blocks) if config.activity_bits else 0
        self.world = WorldModel(
            dim + space.width + bits, dim, config.width, config.layers, config.heads, skip=config.skip
        )
        hidden = config.aux_hidden
        self.aux = nn.Sequential(
            nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, space.width)
        )
        if config.instance_dim:
            self.instance = nn.Linear(dim, config.instance_dim, bias=False)
        self.heads = nn.ModuleDict()
        """Of a loss on the features, which evaluation does not read; empty, but for such a loss."""

        self.register_buffer("latent_mean", torch.zeros(space.width))
        self.register_buffer("latent_std", torch.ones(space.width))

    def standardise(self, actions: Tensor, latents: Tensor) -> None:
        """Take the units of actions and latents, each (N, A), from a sample of training pairs."""
        super().standardise(actions, latents)
        self.latent_mean.copy_(latents.mean(dim=0))
        self.latent_std.copy_(spread(latents))

    def first_tokens(self, features: Tensor, actions: Tensor, environment: Environment) -> Tensor:
        """Tokens [z_x; a] of first views, with the activity bits of the environment: (..., token width).

        Args:
            features: (..., D) of the first views.
            actions: (..., A), zero in inactive blocks.
            environment: the active action types.
        """
        parts = [features, (actions / self.action_std).to(features)]
        if self.config.activity_bits:
            parts.append(self.space.bits(environment).to(features).expand(*features.shape[:-1], -1))
        return torch.cat(parts, dim=-1)

    def second_tokens(self, features: Tensor) -> Tensor:
        """Tokens [z_y; 0] of second views, and of queries: (..., token width)."""
        return F.pad(features, (0, self.world.read_in.in_features - features.shape[-1]))

    def sequences(
        self, z_x: Tensor, z_y: Tensor, actions: Mapping[Environment, Tensor], masks: Sequence[Tensor]
    ) -> tuple[Tensor, Cache]:
        """Predictions for every token of sequences of pairs, read in several environments at once.

        Args:
            z_x: (S, P, D) features before the action.
            z_y: (S, P, D) features after it.
            actions: (S, P, A) by environment, zero in inactive blocks; E environments.
            masks: one (T, T) mask per layer.

        Returns:
            (E, S, P, 2, D): of [z_x; a] and of [z_y; 0]; and the cache of the E S sequences, by environment.
        """
        second = self.second_tokens(z_y)
        tokens = [self._interleave(self.first_tokens(z_x, a, env), second) for env, a in actions.items()]
        predictions, cache = self.world(torch.cat(tokens), masks)  # (E S, T, D)
        return predictions.view(len(tokens), *z_x.shape[:2], 2, -1), cache

    def masks(self, tokens: int, rate: float = 0.0, generator: Generator | None = None) -> list[Tensor]:
        """The attention mask of every layer: the pair mask, and in training the context mask at ``rate``."""
        device = self.device
        pair = pair_mask(tokens)
        if generator is None:
            return [pair.to(device)] * self.config.layers
        return [(pair & context_mask(tokens, rate, generator)).to(device) for _ in range(self.config.layers)]

    def read_context(self, z_x: Tensor, z_y: Tensor, actions: Tensor, environment: Environment) -> Cache:
        """Run a context of P pairs, (P, D), (P, D) and (P, A), once; P may be 0."""
        tokens = self._interleave(self.first_tokens(z_x, actions, environment), self.second_tokens(z_y))
        _, cache = self.world(tokens[None], self.masks(len(tokens)))
        return cache  # type: ignore[no-any-return]

    def read_pairs(self, pairs: PairBatch, environment: Environment, count: int | None = None) -> Cache:
        """Encode the first ``count`` pairs and run them as a context in an environment."""
        part = slice(count)
        actions = self.space.assemble(pairs.actions, environment, len(pairs))[part]
        return self.read_context(self.encode(pairs.x[part]), self.encode(pairs.y[part]), actions, environment)

    def predict(
        self, features: Tensor, cache: Cache, actions: Tensor | None = None, environment: Environment = ()
    ) -> Tensor:
        """Predictions (N, D) for single tokens under a context.

        Args:
            features: (N, D).
            cache: of the context.
            actions: (N, A) to predict the view after an action, as for retrieval; without, the input itself is read.
            environment: of the actions, for the activity bits.
        """
        tokens = self.second_tokens(features) if actions is None else self.first_tokens(features, actions, environment)
        return self.world.query(tokens[None], cache)[0]

    def embed(
        self, features: Tensor, cache: Cache, actions: Tensor | None = None, environment: Environment = ()
    ) -> Tensor:
        """Embeddings (N, D) of unit length under a context (paper section 3.3); arguments as for ``predict``."""
        return F.normalize(self.predict(features, cache, actions, environment).float(), dim=-1)

    def latents(self, predictions: Tensor) -> Tensor:
        """The auxiliary predictor: latents (..., A) read off predictions (..., D)."""
        standardised: Tensor = self.aux(F.normalize(predictions.float(), dim=-1))
        return standardised * self.latent_std + self.latent_mean

    @staticmethod
    def _interleave(first: Tensor, second: Tensor) -> Tensor:
        """(..., P, K) twice -> (..., 2 P, K): first, second, first, second."""
        return torch.stack([first, second], dim=-2).flatten(-3, -2)
