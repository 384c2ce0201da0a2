"""Nearest neighbours of a predicted view, under each context (the paper's figure 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from contextssl_cli.data.random import Purpose, seeded
from contextssl_cli.data.tensors import to_array
from contextssl_cli.evaluation.encoded import encode
from contextssl_cli.evaluation.evaluator import Condition, Evaluator

SOURCES, NEIGHBOURS = 5, 4
VIEWS = 4
"""Of each sample in the gallery, in addition to the sources' own target views."""


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


def retrieve(evaluator: Evaluator, conditions: Sequence[Condition]) -> Retrieval:
    """Predict [z_x; a] under each context and rank a gallery of views by cosine similarity.

    Args:
        evaluator: of a run on images; those that probes are judged on are drawn, and its seed is that of the views.
        conditions: the contexts.
    """
    source = evaluator.test_samples.source
    generator = seeded(evaluator.config.seed, Purpose.RETRIEVAL)
    chosen = torch.randperm(len(source), generator=generator)[:SOURCES]
    asked = source.draw(chosen, generator, augment=False)
    gallery = source.draw(torch.arange(len(source)).repeat(VIEWS), generator, augment=False)
    candidates = torch.cat([asked.y, gallery.x])
    z_asked, z_candidates = encode(evaluator.model, asked.x), encode(evaluator.model, candidates)
    found = []
    for condition in conditions:
        predicted = evaluator.predictions(condition, z_asked, asked.actions)
        similarity = predicted @ evaluator.embeddings(condition, z_candidates).T
        found.append(similarity.topk(NEIGHBOURS, dim=1).indices.cpu())
    order = torch.stack(found, dim=1)  # (R, C, K)
    x, y, pictures = (to_array(part, source.schema) for part in (asked.x, asked.y, candidates))
    return Retrieval(tuple(condition.environment for condition in conditions), x, y, pictures[order.numpy()])
