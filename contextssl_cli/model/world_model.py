"""The contextual world model: a decoder-only transformer over pair tokens, without positions.

Shapes: S sequences, T tokens, W width, H heads, h = W / H, C context tokens, N queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from contextssl_cli.errors import UsageError


@dataclass(frozen=True)
class Cache:
    """Keys and values of S contexts in every layer; each is (S, H, C, h)."""

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
        if width % heads:
            raise UsageError(f"the width {width} of the transformer is not a multiple of its {heads} heads")
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

        A context is read in place, not copied for every query.
        """
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in self.qkv(x).chunk(3, dim=-1))  # (S, N, H, h)
        to_context = torch.einsum("snhd,shcd->snhc", q, keys)
        to_itself = (q * k).sum(-1, keepdim=True)  # (S, N, H, 1)
        scores = torch.cat([to_context, to_itself], dim=-1) * q.shape[-1] ** -0.5
        weights = scores.float().softmax(-1).to(v.dtype)  # (S, N, H, C + 1)
        out = torch.einsum("snhc,shcd->snhd", weights[..., :-1], values) + weights[..., -1:] * v
        projected: Tensor = self.project(out.flatten(2))
        return projected


class Layer(nn.Module):
    """One pre-norm transformer layer."""

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
    """Read-in, transformer layers, layer norm, read-out (paper section 3.2, figure 2).

    Args:
        token_dim: numbers in a token: feature, action, and activity bits if any.
        feature_dim: D, numbers in a prediction.
        width: W, of the transformer.
        layers: how many.
        heads: of the attention.
        skip: add a token's feature to what is read out, so that the layers predict what the context changes in it.
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
        self._scale_residual_branches()

    def forward(self, tokens: Tensor, masks: Sequence[Tensor]) -> tuple[Tensor, Cache]:
        """Predict at every token of a sequence, and keep the keys and values, under which queries may follow.

        Args:
            tokens: (S, T, token_dim); T may be 0.
            masks: one (T, T) boolean mask per layer, True where a query may attend.

        Returns:
            (S, T, D), and the cache of S contexts of T tokens.
        """
        x = self.read_in(tokens)
        kept = []
        for layer, mask in zip(self.layers, masks, strict=True):
            x, keys, values = layer(x, mask)
            kept.append((keys, values))
        return self._prediction(x, tokens), Cache(*zip(*kept, strict=True))

    def query(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Predict for single tokens (S, N, token_dim), each as if it alone followed its context: (S, N, D)."""
        x = self.read_in(tokens)
        for layer, keys, values in zip(self.layers, cache.keys, cache.values, strict=True):
            x = layer.query(x, keys, values)  # type: ignore[operator]
        return self._prediction(x, tokens)

    def _prediction(self, x: Tensor, tokens: Tensor) -> Tensor:
        """What is read out of the last layer (..., W) at tokens (..., token_dim): (..., D)."""
        predictions: Tensor = self.read_out(self.norm(x))
        return predictions + tokens[..., : predictions.shape[-1]] if self.skip else predictions

    def _scale_residual_branches(self) -> None:
        """Start near the identity: residual projections at 0.02 / sqrt(2 layers) (Radford et al. 2019, section 2.3)."""
        for name, parameter in self.named_parameters():
            if name.endswith(("attention.project.weight", "mlp.2.weight")):
                nn.init.normal_(parameter, std=0.02 / (2 * len(self.layers)) ** 0.5)
