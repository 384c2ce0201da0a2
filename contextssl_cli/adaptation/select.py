"""Few-shot symmetry selection: which context suits a task, from a few labelled inputs.

Every candidate context gives embeddings of the labelled inputs; no weight changes. From each, ridge regression on
one-hot classes predicts every input's label with that input left out. Leaving one out has a closed form (Allen's
PRESS): with the hat matrix H, the residual of input i is (y_i - y'_i) / (1 - H_ii). So all of cross-validation is one
matrix product, and permuted labels cost no more than the true ones.

The embeddings are not standardised: what a context made small has to stay small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from contextssl_cli.adaptation.context_encoder import ContextEncoder
from contextssl_cli.errors import UsageError
from contextssl_cli.evaluation.fairness import fairness_differences
from contextssl_cli.store.context import Context

EQUALIZED_ODDS = "equalized-odds"
LEVEL = 0.05
"""Of both tests: that the labels can be read at all, and that the best candidate reads them better than each other."""

_PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Of ridge regression, in units of the embeddings' variance times their number; the best one counts, also by chance."""
_PERMUTATIONS = 199
_SIGNS = 1999
_MOST = 5000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """One context's figures, each with the labelled input left out that is predicted.

    Attributes:
        name: of the context.
        skill: 1 - (squared error) / (squared error of the class frequencies): 0 is nothing, 1 is perfect.
        behind: by how much its skill is below that of the best candidate.
        behind_error: the standard error of that, from the differences input by input.
        behind_p: how often these differences are as large where their signs are drawn by chance (two-sided).
        accuracy: share of right classes.
        accuracy_error: its standard error.
        bounds: what the bounds are on.
    """

    name: str
    skill: float
    behind: float
    behind_error: float
    behind_p: float
    accuracy: float
    accuracy_error: float
    bounds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Selection:
    """The candidates, best first, and what follows.

    Attributes:
        candidates: by falling skill; those that break a bound are last.
        chosen: the name of the first.
        decided: whether the labels can tell it from the others.
        reason: in words.
        labels: how many labelled inputs there were.
        p_value: of the best skill, by permuted labels.
    """

    candidates: tuple[Candidate, ...]
    chosen: str
    decided: bool
    reason: str
    labels: int
    p_value: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"candidates": [asdict(candidate) for candidate in self.candidates]}


def select_context(
    encoder: ContextEncoder,
    contexts: Mapping[str, Context | str | Path | None],
    X: NDArray[Any],
    y: ArrayLike,
    *,
    at_most: Mapping[str, float] | None = None,
    groups: Mapping[str, ArrayLike] | None = None,
    seed: int = 0,
) -> Selection:
    """Rank contexts by how well a few labels are read from the embeddings under each.

    Args:
        encoder: of the run.
        contexts: candidates by name; None is no context.
        X: (N, *shape) inputs.
        y: (N,) their labels, at least two of each class.
        at_most: bounds that the choice must meet, by what they are on: the accuracy at which a sensitive attribute is
            read, or ``equalized-odds``, the difference between the groups of the only attribute.
        groups: (N,) categories by sensitive attribute.
        seed: of the permutations.

    Raises:
        UsageError: if there is nothing to choose from, a class has fewer than two labels, a label is missing, a bound
            cannot be judged, or no candidate meets the bounds.
    """
    labels = np.asarray(y)
    if len(contexts) < 2:
        raise UsageError(f"there is nothing to choose from: {len(contexts)} candidate; name two contexts or more")
    if len(labels) != len(X):
        raise UsageError(f"there are {len(X)} inputs and {len(labels)} labels; give one label for each input")
    codes = _codes(labels)
    bounds = dict(at_most or {})
    known = {name: np.asarray(values) for name, values in (groups or {}).items()}
    _check_bounds(bounds, known, codes, len(X))
    embeddings = {name: encoder.with_context(context).transform(X) for name, context in contexts.items()}
    readers = {name: _Reader(values) for name, values in embeddings.items()}
    return _selection(readers, codes, bounds, known, seed)


