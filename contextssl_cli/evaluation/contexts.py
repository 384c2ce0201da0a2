"""Drawing contexts from a training split."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contextssl_cli.data.pairs import PairBatch, PairSource
from contextssl_cli.data.random import Purpose, seeded
from contextssl_cli.data.tensors import to_array
from contextssl_cli.errors import UsageError
from contextssl_cli.model.contextssl import Environment
from contextssl_cli.store.context import Context


def draw_context(source: PairSource, environment: Environment, pairs: int, seed: int) -> Context:
    """Draw a context of distinct samples' pairs; a seed gives the same pairs in every environment.

    Args:
        source: of the *training* split.
        environment: the active action types.
        pairs: how many.
        seed: of samples and views.

    Raises:
        UsageError: if there are fewer samples than pairs, or none are asked for.
    """
    if not 1 <= pairs <= len(source):
        raise UsageError(f"--pairs {pairs}: expected 1 to {len(source)}, the samples of the training split")
    drawn = draw_context_pairs(source, pairs, seed)
    blocks = {name: drawn.actions[name].numpy().astype(np.float32) for name in environment}
    return Context(to_array(drawn.x, source.schema), to_array(drawn.y, source.schema), blocks)


def draw_context_pairs(source: PairSource, pairs: int, seed: int) -> PairBatch:
    """The pairs of ``draw_context``; with features in place of the source's inputs, the features of its views."""
    chosen, generator = _chosen(source, pairs, seed)
    return source.draw(chosen, generator, augment=False)


def draw_changes(source: PairSource, environment: Environment, pairs: int, seed: int) -> dict[str, NDArray[Any]]:
    """Views (pairs, 2, *shape) that differ in one type alone, for every applied type that ``environment`` zeroes.

    They are of the samples that ``draw_context`` takes. A recorded type has none: nothing can change it alone.
    """
    chosen, _ = _chosen(source, pairs, seed)
    zeroed = [name for name in source.applied if name not in environment]
    found = {name: source.draw_change(chosen, name, seeded(seed, Purpose.CHANGES)) for name in zeroed}
    return {name: np.stack([to_array(view, source.schema) for view in views], axis=1) for name, views in found.items()}


def _chosen(source: PairSource, pairs: int, seed: int) -> tuple[Tensor, torch.Generator]:
    """The samples of a context, and the generator that goes on to draw their views."""
    generator = seeded(seed, Purpose.CONTEXT)
    return torch.randperm(len(source), generator=generator)[:pairs], generator


def context_hash(context: Context | None) -> str:
    """SHA-256 of the pairs and actions of a context, which are all that a model reads of it."""
    digest = hashlib.sha256()
    if context is not None:
        for name, array in sorted({"x": context.x, "y": context.y, **context.actions}.items()):
            digest.update(f"{name}{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
