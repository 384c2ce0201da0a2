"""Fairness: differences between the groups of a sensitive attribute, and the fairness table of a study.

The differences are fairlearn's. The table compares representations by what strong probes read of the attribute and by
how fair the predictions from them are. Everything is fitted to the training split and judged on the test split, from
the records as they are.

Shapes: N and M records, F columns, D numbers.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from fairlearn.metrics import demographic_parity_difference, equal_opportunity_difference, equalized_odds_difference
from fairlearn.reductions import EqualizedOdds, ExponentiatedGradient
from numpy.typing import NDArray
from torch import Tensor

from contextssl_cli.data.random import Purpose, integer_seed
from contextssl_cli.data.rows import whole
from contextssl_cli.evaluation.cache import MeasuredValues
from contextssl_cli.evaluation.encoded import ProbeSamples
from contextssl_cli.evaluation.probes import can_be_read
from contextssl_cli.evaluation.results import RAW, FairnessRow, Key, mean_of, sample_std
from contextssl_cli.evaluation.strong_probes import (
    LOGISTIC,
    MLP,
    strong_accuracy,
    strong_classifier,
    strong_classify,
)
from contextssl_cli.store.dataset import Store
from contextssl_cli.store.schema import Schema

_log = logging.getLogger(__name__)

FAIRNESS_METRICS = {
    "equalized_odds_difference": equalized_odds_difference,
    "equal_opportunity_difference": equal_opportunity_difference,
}
"""The differences that the paper reports, smaller is fairer."""
PARITY = "demographic_parity_difference"
REDUCTION = "ExponentiatedGradient (fairlearn, equalized odds, logistic regression)"
"""In place of a probe: the reduction predicts by itself."""

DIFFERENCE_CLASSES = {"equalized_odds_difference": (0, 1), "equal_opportunity_difference": (1,)}
"""The true classes whose rates of being predicted as 1 are compared between groups (Hardt et al. 2016)."""

_Codes = NDArray[np.integer[Any]]
_Figures = dict[tuple[str, str, str], float | None]  # by metric, target and probe; None where a figure is undefined
Embed = Callable[[NDArray[Any]], NDArray[Any]]
"""Gives a representation (N, D), or classes (N,), of inputs (N, F)."""


def group_differences(labels: _Codes, predicted: _Codes, groups: _Codes) -> dict[str, float | None]:
    """Differences between groups in a binary prediction, by metric; None where one is undefined.

    Equalized odds: the larger of the differences in true and in false positive rate. Equal opportunity: the difference
    in true positive rate. Demographic parity: the difference in the share that is predicted to be favoured. A
    difference is undefined if there is one group, or a group has no record of one of the ``DIFFERENCE_CLASSES``.

    Args:
        labels: (N,) true classes, 1 the favourable one.
        predicted: (N,) predicted classes.
        groups: (N,) category indices.
    """
    classes = [set(labels[groups == value].tolist()) for value in np.unique(groups)]
    found: dict[str, float | None] = {}
    for name, function in {**FAIRNESS_METRICS, PARITY: demographic_parity_difference}.items():
        defined = len(classes) > 1 and all(own >= set(DIFFERENCE_CLASSES.get(name, ())) for own in classes)
        found[name] = float(function(labels, predicted, sensitive_features=groups)) if defined else None
    return found


def fairness_differences(
    labels: Tensor, predicted: Tensor, groups: Mapping[str, Tensor], target: str, probe: str
) -> MeasuredValues:
    """The ``FAIRNESS_METRICS`` that are defined, by (metric, target, probe).

    Args:
        labels: (N,) true classes, 1 the favourable one; without exactly two classes there are no differences.
        predicted: (N,) predicted classes.
        groups: (N,) category indices by sensitive attribute.
        target: the task.
        probe: name of the probe that predicted.
    """
    if set(labels.unique().tolist()) != {0, 1}:
        return {}
    found = {
        name: group_differences(labels.numpy(), predicted.numpy(), group.numpy()) for name, group in groups.items()
    }
    return {
        (metric, f"{target} by {attribute}", probe): value
        for attribute, differences in found.items()
        for metric in FAIRNESS_METRICS
        if (value := differences[metric]) is not None
    }


def judged(predicted: Tensor, truth: Tensor, groups: Mapping[str, Tensor], target: str, probe: str) -> MeasuredValues:
    """The accuracy of one prediction, ``top1`` for data without sensitive attributes, and its fairness.

    Args:
        predicted: (N,) class indices.
        truth: (N,), -1 where missing.
        groups: (N,) category indices by sensitive attribute.
        target: the task or the attribute that is predicted.
        probe: name of the probe that predicted.
    """
    asked = truth >= 0
    metric = "accuracy" if groups else "top1"
    values = {(metric, target, probe): float((predicted == truth)[asked].double().mean())}
    by_group = {name: group[asked] for name, group in groups.items() if target not in groups}
    return values | fairness_differences(truth[asked], predicted[asked], by_group, target, probe)


def raw_baseline(schema: Schema, train: ProbeSamples, test: ProbeSamples) -> dict[Key, float]:
    """What the strong probe reads from the table itself: each task with and without each attribute, and the attribute.

    Args:
        schema: of the table.
        train: encoded rows to fit to.
        test: encoded rows to judge on.
    """
    found: dict[Key, float] = {}
    rows, asked_rows = whole(train.source.inputs).numpy(), whole(test.source.inputs).numpy()
    for attribute in schema.attributes:
        column = schema.column_of(attribute)
        if column is None:
            continue
        every = np.arange(rows.shape[1])
        kept = np.delete(every, np.r_[column.start : column.stop])
        for source, columns in ((RAW, every), (f"{RAW} without {attribute}", kept)):
            for target in (*schema.tasks, attribute):
                known, truth = train.classes(target), test.classes(target)
                if not can_be_read(known, truth):
                    continue
                predicted = strong_classify(rows[:, columns], known.numpy(), asked_rows[:, columns])
                groups = {attribute: test.attributes[attribute]}
                values = judged(torch.from_numpy(predicted), truth, groups, target, LOGISTIC)
                found |= {Key(source, 0, *name): value for name, value in values.items()}
    return found


class FairnessTable:
    """Figures by representation, collected seed by seed.

    Args:
        store: labels and attributes.
        attribute: the sensitive one.
    """

    def __init__(self, store: Store, attribute: str) -> None:
        self.store = store
        self.attribute = attribute
        self.tasks = [task for task in store.schema.tasks if self._is_binary(task)]
        self._found: dict[str, list[_Figures]] = {}

    def add(self, representation: str, embed: Embed, seed: int) -> None:
        """Measure a representation of one seed by strong probes of the attribute and of each task.

        Args:
            representation: its row in the table.
            embed: gives (N, D) of inputs (N, F).
            seed: of the MLP's weights and batches.
        """
        _log.info("probing %s, seed %d", representation, seed)
        train, test = self.store.train, self.store.test
        fit, judge = embed(train.inputs()), embed(test.inputs())
        values: _Figures = {}
        groups, truth = train.attribute(self.attribute), test.attribute(self.attribute)
        for name in (LOGISTIC, MLP):
            values["accuracy", self.attribute, name] = strong_accuracy(name, fit, groups, judge, truth, seed)
        for task in self.tasks:
            values |= self._judged(task, LOGISTIC, partial(strong_classify, fit, train.labels(task)), judge)
        self._found.setdefault(representation, []).append(values)

    def add_reduction(self, seeds: Iterable[int], max_iter: int) -> dict[str, Any]:
        """Measure fairlearn's reduction on the raw columns; return how far its fits came, by task.

        Its prediction is drawn, anew for each seed. It has no representation from which a probe could read the
        attribute.
        """
        about = {}
        values: list[_Figures] = [{} for _ in seeds]
        train, test = self.store.train, self.store.test
        for task in self.tasks:
            labels, groups = train.labels(task), train.attribute(self.attribute)
            known = labels >= 0
            _log.info("fitting %s for %s", REDUCTION, task)
            reduction = Reduction.fit(train.inputs()[known], labels[known], groups[known], max_iter)
            about[task] = reduction.about()
            for found, seed in zip(values, seeds, strict=True):
                found |= self._judged(task, REDUCTION, partial(reduction.predict, seed=seed), test.inputs())
        self._found[f"{RAW}, reduction"] = values
        return about

    def as_dict(self) -> dict[str, Any]:
        """One JSON object: the attribute, the tasks, how many records each group has, and the rows.

        A row has the mean and standard deviation over the seeds; a figure that is undefined for one seed is undefined.
        """
        rows = []
        for name, found in self._found.items():
            for key in found[0]:
                values = [value for figures in found if (value := figures[key]) is not None]
                values = values if len(values) == len(found) else []
                rows.append(asdict(FairnessRow(name, *key, values, mean_of(values), sample_std(values))))
        names = self.store.schema.attributes[self.attribute]
        splits = self.store.train, self.store.test
        return {
            "attribute": self.attribute,
            "tasks": self.tasks,
            "support": {
                task: {part.name: support(part.labels(task), part.attribute(self.attribute), names) for part in splits}
                for task in self.tasks
            },
            "rows": rows,
        }

    def _judged(self, task: str, probe: str, predict: Embed, inputs: NDArray[Any]) -> _Figures:
        """The figures of what is predicted for the test records (M, D) that have a label."""
        truth, groups = self.store.test.labels(task), self.store.test.attribute(self.attribute)
        truth, groups, predicted = truth[truth >= 0], groups[truth >= 0], predict(inputs[truth >= 0])
        values: _Figures = {("accuracy", task, probe): float((predicted == truth).mean())}
        return values | {(m, task, probe): value for m, value in group_differences(truth, predicted, groups).items()}

    def _is_binary(self, task: str) -> bool:
        fit, judge = (torch.from_numpy(part.labels(task)) for part in (self.store.train, self.store.test))
        usable = len(self.store.schema.tasks[task]) == 2 and can_be_read(fit, judge)
        if not usable:
            _log.warning("%s is left out: it needs two classes to learn from and a label to be judged on", task)
        return usable


def support(labels: _Codes, groups: _Codes, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many positives and negatives each group has, by its name."""
    kinds = {"positives": 1, "negatives": 0}
    return {
        name: {kind: int(((groups == code) & (labels == value)).sum()) for kind, value in kinds.items()}
        for code, name in enumerate(names)
    }