def _selection(
    readers: Mapping[str, _Reader], codes: NDArray[np.int64], bounds: Mapping[str, float],
    groups: Mapping[str, NDArray[Any]], seed: int,
) -> Selection:  # fmt: skip
    targets = np.eye(codes.max() + 1)[codes]
    found = {name: reader.left_out(targets) for name, reader in readers.items()}
    base = _frequencies_error(targets)
    measured = {name: _bounded(reader, found[name], codes, bounds, groups) for name, reader in readers.items()}
    meeting = [name for name, values in measured.items() if all(values[key] <= most for key, most in bounds.items())]
    if not meeting:
        told = "; ".join(
            f"{n}: " + ", ".join(f"{k} {v:.3f}" for k, v in values.items()) for n, values in measured.items()
        )
        raise UsageError(f"no candidate meets the bounds ({told}); loosen --at-most, or guard the action type")
    errors = {name: np.square(targets - predicted).sum(axis=1) for name, predicted in found.items()}
    best = min(meeting, key=lambda name: errors[name].sum())
    ranked = sorted(readers, key=lambda name: (name not in meeting, errors[name].sum()))
    rows = tuple(_candidate(name, errors, best, found[name], codes, base, measured[name], seed) for name in ranked)
    p_value = _p_value([readers[name] for name in meeting], targets, 1 - errors[best].sum() / base, seed)
    rivals = [row for row in rows if row.name in meeting and row.name != best]
    decided, reason = _verdict(best, rivals, p_value, len(codes), bool(bounds) and len(meeting) < len(readers))
    return Selection(rows, best, decided, reason, len(codes), p_value)


class _Reader:
    """Ridge regression with each of N inputs left out, for any targets."""

    def __init__(self, embeddings: NDArray[np.float32]) -> None:
        centred = embeddings.astype(np.float64) - embeddings.mean(axis=0, dtype=np.float64)
        sizes, axes = np.linalg.eigh(centred @ centred.T)
        sizes = sizes.clip(0)
        unit = max(float(sizes.sum()), np.finfo(float).tiny)
        count = len(embeddings)
        self.residuals = []
        for penalty in _PENALTIES:
            hat = 1 / count + axes * (sizes / (sizes + penalty * unit / count)) @ axes.T
            self.residuals.append((np.eye(count) - hat) / (1 - np.diag(hat))[:, None])  # (N, N), applied to targets

    def left_out(self, targets: Floats) -> Floats:
        """Predictions (N, C) of targets (N, C), under the penalty with the least squared error."""
        errors = [matrix @ targets for matrix in self.residuals]
        least: Floats = min(errors, key=lambda error: float(np.square(error).sum()))
        return targets - least


def _candidate(
    name: str, errors: Mapping[str, Floats], best: str, predicted: Floats, codes: NDArray[np.int64], base: float,
    bounds: Mapping[str, float], seed: int,
) -> Candidate:  # fmt: skip
    count = len(codes)
    difference = (errors[name] - errors[best]) * count / base
    accuracy = float((predicted.argmax(axis=1) == codes).mean())
    return Candidate(
        name=name,
        skill=float(1 - errors[name].sum() / base),
        behind=float(difference.mean()),
        behind_error=float(difference.std(ddof=1) / count**0.5),
        behind_p=_sign_p(difference, seed),
        accuracy=accuracy,
        accuracy_error=(accuracy * (1 - accuracy) / count) ** 0.5,
        bounds=bounds,
    )


def _verdict(best: str, rivals: list[Candidate], p_value: float, count: int, bounded: bool) -> tuple[bool, str]:
    if p_value > LEVEL:
        return False, (
            f"cannot tell: no candidate reads these {count} labels better than permuted ones (p = {p_value:.3f}); "
            "label more inputs"
        )
    close = [rival.name for rival in rivals if rival.behind_p * len(rivals) > LEVEL]  # Bonferroni's correction
    if close:
        return False, f"cannot tell {best} from {', '.join(close)} by these {count} labels; label more inputs"
    if not rivals and bounded:
        return True, f"{best} alone meets the bounds"
    return True, f"{best} reads the labels best" + (" of those that meet the bounds" if bounded else "")


