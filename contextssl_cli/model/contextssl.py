"""ContextSSL on one page (Gupta et al. 2024, section 3): masks, world model, encoder with world model, objective.

The encoder is passed in, so any network from inputs to features of D numbers will do. Optional loss terms are in
``methods/optional_terms.py``.

Shapes, as comments and docstrings use them:

    N  pairs or inputs          D  numbers in a feature, a prediction, an embedding
    S  sequences                A  numbers in an action
    P  pairs of a sequence      B  action types, each with one block of the action
    T  tokens of a sequence     W  width of the transformer
    E  environments             H  attention heads of h = W / H numbers
    C  tokens of a context      L  transformer layers

A pair i is two tokens: 2 i is [z_x; a], the feature before the action with the action; 2 i + 1 is [z_y; 0].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from contextssl_cli.config.model import ModelConfig
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.actions import ActionSpace
from contextssl_cli.data.pairs import PairBatch
from contextssl_cli.model.encoders import EncoderModel, standard_deviation

Environment = tuple[str, ...]
"""The active action types."""


# --- masks (section 3.2) ----------------------------------------------------------------------------------------------


def pair_mask(tokens: int) -> Tensor:
    """The pair attention mask (T, T): True where a query (row) may attend to a key (column).

    It is causal, and the second token of a pair never attends to the first token of its own pair, which holds the
    answer.
    """
    mask = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    second = torch.arange(tokens)[1::2]
    mask[second, second - 1] = False
    return mask


def context_mask(tokens: int, rate: float, generator: Generator) -> Tensor:
    """The context mask of one layer and step (T, T): True where a token is kept.

    Each query drops each *earlier pair* as a whole, independently with probability ``rate``. Its own pair stays, so a
    token always attends to itself.
    """
    pairs = (tokens + 1) // 2
    kept = torch.rand(tokens, pairs, generator=generator) >= rate  # (T, P)
    own = torch.arange(tokens) // 2
    kept[torch.arange(tokens), own] = True
    return kept.repeat_interleave(2, dim=1)[:, :tokens]


# --- the world model: a decoder-only transformer without positions (section 3.2, figure 2) ----------------------------


@dataclass(frozen=True)
class Cache:
    """Keys and values of S contexts: L tensors (S, H, C, h) each."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @property
    def tokens(self) -> int:
        """C: the length of a context in tokens."""
        return self.keys[0].shape[2]

    def contexts(self, part: slice) -> Cache:
        """Some of the S contexts."""
        return Cache(tuple(k[part] for k in self.keys), tuple(v[part] for v in self.values))


