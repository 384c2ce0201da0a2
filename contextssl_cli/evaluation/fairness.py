"""Fairness of a task's prediction between the groups of a sensitive attribute (by fairlearn)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from fairlearn.metrics import demographic_parity_difference, equal_opportunity_difference, equalized_odds_difference
from fairlearn.reductions import EqualizedOdds, ExponentiatedGradient
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from contextssl_cli.data.rows import whole
from contextssl_cli.evaluation.probes import LOGISTIC, can_be_read, strong_classify
from contextssl_cli.evaluation.results import RAW, Key
from contextssl_cli.evaluation.samples import Samples
from contextssl_cli.store.schema import Schema

METRICS = {
    "equalized_odds_difference": equalized_odds_difference,
    "equal_opportunity_difference": equal_opportunity_difference,
}


def fairness_differences(
    labels: Tensor, predicted: Tensor, groups: Mapping[str, Tensor], target: str, probe: str
) -> dict[tuple[str, str, str], float]:
    """Those of ``group_differences`` that the paper reports and that are defined, by (metric, target, probe).

    Args:
        labels: (N,) true classes, 1 the favourable one; nothing is found if they are not two classes.
        predicted: (N,) predicted classes.
        groups: (N,) category indices by sensitive attribute.
        target: the task.
        probe: what predicted.
    """
    if set(labels.unique().tolist()) != {0, 1}:
        return {}
    found = {
        name: group_differences(labels.numpy(), predicted.numpy(), group.numpy()) for name, group in groups.items()
    }
    return {
        (metric, f"{target} by {attribute}", probe): value
        for attribute, differences in found.items()
        for metric in METRICS
        if (value := differences[metric]) is not None
    }


PARITY = "demographic_parity_difference"
Codes = NDArray[np.integer[Any]]


def group_differences(labels: Codes, predicted: Codes, groups: Codes) -> dict[str, float | None]:
    """Differences between groups in a binary prediction, by metric; None where one is undefined.

    Equalized odds: the larger of the differences in true and in false positive rate; undefined if a group has no
    positives or no negatives. Equal opportunity: the difference in true positive rate (Hardt et al. 2016); undefined if
    a group has no positives. Demographic parity: the difference in the share that is predicted to be favoured.

    Args:
        labels: (N,) true classes, 1 the favourable one.
        predicted: (N,) predicted classes.
        groups: (N,) category indices.
    """
    classes = [set(labels[groups == value].tolist()) for value in np.unique(groups)]
    defined = {
        "equalized_odds_difference": all(found == {0, 1} for found in classes),
        "equal_opportunity_difference": all(1 in found for found in classes),
        PARITY: True,
    }
    several = len(classes) > 1
    return {
        name: float(function(labels, predicted, sensitive_features=groups)) if several and defined[name] else None
        for name, function in {**METRICS, PARITY: demographic_parity_difference}.items()
    }


def support(labels: Codes, groups: Codes, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many positives and negatives each group has, by its name."""
    return {
        name: {kind: int(((groups == code) & (labels == value)).sum()) for kind, value in _KINDS.items()}
        for code, name in enumerate(names)
    }


_KINDS = {"positives": 1, "negatives": 0}


@dataclass(frozen=True)
class Reduction:
    """A classifier that was fitted under equalized odds (Agarwal et al. 2018, arXiv:1803.02453), by fairlearn.

    The base classifier is a logistic regression on standardised columns; the predictor draws one of several such for
    every record.

    Attributes:
        scaler: of the columns.
        predictor: fairlearn's.
    """

    scaler: StandardScaler
    predictor: ExponentiatedGradient

    BOUND = 0.01
    """Of the differences in true and false positive rates on the training split; fairlearn's default."""

    @classmethod
    def fit(cls, columns: NDArray[Any], labels: Codes, groups: Codes, max_iter: int) -> Self:
        """Fit to the training split.

        Args:
            columns: (N, F).
            labels: (N,) 0 or 1.
            groups: (N,) category indices; they are needed for fitting only.
            max_iter: iterations at most.
        """
        scaler = StandardScaler().fit(columns)
        base, constraint = LogisticRegression(max_iter=2000), EqualizedOdds(difference_bound=cls.BOUND)
        predictor = ExponentiatedGradient(base, constraint, max_iter=max_iter)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of pandas 3, which fairlearn 0.15 does not know yet
            predictor.fit(scaler.transform(columns), labels, sensitive_features=groups)
        return cls(scaler, predictor)

    def predict(self, columns: NDArray[Any], seed: int) -> Codes:
        """Classes (M,) of ``columns`` (M, F)."""
        predicted = self.predictor.predict(self.scaler.transform(columns), random_state=seed)
        return np.asarray(predicted, dtype=np.int64)

    def about(self) -> dict[str, Any]:
        """How far the fit came."""
        return {
            "bound": self.BOUND,
            "max_iter": self.predictor.max_iter,
            "iterations": int(self.predictor.last_iter_) + 1,
            "best_gap": float(self.predictor.best_gap_),
            "classifiers": int((self.predictor.weights_ > 0).sum()),
        }


def raw_baseline(schema: Schema, train: Samples, test: Samples) -> dict[Key, float]:
    """What the strong probe reads from the table itself: each task with and without each attribute, and the attribute.

    Args:
        schema: of the table.
        train: encoded rows to fit to.
        test: encoded rows to judge on.
    """
    found: dict[Key, float] = {}
    rows, asked_rows = whole(train.source.inputs), whole(test.source.inputs)
    for attribute in schema.attributes:
        column = schema.column_of(attribute)
        if column is None:
            continue
        kept = np.r_[0 : column.start, column.stop : rows.shape[1]]
        every = np.arange(rows.shape[1])
        groups = test.attributes[attribute]
        for source, columns in ((RAW, every), (f"{RAW} without {attribute}", kept)):
            fit, judge = rows[:, columns].numpy(), asked_rows[:, columns].numpy()
            for task in schema.tasks:
                known_labels, labels = train.labels[task], test.labels[task]
                if not can_be_read(known_labels, labels):
                    continue
                known, asked = known_labels >= 0, labels >= 0
                read = strong_classify(fit[known], known_labels[known].numpy(), judge[asked])
                predicted = torch.from_numpy(read)
                accuracy = float((predicted == labels[asked]).double().mean())
                found[Key(source, 0, "accuracy", task, LOGISTIC)] = accuracy
                by_group = {attribute: groups[asked]}
                differences = fairness_differences(labels[asked], predicted, by_group, task, LOGISTIC)
                found |= {Key(source, 0, *name): value for name, value in differences.items()}
            if can_be_read(train.attributes[attribute], groups):
                read = strong_classify(fit, train.attributes[attribute].numpy(), judge)
                found[Key(source, 0, "accuracy", attribute, LOGISTIC)] = float((read == groups.numpy()).mean())
    return found
