"""Nearest neighbours of a predicted view, under each context (the paper's figure 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from contextssl_cli.data.pairs import PairSource
from contextssl_cli.data.random import Purpose, seeded
from contextssl_cli.data.tensors import to_array
from contextssl_cli.evaluation.contexts import read_context
from contextssl_cli.evaluation.encoded import encode
from contextssl_cli.model.contextssl import ContextSSL
from contextssl_cli.store.context import Context


@dataclass(frozen=True)
class Retrieval:
    """R sources, their views after an action, and K nearest neighbours under each of C contexts.

    Attributes:
        contexts: C names.
        sources, targets: (R, height, width, channels).
        neighbours: (R, C, K, height, width, channels), nearest first.
    """

    contexts: tuple[str, ...]
    sources: NDArray[np.float32]
    targets: NDArray[np.float32]
    neighbours: NDArray[np.float32]


@torch.no_grad()
def retrieve(
    model: ContextSSL, source: PairSource, contexts: Mapping[str, Context], *, sources: int = 5, neighbours: int = 4,
    views: int = 4, seed: int = 0,
) -> Retrieval:  # fmt: skip
    """Predict [z_x; a] under each context and rank a gallery of views by cosine similarity.

    Args:
        model: in evaluation mode.
        source: images of the test split.
        contexts: by name.
        sources: R.
        neighbours: K.
        views: of each sample in the gallery; the sources' own target views are in it.
        seed: of views and sources.
    """
    generator = seeded(seed, Purpose.RETRIEVAL)
    chosen = torch.randperm(len(source), generator=generator)[:sources]
    asked = source.draw(chosen, generator, augment=False)
    gallery = source.draw(torch.arange(len(source)).repeat(views), generator, augment=False)
    candidates = torch.cat([asked.y, gallery.x])
    z_asked, z_candidates = encode(model, asked.x), encode(model, candidates)
    found = []
    for context in contexts.values():
        cache = read_context(model, source.schema, context)
        actions = model.space.assemble(asked.actions, context.environment, len(asked))
        device = model.device
        predicted = model.embed(z_asked.to(device), cache, actions.to(device), context.environment)
        similarity = predicted @ model.embed(z_candidates.to(device), cache).T
        found.append(similarity.topk(neighbours, dim=1).indices.cpu())
    order = torch.stack(found, dim=1)  # (R, C, K)
    pictures = to_array(candidates, source.schema)[order.numpy()]
    schema = source.schema
    return Retrieval(tuple(contexts), to_array(asked.x, schema), to_array(asked.y, schema), pictures)
