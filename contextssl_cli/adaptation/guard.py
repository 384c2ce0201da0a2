"""The guard: removes from embeddings, in closed form, what a change of one action type moves in them.

In-context invariance is soft: the zeroed information is small, and a probe that scales its direction up still reads it.
Least-squares concept erasure (LEACE; Belrose et al. 2023, arXiv:2306.03819, theorem 4.2) removes the whitened
direction of a concept's covariance with the embedding: one direction for an attribute of two categories. That stops
linear probes alone, because a change moves different inputs in different directions, and an MLP reads which.

Here the pairs are known: two views of one input that differ in the guarded type alone. So their differences *are* the
information about the type, for any probe. With the covariance S of the embeddings, W = S^(-1/2), and the differences d,
the guard removes the eigenvectors u of the mean of (W d)(W d)^T whose eigenvalue, the mean square of the move in units
of the standard deviation of the embeddings, exceeds ``THRESHOLD``; and the directions in which the embeddings hardly
vary. As in LEACE the projection is oblique, I - W^(-1) U U^T W, the smallest change of the embeddings that makes these
whitened directions constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage

from contextssl_cli.errors import UsageError, suggestion
from contextssl_cli.store.context import Context
from contextssl_cli.training.run import Run

THRESHOLD = 0.01
"""The mean square of a move that may remain, in units of the embeddings' variance: a tenth of a standard deviation.

Chosen on held-out training records of Adult."""

SMALLEST = 3e-4
"""The share of the variance below which a direction is dropped.

There 63 pairs cannot show that nothing moves, and a probe that whitens the embeddings reads what does. Chosen on
held-out training records of Adult, too."""

_SAME = 1e-6
"""Two embeddings of unit length that are nearer than this are the same."""

_Floats = NDArray[np.floating[Any]]


def guard_pairs(run: Run, context: Context | None, action: str) -> NDArray[Any]:
    """Views (G, 2, *shape) of a context that differ in ``action`` alone.

    Raises:
        UsageError: if the run has no such action type, the context does not zero it, or holds no such views.
    """
    names = run.record.space.names
    if action not in names:
        raise UsageError(f"--guard {action}: this run has no such action type: {suggestion(action, names)}")
    if context is None:
        raise UsageError(f"--guard {action}: the guard is fitted to a context's pairs, and there is no context")
    if action in context.environment:
        raise UsageError(
            f"--guard {action}: the context shows {action}, so the embedding keeps it; guard what it zeroes"
        )
    if action not in context.changes:
        raise UsageError(
            f"--guard {action}: the context holds no views in which {action} alone changes (changes/{action}, see "
            "docs/formats.md); contextssl context create adds them for applied action types"
        )
    return context.changes[action]


@dataclass(frozen=True)
class Guard:
    """An affine map of embeddings of D numbers that keeps their mean and K of their directions.

    Attributes:
        mean: (D,) of the embeddings it was fitted to.
        read: (D, K) and ``write`` (K, D): an embedding e becomes ``mean + (e - mean) @ read @ write``.
        moves: mean squares of the move along each whitened direction that the pairs show, falling.
        removed: how many of these directions are removed.
        pairs: how many pairs moved.
    """

    mean: _Floats
    read: _Floats
    write: _Floats
    moves: _Floats
    removed: int
    pairs: int

    @classmethod
    def fit(cls, first: _Floats, second: _Floats, threshold: float = THRESHOLD) -> Self:
        """Find the directions.

        Args:
            first: (P, D) embeddings of views.
            second: (P, D) of the views that differ from them in the guarded type alone.
            threshold: directions that move by more are removed.
        """
        both = np.concatenate([first, second]).astype(np.float64)
        mean = both.mean(axis=0)
        variances, axes = np.linalg.eigh(np.cov(both.T, bias=True))
        seen = variances > SMALLEST * variances.sum()
        shrinkage = float(ledoit_wolf_shrinkage(both))  # 126 embeddings overstate how much the variances differ
        std = np.sqrt((1 - shrinkage) * variances[seen] + shrinkage * variances.mean())
        whiten, colour = axes[:, seen] / std, (axes[:, seen] * std).T
        steps = (second - first)[np.linalg.norm(second - first, axis=1) > _SAME] @ whiten
        moves, directions = np.linalg.eigh(steps.T @ steps / max(1, len(steps)))
        kept = directions[:, moves <= threshold]
        return cls(mean, whiten @ kept, kept.T @ colour, moves[::-1], int((moves > threshold).sum()), len(steps))

    def __call__(self, embeddings: _Floats) -> NDArray[np.float32]:
        """Guarded embeddings (N, D), again of unit length."""
        kept = self.mean + (embeddings - self.mean) @ self.read @ self.write
        length = np.linalg.norm(kept, axis=1, keepdims=True)
        unit: NDArray[np.float32] = (kept / np.maximum(length, np.finfo(np.float32).eps)).astype(np.float32)
        return unit

    def about(self) -> Mapping[str, Any]:
        """The facts that the embeddings file records."""
        return {
            "pairs": self.pairs,
            "directions_kept": len(self.write),
            "directions_removed": self.removed,
            "directions_too_small": len(self.mean) - len(self.moves),
            "move_before": float(self.moves.sum()),
            "move_after": float(self.moves[self.removed :].sum()),
        }
