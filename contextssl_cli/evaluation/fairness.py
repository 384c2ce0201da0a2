"""Fairness of a task's prediction between the groups of a sensitive attribute (by fairlearn)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from fairlearn.metrics import equal_opportunity_difference, equalized_odds_difference
from torch import Tensor

from contextssl_cli.data.inputs import whole
from contextssl_cli.data.pairs import PairSource
from contextssl_cli.evaluation.probes import LOGISTIC, can_be_read, strong_classify
from contextssl_cli.evaluation.results import RAW, Key
from contextssl_cli.store.dataset import Store

METRICS = {
    "equalized_odds_difference": equalized_odds_difference,
    "equal_opportunity_difference": equal_opportunity_difference,
}


def fairness_differences(
    labels: Tensor, predicted: Tensor, groups: Mapping[str, Tensor], target: str, probe: str
) -> dict[tuple[str, str, str], float]:
    """Differences between groups in a binary prediction, by (metric, target, probe).

    Equalized odds: the larger of the differences in true and in false positive rate. Equal opportunity: the difference
    in true positive rate (Hardt et al. 2016). A metric that has no value, because a group has no positives or no
    negatives, is left out.

    Args:
        labels: (N,) true classes, 1 the favourable one.
        predicted: (N,) predicted classes.
        groups: (N,) category indices by sensitive attribute.
        target: the task.
        probe: what predicted.
    """
    found: dict[tuple[str, str, str], float] = {}
    if set(labels.unique().tolist()) != {0, 1}:
        return found
    for attribute, group in groups.items():
        support = [set(labels[group == value].unique().tolist()) for value in group.unique().tolist()]
        if any(classes != {0, 1} for classes in support):
            continue
        for metric, difference in METRICS.items():
            value = difference(labels.numpy(), predicted.numpy(), sensitive_features=group.numpy())
            found[metric, f"{target} by {attribute}", probe] = float(value)
    return found


def raw_baseline(store: Store, train: PairSource, test: PairSource) -> dict[Key, float]:
    """What the strong probe reads from the table itself: each task with and without each attribute, and the attribute.

    Args:
        store: labels and attributes.
        train: encoded rows to fit to.
        test: encoded rows to judge on.
    """
    found: dict[Key, float] = {}
    rows, asked_rows = whole(train.inputs), whole(test.inputs)
    for attribute in store.schema.attributes:
        column = store.schema.column_of(attribute)
        if column is None:
            continue
        kept = np.r_[0 : column.start, column.stop : rows.shape[1]]
        every = np.arange(rows.shape[1])
        groups = store.test.attribute(attribute)
        for source, columns in ((RAW, every), (f"{RAW} without {attribute}", kept)):
            fit, judge = rows[:, columns].numpy(), asked_rows[:, columns].numpy()
            for task in store.schema.tasks:
                labels = torch.from_numpy(store.test.labels(task))
                if not can_be_read(torch.from_numpy(store.train.labels(task)), labels):
                    continue
                known, asked = store.train.labels(task) >= 0, labels >= 0
                predicted = torch.from_numpy(strong_classify(fit[known], store.train.labels(task)[known], judge[asked]))
                accuracy = float((predicted == labels[asked]).double().mean())
                found[Key(source, 0, "accuracy", task, LOGISTIC)] = accuracy
                by_group = {attribute: torch.from_numpy(groups)[asked]}
                differences = fairness_differences(labels[asked], predicted, by_group, task, LOGISTIC)
                found |= {Key(source, 0, *name): value for name, value in differences.items()}
            if not can_be_read(torch.from_numpy(store.train.attribute(attribute)), torch.from_numpy(groups)):
                continue
            read = strong_classify(fit, store.train.attribute(attribute), judge)
            found[Key(source, 0, "accuracy", attribute, LOGISTIC)] = float((read == groups).mean())
    return found
