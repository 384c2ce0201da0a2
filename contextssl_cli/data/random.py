"""Random streams: each depends on a seed, a purpose and the counts of that purpose, and on nothing drawn before.

A resumed run therefore repeats an uninterrupted one without saving the state of a generator, and a new draw in one
place changes no other. Everything random in the package is drawn from these streams.
"""

from __future__ import annotations

import enum
import hashlib

import numpy as np
from torch import Generator


class Purpose(enum.Enum):
    """The purposes of random draws. No two share a stream."""

    WEIGHTS = "weights"
    """Initial weights of a model."""
    HOLD_OUT = "hold-out"
    """Held-out objects."""
    UNITS = "units"
    """Pairs that give the units of actions and latents."""
    ORDER = "order"
    """Order of the samples, by epoch."""
    VIEWS = "views"
    """Views of a training batch, by step."""
    MASKS = "masks"
    """Context masks, and negatives that a loss draws, by step."""
    ENVIRONMENT = "environment"
    """The environment of a step, where one is drawn, by step."""
    MONITOR = "monitor"
    """Samples and pairs of the watched gap."""
    PAIRS = "pairs"
    """Pairs that probes read, by split."""
    CONTEXT = "context"
    """Samples and views of a context."""
    CHANGES = "changes"
    """Views of a context that differ in one action type."""
    PROBE = "probe"
    """Initial weights and batches of a probe."""
    STRONG_PROBE = "strong probe"
    """Initial weights and batches of scikit-learn's MLP."""
    REDUCTION = "reduction"
    """Predictions of fairlearn's reduction."""
    RETRIEVAL = "retrieval"
    """Sources and views of a retrieval."""
    INSPECTION = "inspection"
    """Samples that the inspection of a context reads."""
    SUBSETS = "subsets"
    """Pairs of a shorter context, by their number."""
    PERMUTATIONS = "permutations"
    """Permuted labels in a selection."""
    SIGNS = "signs"
    """Flipped signs in the comparison of two candidates."""
    FOLDS = "folds"
    """Folds of a cross-validation."""
    CONTRACT = "contract"
    """Examples and draws of the contract for plugins."""


def seeded(seed: int, purpose: Purpose, *counts: int) -> Generator:
    """The stream of a seed, a purpose and its counts, as a torch generator on the CPU."""
    return Generator().manual_seed(_number(seed, purpose, counts))


def seeded_numpy(seed: int, purpose: Purpose, *counts: int) -> np.random.Generator:
    """The stream of a seed, a purpose and its counts, as a NumPy generator."""
    return np.random.default_rng(_number(seed, purpose, counts))


def integer_seed(seed: int, purpose: Purpose, *counts: int) -> int:
    """The seed below 2^32 of a seed, a purpose and its counts, for a library that takes a number."""
    return _number(seed, purpose, counts) % 2**32


def _number(seed: int, purpose: Purpose, counts: tuple[int, ...]) -> int:
    """63 bits of a hash over all parts. Each part follows its length, so (1, 2) and (1, 2, 0) differ."""
    parts = [purpose.value.encode(), *(str(int(number)).encode() for number in (seed, *counts))]
    data = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big") >> 1
