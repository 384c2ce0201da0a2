"""Ridge regression that predicts each of a few labelled inputs from the others.

Leaving one out has a closed form (Allen's PRESS): with the hat matrix H, the residual of input i is
(y_i - y'_i) / (1 - H_ii). H is kept as its eigenvectors, so a fit costs one decomposition and any targets cost two
thin products. The numbers are not standardised: what a context made small has to stay small.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.data.random import Purpose, seeded_numpy

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Of ridge regression, in units of the numbers' variance times their count; the best one counts, also by chance."""

_SIGNS = 1999
_OVERLAP = 2**0.5
"""Left-out predictions rest on the same inputs but one, so their differences vary together. The variance of the mean of
those of J splits is (1/J + tested/trained) times theirs (Nadeau and Bengio 2003, equation 9), here about 2/N."""

Numbers = NDArray[np.float64]


class LeaveOneOut:
    """Ridge regression with each of N inputs left out, for any targets.

    Args:
        numbers: (N, D), of the inputs.
    """

    def __init__(self, numbers: NDArray[np.float32]) -> None:
        centred = numbers.astype(np.float64) - numbers.mean(axis=0, dtype=np.float64)
        axes, lengths, _ = np.linalg.svd(centred, full_matrices=False)
        sizes, count = np.square(lengths), len(numbers)
        unit = max(float(sizes.sum()), np.finfo(float).tiny) / count
        self._axes = axes
        self._kept = [sizes / (sizes + penalty * unit) for penalty in PENALTIES]
        self._rest = [1 - 1 / count - np.square(axes) @ kept for kept in self._kept]  # 1 - H_ii

    def left_out(self, targets: Numbers) -> Numbers:
        """Predictions (N, C) of targets (N, C), under the penalty with the least squared error."""
        centred = targets - targets.mean(axis=0)
        parts = self._axes.T @ centred
        errors = [
            (centred - self._axes @ (kept[:, None] * parts)) / rest[:, None]
            for kept, rest in zip(self._kept, self._rest, strict=True)
        ]
        least: Numbers = min(errors, key=lambda error: float(np.square(error).sum()))
        return targets - least


def squared_errors(targets: Numbers, predicted: Numbers) -> Numbers:
    """Of predictions (N, C): (N,), in units of the mean one of the class frequencies; their mean is 1 - skill."""
    found: Numbers = np.square(targets - predicted).sum(axis=1)
    return found * len(targets) / _frequencies_error(targets)


def _frequencies_error(targets: Numbers) -> float:
    """The squared error of predicting each row of ``targets`` (N, C) by the mean of the others."""
    count = len(targets)
    return float(np.square((targets - targets.mean(axis=0)) * count / (count - 1)).sum())


def difference_error(differences: Numbers) -> float:
    """The standard error of the mean of paired differences (N,) between two left-out predictions."""
    count = len(differences)
    return float(differences.std(ddof=1) * (1 / count) ** 0.5 * _OVERLAP)


def difference_p(differences: Numbers, seed: int) -> float:
    """How often differences (N,) are as large where their signs are drawn by chance (two-sided)."""
    kept = seeded_numpy(seed, Purpose.SIGNS).integers(2, size=(_SIGNS, len(differences)), dtype=np.int8)
    reached = _OVERLAP * np.abs(2 * kept @ differences - differences.sum()) >= abs(differences.sum())
    return float((1 + reached.sum()) / (1 + _SIGNS))