def _sign_p(difference: Floats, seed: int) -> float:
    """Fisher's test of paired differences (N,): signs at random give a mean as far from 0."""
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(_SIGNS, len(difference)))
    reached = np.abs(signs @ difference) >= abs(difference.sum())
    return float((1 + reached.sum()) / (1 + _SIGNS))


def _p_value(readers: list[_Reader], targets: Floats, skill: float, seed: int) -> float:
    """How often permuted labels are read as well by the candidate that reads them best."""
    draw = np.random.default_rng(seed)
    base = _frequencies_error(targets)
    reached = 0
    for _ in range(_PERMUTATIONS):
        permuted = targets[draw.permutation(len(targets))]
        least = min(float(np.square(permuted - reader.left_out(permuted)).sum()) for reader in readers)
        reached += 1 - least / base >= skill
    return (1 + reached) / (1 + _PERMUTATIONS)


def _frequencies_error(targets: Floats) -> float:
    """The squared error of predicting each input by the class frequencies of the others."""
    count = len(targets)
    return float(np.square((targets - targets.mean(axis=0)) * count / (count - 1)).sum())


def _codes(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Classes as 0, 1, ...; refuses what cannot be cross-validated."""
    if labels.ndim != 1 or len(labels) == 0:
        raise UsageError(f"the labels have the shape {labels.shape}, expected one for each input")
    if len(labels) > _MOST:
        raise UsageError(f"{len(labels)} labels: selection takes up to {_MOST}; a sample of them will do")
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise UsageError(f"label {int(np.isnan(labels).argmax())} is NaN; leave out inputs without a label")
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise UsageError(f"all labels are {classes[0]!s}: a choice needs two classes")
    if counts.min() < 2:
        raise UsageError(
            f"the class {classes[counts.argmin()]!s} has one label; cross-validation needs two of each, "
            "and five or more to tell anything"
        )
    return codes.astype(np.int64)


def _check_bounds(
    bounds: Mapping[str, float], groups: Mapping[str, NDArray[Any]], codes: NDArray[np.int64], count: int
) -> None:
    for name in bounds:
        if name == EQUALIZED_ODDS:
            if len(groups) != 1 or codes.max() != 1:
                raise UsageError(f"a bound on {name} needs two classes and one sensitive attribute; there are "
                                 f"{codes.max() + 1} and {len(groups)}")  # fmt: skip
        elif name not in groups:
            raise UsageError(
                f"a bound on {name!r}: known are {EQUALIZED_ODDS} and {', '.join(groups) or 'no attribute'}"
            )
    for name, values in groups.items():
        if len(values) != count:
            raise UsageError(f"{name} has {len(values)} values for {count} inputs")
        if name in bounds:
            _codes(values)


def _bounded(
    reader: _Reader, predicted: Floats, codes: NDArray[np.int64], bounds: Mapping[str, float],
    groups: Mapping[str, NDArray[Any]],
) -> dict[str, float]:  # fmt: skip
    values = {}
    for name in bounds:
        if name != EQUALIZED_ODDS:
            group = _codes(groups[name])
            values[name] = float((reader.left_out(np.eye(group.max() + 1)[group]).argmax(axis=1) == group).mean())
            continue
        attribute, group = next((key, np.unique(value, return_inverse=True)[1]) for key, value in groups.items())
        parts = (
            torch.from_numpy(codes),
            torch.from_numpy(predicted.argmax(axis=1)),
            {attribute: torch.from_numpy(group)},
        )
        found = fairness_differences(*parts, "label", "ridge")
        key = ("equalized_odds_difference", f"label by {attribute}", "ridge")
        if key not in found:
            raise UsageError(
                f"{name} is undefined: a group of {attribute} has labels of one class alone; label more inputs"
            )
        values[name] = found[key]
    return values