class Attention(nn.Module):
    """Multi-head self-attention over a sequence, or of single queries over a cached context."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(S, T, W) under a (T, T) mask -> the output (S, T, W), and the keys and values (S, H, T, h)."""
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (S, H, T, h)
        return self.project(out.transpose(1, 2).flatten(2)), k, v

    def query(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(S, N, W): each query attends to its context (S, H, C, h) and to itself, never to another query.

        The context is not copied for every query.
        """
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in self.qkv(x).chunk(3, dim=-1))  # (S, N, H, h)
        to_context = torch.einsum("snhd,shcd->snhc", q, keys)  # (S, N, H, C)
        to_itself = (q * k).sum(-1, keepdim=True)  # (S, N, H, 1)
        scores = torch.cat([to_context, to_itself], dim=-1) * q.shape[-1] ** -0.5
        weights = scores.float().softmax(-1).to(v.dtype)  # (S, N, H, C + 1)
        out = torch.einsum("snhc,shcd->snhd", weights[..., :-1], values) + weights[..., -1:] * v  # (S, N, H, h)
        projected: Tensor = self.project(out.flatten(2))  # (S, N, W)
        return projected


class Layer(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(S, T, W) -> the output (S, T, W), and the keys and values (S, H, T, h)."""
        attended, keys, values = self.attention(self.norm_1(x), mask)
        x = x + attended
        return x + self.mlp(self.norm_2(x)), keys, values

    def query(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(S, N, W) -> (S, N, W), under cached contexts."""
        x = x + self.attention.query(self.norm_1(x), keys, values)
        return x + self.mlp(self.norm_2(x))  # type: ignore[no-any-return]


class WorldModel(nn.Module):
    """Read-in, transformer layers, layer norm, read-out.

    Args:
        token_dim: numbers in a token: feature, action, and activity bits if any.
        feature_dim: D.
        width: W.
        layers: L.
        heads: H.
        skip: add a token's feature to the prediction, so that the layers predict what the context changes in it.
    """

    def __init__(
        self, token_dim: int, feature_dim: int, width: int, layers: int, heads: int, *, skip: bool = False
    ) -> None:
        super().__init__()
        self.skip = skip
        self.read_in = nn.Linear(token_dim, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.read_out = nn.Linear(width, feature_dim)
        for name, parameter in self.named_parameters():  # start near the identity (Radford et al. 2019, section 2.3)
            if name.endswith(("attention.project.weight", "mlp.2.weight")):
                nn.init.normal_(parameter, std=0.02 / (2 * layers) ** 0.5)

    def forward(self, tokens: Tensor, masks: Sequence[Tensor]) -> tuple[Tensor, Cache]:
        """Predict at every token of sequences, and keep the keys and values for later queries.

        Args:
            tokens: (S, T, token_dim); T may be 0.
            masks: L boolean masks (T, T), True where a query may attend.

        Returns:
            (S, T, D), and the cache of S contexts of T tokens.
        """
        x = self.read_in(tokens)  # (S, T, W)
        kept = []
        for layer, mask in zip(self.layers, masks, strict=True):
            x, keys, values = layer(x, mask)  # (S, T, W), (S, H, T, h), (S, H, T, h)
            kept.append((keys, values))
        return self._prediction(x, tokens), Cache(*zip(*kept, strict=True))

    def query(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Predict for single tokens (S, N, token_dim), each as if it alone followed its context: (S, N, D)."""
        x = self.read_in(tokens)  # (S, N, W)
        for layer, keys, values in zip(self.layers, cache.keys, cache.values, strict=True):
            x = layer.query(x, keys, values)  # type: ignore[operator]
        return self._prediction(x, tokens)

    def _prediction(self, x: Tensor, tokens: Tensor) -> Tensor:
        """The last layer (..., W) at tokens (..., token_dim) -> (..., D)."""
        predictions: Tensor = self.read_out(self.norm(x))
        return predictions + tokens[..., : predictions.shape[-1]] if self.skip else predictions


# --- encoder and world model ------------------------------------------------------------------------------------------


class ContextSSL(EncoderModel):
    """An encoder whose features a world model reads in context.

    Args:
        encoder: from N inputs to features (N, D).
        config: sizes and options.
        space: the declared action blocks.
        reads_actions: whether the tokens carry the actions of the context. Without them, as in SimCLR+ and VICReg+, all
            environments read alike, and there is no auxiliary predictor.
    """

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(
        self, encoder: nn.Module, config: ModelConfig, space: ActionSpace, *, reads_actions: bool = True
    ) -> None:
        super().__init__(encoder, config, space)
        self.reads_actions = reads_actions
        dim, hidden = config.feature_dim, config.aux_hidden
        bits = len(space.blocks) if config.activity_bits else 0
        token_dim = dim + space.width + bits  # D + A, or D + A + B
        self.world = WorldModel(token_dim, dim, config.width, config.layers, config.heads, skip=config.skip)
        if reads_actions:
            self.aux = nn.Sequential(
                nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, space.width)
            )
        self.register_buffer("latent_mean", torch.zeros(space.width))
        self.register_buffer("latent_std", torch.ones(space.width))

    def standardise(self, actions: Tensor, latents: Tensor) -> None:
        """Set the units of actions and latents from a sample (N, A) of each."""
        super().standardise(actions, latents)
        self.latent_mean.copy_(latents.mean(dim=0))
        self.latent_std.copy_(standard_deviation(latents))

    def first_tokens(self, features: Tensor, actions: Tensor, environment: Environment) -> Tensor:
        """Tokens [z_x; a] of first views with activity bits: features (..., D), actions (..., A) -> (..., token_dim).

        The actions are zero in inactive blocks.
        """
        if not self.reads_actions:
            return self.second_tokens(features)
        parts = [features, (actions / self.action_std).to(features)]
        if self.config.activity_bits:
            parts.append(self.space.bits(environment).to(features).expand(*features.shape[:-1], -1))
        return torch.cat(parts, dim=-1)

    def second_tokens(self, features: Tensor) -> Tensor:
        """Tokens [z_y; 0] of second views and of queries: (..., D) -> (..., token_dim)."""
        return F.pad(features, (0, self.world.read_in.in_features - features.shape[-1]))

    def masks(self, tokens: int, rate: float = 0.0, generator: Generator | None = None) -> list[Tensor]:
        """One mask (T, T) per layer: the pair mask, in training combined with a context mask at ``rate``."""
        pair = pair_mask(tokens)
        if generator is None:
            return [pair.to(self.device)] * self.config.layers
        return [(pair & context_mask(tokens, rate, generator)).to(self.device) for _ in range(self.config.layers)]

    def sequences(
        self, z_x: Tensor, z_y: Tensor, actions: Mapping[Environment, Tensor], masks: Sequence[Tensor]
    ) -> tuple[Tensor, Cache]:
        """Predict at every token of S sequences of P pairs, read in E environments at once.

        Args:
            z_x: (S, P, D) features before the action.
            z_y: (S, P, D) features after it.
            actions: (S, P, A) by environment, zero in inactive blocks.
            masks: L masks (T, T).

        Returns:
            Predictions (E, S, P, 2, D), of [z_x; a] and of [z_y; 0]; and the cache of the E S sequences, environment by
            environment.
        """
        second = self.second_tokens(z_y)
        tokens = [_interleave(self.first_tokens(z_x, a, env), second) for env, a in actions.items()]  # E x (S, T, ...)
        predictions, cache = self.world(torch.cat(tokens), masks)  # (E S, T, D)
        return predictions.view(len(tokens), *z_x.shape[:2], 2, -1), cache

    def read_context(self, z_x: Tensor, z_y: Tensor, actions: Tensor, environment: Environment) -> Cache:
        """Run a context of P pairs, (P, D), (P, D) and (P, A), once; P may be 0."""
        tokens = _interleave(self.first_tokens(z_x, actions, environment), self.second_tokens(z_y))  # (T, token_dim)
        _, cache = self.world(tokens[None], self.masks(len(tokens)))
        return cache  # type: ignore[no-any-return]

    def read_pairs(self, pairs: PairBatch, environment: Environment) -> Cache:
        """Encode pairs and run them as a context in an environment."""
        actions = self.space.assemble(pairs.actions, environment, len(pairs))
        return self.read_context(self.encode(pairs.x), self.encode(pairs.y), actions, environment)

    def predict(
        self, features: Tensor, cache: Cache, actions: Tensor | None = None, environment: Environment = ()
    ) -> Tensor:
        """Predictions (N, D) for single tokens under a context.

        Args:
            features: (N, D).
            cache: of the context.
            actions: (N, A) to predict the view after an action, as for retrieval. By default the input itself is read.
            environment: of the actions, for the activity bits.
        """
        tokens = self.second_tokens(features) if actions is None else self.first_tokens(features, actions, environment)
        return self.world.query(tokens[None], cache)[0]

    def embed(
        self, features: Tensor, cache: Cache, actions: Tensor | None = None, environment: Environment = ()
    ) -> Tensor:
        """Embeddings (N, D) of unit length under a context (section 3.3); arguments as for ``predict``."""
        return F.normalize(self.predict(features, cache, actions, environment).float(), dim=-1)

    def latents(self, predictions: Tensor) -> Tensor:
        """The auxiliary predictor: predictions (..., D) -> latents (..., A) of the second view."""
        standardised: Tensor = self.aux(F.normalize(predictions.float(), dim=-1))
        return standardised * self.latent_std + self.latent_mean


def _interleave(first: Tensor, second: Tensor) -> Tensor:
    """(..., P, token_dim) twice -> (..., T, token_dim): first, second, first, second."""
    return torch.stack([first, second], dim=-2).flatten(-3, -2)


# --- the objective: contrast in every environment, and the auxiliary loss (section 3.2) -------------------------------


@dataclass(frozen=True)
class BatchReading:
    """A batch of N pairs, read in E environments as S sequences of P pairs."""

    z_x: Tensor  # (S, P, D)
    z_y: Tensor  # (S, P, D)
    predictions: Tensor  # (E, S, P, 2, D)
    cache: Cache  # of E S sequences


def read_batch(
    model: ContextSSL, batch: PairBatch, environments: Sequence[Environment], mask_rate: float, generator: Generator
) -> BatchReading:
    """Encode a batch once, and read the same features in each of the environments; N is a multiple of P."""
    sequences = len(batch) // (model.config.block_size // 2)
    z_x, z_y = model.encode(torch.cat([batch.x, batch.y])).view(2, sequences, -1, model.config.feature_dim)
    actions = {
        env: model.space.assemble(batch.actions, env, len(batch)).view(sequences, -1, model.space.width)
        for env in environments
    }
    masks = model.masks(model.config.block_size, mask_rate, generator)
    return BatchReading(z_x, z_y, *model.sequences(z_x, z_y, actions, masks))


def objective(
    model: ContextSSL, batch: PairBatch, reading: BatchReading, environments: Sequence[Environment], config: TrainConfig
) -> tuple[Tensor, Tensor]:
    """NT-Xent (equation 2) and the auxiliary loss of each environment, (E,) and (E,), in float32.

    With ``context_contrast`` the predictions of all environments are in one softmax, otherwise those of each.
    """
    predictions = reading.predictions.float().flatten(1, 2)  # (E, N, 2, D)
    groups = [predictions.flatten(0, 1)] if config.context_contrast else list(predictions)
    contrasts = [nt_xent(group, config.temperature, config.similarity_floor) for group in groups]
    contrast = torch.cat(contrasts).view(len(predictions), -1).mean(dim=1)
    targets = model.space.assemble(batch.second, model.space.names, len(batch))  # (N, A)
    auxiliary = [
        auxiliary_loss(estimates, targets, model.space.active(environment).to(targets.device), model.latent_std)
        for environment, estimates in zip(environments, model.latents(predictions), strict=True)  # (N, 2, A)
    ]
    return contrast, torch.stack(auxiliary)


def nt_xent(pairs: Tensor, temperature: float, similarity_floor: float | None = None) -> Tensor:
    """Normalised temperature-scaled cross-entropy of every token (equation 2; SimCLR, equation 1).

    The positive of a token is the other token of its pair; every other token is a negative.

    Args:
        pairs: (K, 2, D) predictions of both tokens of K pairs; with context contrast, pairs of several environments.
        temperature: of the softmax.
        similarity_floor: clamp cosine similarities from below, as the authors' code does at 1e-7.

    Returns:
        (K, 2), in nats; the loss is their mean.
    """
    tokens = F.normalize(pairs.float(), dim=-1).flatten(0, 1)  # (2 K, D)
    similarity = tokens @ tokens.T  # (2 K, 2 K)
    if similarity_floor is not None:
        similarity = similarity.clamp(min=similarity_floor)
    logits = similarity / temperature
    logits = logits.masked_fill(torch.eye(len(tokens), dtype=torch.bool, device=logits.device), -torch.inf)
    partner = torch.arange(len(tokens), device=logits.device) ^ 1
    return F.cross_entropy(logits, partner, reduction="none").view(-1, 2)


def auxiliary_loss(estimates: Tensor, targets: Tensor, active: Tensor, std: Tensor) -> Tensor:
    """Mean squared error of the latents of the second view, in the active blocks only.

    Args:
        estimates: (N, 2, A) from the predictions of both tokens of N pairs.
        targets: (N, A) absolute latents of the second view.
        active: (A,) mask of the numbers in active blocks.
        std: (A,) unit of an error, so that one weight suits latents of any range.

    Returns:
        The mean over the active numbers; 0 in the empty environment.
    """
    if not active.any():
        return estimates.sum() * 0
    error = ((estimates.float() - targets[:, None].float()) / std)[..., active]
    return error.square().mean()
