"""Which token may read which: the pair attention mask and the context mask (paper section 3.2)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def pair_mask(tokens: int) -> Tensor:
    """The pair attention mask, (tokens, tokens), True where a query (row) may attend a key (column).

    Tokens 2i and 2i+1 are the pair i. The mask is causal, and the second token of a pair never attends to the first
    token of its own pair, which would hand it the answer.
    """
    mask = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    second = torch.arange(tokens)[1::2]
    mask[second, second - 1] = False
    return mask


def context_mask(tokens: int, rate: float, generator: Generator) -> Tensor:
    """The context mask of one layer and step, (tokens, tokens), True where a token is kept.

    Each query token drops each *earlier pair* as a whole, independently with probability ``rate``; its own pair stays,
    so a token always keeps itself.
    """
    pairs = (tokens + 1) // 2
    kept = torch.rand(tokens, pairs, generator=generator) >= rate
    own = torch.arange(tokens) // 2
    kept[torch.arange(tokens), own] = True
    return kept.repeat_interleave(2, dim=1)[:, :tokens]