@dataclass(frozen=True)
class Reduction:
    """A classifier that is fitted under equalized odds by fairlearn (Agarwal et al. 2018, arXiv:1803.02453).

    The base classifier is a logistic regression on standardised columns. The predictor draws one of several for every
    record.

    Attributes:
        predictor: fairlearn's.
    """

    predictor: ExponentiatedGradient

    BOUND = 0.01
    """Of the differences in true and false positive rates on the training split; fairlearn's default."""

    @classmethod
    def fit(cls, columns: NDArray[Any], labels: _Codes, groups: _Codes, max_iter: int) -> Self:
        """Fit to the training split.

        Args:
            columns: (N, F).
            labels: (N,) 0 or 1.
            groups: (N,) category indices, which are needed for fitting only.
            max_iter: the largest number of iterations.
        """
        predictor = ExponentiatedGradient(
            strong_classifier(), EqualizedOdds(difference_bound=cls.BOUND), max_iter=max_iter,
            sample_weight_name="logisticregression__sample_weight",
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of pandas 3, which fairlearn 0.15 does not know yet
            predictor.fit(columns, labels, sensitive_features=groups)
        return cls(predictor)

    def predict(self, columns: NDArray[Any], seed: int) -> NDArray[np.int64]:
        """Classes (M,) of ``columns`` (M, F)."""
        predicted = self.predictor.predict(columns, random_state=integer_seed(seed, Purpose.REDUCTION))
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
