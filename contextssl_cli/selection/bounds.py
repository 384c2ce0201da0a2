"""Bounds that a chosen context has to meet: how well a sensitive attribute is read, and fairness between its groups.

A bound is a promise, so it is judged by the strong probe, a logistic regression on standardised embeddings, which reads
what is small too; each input is predicted from other folds. From a few labels each figure has an error. It is that of
shares with two successes and two failures added (Agresti and Coull 1998): ten right out of ten are no certainty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from contextssl_cli.data.random import Purpose, integer_seed
from contextssl_cli.errors import UsageError
from contextssl_cli.evaluation.fairness import DIFFERENCE_CLASSES, group_differences
from contextssl_cli.evaluation.strong_probes import strong_classifier

EQUALIZED_ODDS = "equalized-odds"
EQUAL_OPPORTUNITY = "equal-opportunity"
DIFFERENCES = {EQUALIZED_ODDS: "equalized_odds_difference", EQUAL_OPPORTUNITY: "equal_opportunity_difference"}
"""Metrics of ``group_differences`` by the names of their bounds."""
LEVEL = 0.05
"""Of all tests: that the labels can be read at all, that the best candidate reads them better than each other, and that
a candidate is within a bound."""
_FOLDS = 5

_Groups = Mapping[str, NDArray[Any]]
ClassCodes = NDArray[np.int64]


@dataclass(frozen=True)
class Estimate:
    """A figure, its standard error, and the bound that it must meet."""

    value: float
    error: float
    most: float = 1.0

    @property
    def is_met(self) -> bool:
        """Whether the figure itself is within the bound."""
        return self.value <= self.most

    @property
    def room(self) -> float:
        """By how many errors it is within the bound; nothing is above 1."""
        return (self.most - self.value) / self.error if self.most < 1 else float("inf")

    @property
    def is_sure(self) -> bool:
        """Whether it is on its side of the bound by more than its error explains, one-sided."""
        return abs(self.room) > NormalDist().inv_cdf(1 - LEVEL)


def share(hits: NDArray[np.bool_]) -> Estimate:
    """The share of ``hits`` (N,) that are true."""
    smoothed = (hits.sum() + 2) / (len(hits) + 4)
    return Estimate(float(hits.mean()), float((smoothed * (1 - smoothed) / (len(hits) + 4)) ** 0.5))


def difference(name: str, codes: ClassCodes, predicted: ClassCodes, groups: NDArray[Any]) -> Estimate | None:
    """A fairness difference between groups of a binary prediction; None where it is undefined.

    Its error is that of the rates of the two groups that differ most.

    Args:
        name: a key of ``DIFFERENCES``.
        codes: (N,) true classes, 1 the favourable one.
        predicted: (N,) predicted classes.
        groups: (N,) categories.
    """
    value = group_differences(codes, predicted, groups)[DIFFERENCES[name]]
    if value is None:
        return None
    extremes = []
    for kind in DIFFERENCE_CLASSES[DIFFERENCES[name]]:
        cells = [predicted[(groups == group) & (codes == kind)] == 1 for group in np.unique(groups)]
        low, *_, high = sorted(map(share, cells), key=lambda rate: rate.value)
        extremes.append((high.value - low.value, float(np.hypot(high.error, low.error))))
    return Estimate(value, max(extremes)[1])


def check_bounds(bounds: Mapping[str, float], groups: _Groups, classes: NDArray[Any], count: int) -> None:
    """Refuse bounds that cannot be judged.

    Args:
        bounds: the largest value by name.
        groups: (N,) categories by attribute.
        classes: the labels' classes, in order.
        count: N.

    Raises:
        UsageError: naming the bound or the attribute.
    """
    for name, bound in bounds.items():
        if not isinstance(bound, int | float | np.number) or not 0 <= bound <= 1:
            raise UsageError(f"the bound on {name} is {bound}: expected a number from 0 to 1")
        if name in DIFFERENCES:
            if len(groups) != 1 or len(classes) != 2:
                raise UsageError(
                    f"a bound on {name} needs two classes and one sensitive attribute; there are {len(classes)} and "
                    f"{len(groups)}"
                )
            if name == EQUAL_OPPORTUNITY and not _are_marks(classes):
                raise UsageError(
                    f"a bound on {name} needs the labels 1, for the favourable class, and 0; they are "
                    f"{classes[0]!s} and {classes[1]!s}"
                )
        elif name not in groups:
            known = ", ".join((*DIFFERENCES, *groups))
            raise UsageError(f"a bound on {name!r}: known are {known}" + ("" if groups else ", and no attribute"))
    for name, values in groups.items():
        if len(values) != count:
            raise UsageError(f"{name} has {len(values)} values for {count} inputs")


def measured(
    embeddings: NDArray[np.float32], codes: ClassCodes, bounds: Mapping[str, float], groups: _Groups, seed: int
) -> dict[str, Estimate]:
    """What the bounds are on, by name, under one candidate.

    Args:
        embeddings: (N, D), of the candidate.
        codes: (N,) the labels.
        bounds: by name, checked.
        groups: (N,) categories by attribute.
        seed: of the folds.

    Raises:
        UsageError: if the attribute has one category among the inputs, or one of a single input; or a difference is
            undefined.
    """
    found = {}
    predicted = _cross_predicted(embeddings, codes, seed) if DIFFERENCES.keys() & bounds.keys() else codes
    for name in sorted(bounds, key=lambda name: name not in DIFFERENCES):
        if name not in DIFFERENCES:
            group = _categories(name, groups[name])
            estimate: Estimate | None = share(_cross_predicted(embeddings, group, seed) == group)
        else:
            ((attribute, values),) = groups.items()
            estimate = difference(name, codes, predicted, values)
        if estimate is None:
            needed = "both classes" if name == EQUALIZED_ODDS else "class 1"
            raise UsageError(
                f"{name} is undefined: each of two groups of {attribute} or more needs labels of {needed}; label more "
                "inputs"
            )
        found[name] = replace(estimate, most=bounds[name])
    return found


def _cross_predicted(embeddings: NDArray[np.float32], codes: ClassCodes, seed: int) -> ClassCodes:
    """Classes (N,) as the strong probe predicts them, fitted to the other folds."""
    count = min(_FOLDS, int(np.bincount(codes).min()))
    folds = StratifiedKFold(count, shuffle=True, random_state=integer_seed(seed, Purpose.FOLDS))
    predicted: ClassCodes = cross_val_predict(strong_classifier(), embeddings, codes, cv=folds)
    return predicted


def _categories(name: str, values: NDArray[Any]) -> ClassCodes:
    """An attribute's categories as 0, 1, ...; refuses what cannot be cross-validated."""
    categories, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(categories) < 2 or counts.min() < 2:
        raise UsageError(
            f"a bound on {name!r} needs two labelled inputs or more of each of two categories; there are "
            + ", ".join(f"{count} of {category!s}" for category, count in zip(categories, counts, strict=True))
        )
    return codes.astype(np.int64)


def _are_marks(classes: NDArray[Any]) -> bool:
    try:
        return {float(name) for name in classes} == {0.0, 1.0}
    except ValueError:
        return False
