"""The fairness table: what representations tell of a sensitive attribute, and how fair the predictions from them are.

Everything is fitted to the training split and judged on the test split, from the records as they are.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from contextssl_cli.adaptation.context_encoder import ContextEncoder
from contextssl_cli.adaptation.context_files import NONE, context_from_run
from contextssl_cli.adaptation.guard_profile import MLP, fit_quietly, mlp_classifier
from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.evaluation.fairness import Reduction, group_differences, support
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.evaluation.probes import LOGISTIC, can_be_read, strong_classifier
from contextssl_cli.evaluation.results import RAW, FairnessRow, spread
from contextssl_cli.store.dataset import Split, Store
from contextssl_cli.training.run import Run

_log = logging.getLogger(__name__)

REDUCTION = "ExponentiatedGradient (fairlearn, equalized odds, logistic regression)"
"""In place of a probe: the reduction predicts by itself."""

Array = NDArray[Any]
Embed = Callable[[Array], Array]
Values = dict[tuple[str, str, str], float | None]
"""By metric, target and probe; None where a figure is undefined."""


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
        self._found: dict[str, list[Values]] = {}

    def add(self, representation: str, embed: Embed, seed: int) -> None:
        """Measure a representation of one seed: strong probes of the attribute and of each task.

        Args:
            representation: its row in the table.
            embed: gives (N, D) of inputs (N, F).
            seed: of the MLP's weights and batches.
        """
        _log.info("reading %s, seed %d", representation, seed)
        fit, judge = embed(self.store.train.inputs()), embed(self.store.test.inputs())
        values: Values = {}
        known, asked = self._groups(self.store.train), self._groups(self.store.test)
        for name, probe in ((LOGISTIC, strong_classifier()), (MLP, _seeded(mlp_classifier(), seed))):
            values["accuracy", self.attribute, name] = float(fit_quietly(probe, fit, known).score(judge, asked))
        for task in self.tasks:
            known, labels, asked = self._labels(task)
            predicted = strong_classifier().fit(fit[known], labels[known]).predict(judge[asked])
            values |= self._judged(task, LOGISTIC, predicted)
        self._found.setdefault(representation, []).append(values)

    def add_reduction(self, seeds: Iterable[int], max_iter: int) -> dict[str, Any]:
        """Measure fairlearn's reduction on the raw columns; return how far its fits came, by task.

        Its prediction is drawn, anew for each seed. It makes no representation, so no probe reads the attribute.
        """
        about = {}
        values: list[Values] = [{} for _ in seeds]
        for task in self.tasks:
            known, labels, asked = self._labels(task)
            groups = self._groups(self.store.train)
            _log.info("fitting %s for %s", REDUCTION, task)
            reduction = Reduction.fit(self.store.train.inputs()[known], labels[known], groups[known], max_iter)
            about[task] = reduction.about()
            for found, seed in zip(values, seeds, strict=True):
                predicted = reduction.predict(self.store.test.inputs()[asked], seed)
                found |= self._judged(task, REDUCTION, predicted)
        self._found[f"{RAW}, reduction"] = values
        return about

    def rows(self) -> list[FairnessRow]:
        """Mean and spread over the seeds; a figure that is undefined for one seed is undefined."""
        return [
            _row(name, key, [values[key] for values in found])
            for name, found in self._found.items()
            for key in found[0]
        ]

    def as_dict(self) -> dict[str, Any]:
        """One JSON object: the attribute, the tasks, how many records each group has, and the rows."""
        names = self.store.schema.attributes[self.attribute]
        splits = {"train": self.store.train, "test": self.store.test}
        return {
            "attribute": self.attribute,
            "tasks": self.tasks,
            "support": {
                task: {name: support(part.labels(task), self._groups(part), names) for name, part in splits.items()}
                for task in self.tasks
            },
            "rows": [asdict(row) for row in self.rows()],
        }

    def _judged(self, task: str, probe: str, predicted: Array) -> Values:
        truth, groups = self.store.test.labels(task), self._groups(self.store.test)
        asked = truth >= 0
        values: Values = {("accuracy", task, probe): float((predicted == truth[asked]).mean())}
        differences = group_differences(truth[asked], predicted, groups[asked])
        return values | {(metric, task, probe): value for metric, value in differences.items()}

    def _labels(self, task: str) -> tuple[Array, Array, Array]:
        """Which training records have a label, the labels, and which test records have one."""
        labels = self.store.train.labels(task)
        return labels >= 0, labels, self.store.test.labels(task) >= 0

    def _groups(self, part: Split) -> Array:
        return part.attribute(self.attribute)

    def _is_binary(self, task: str) -> bool:
        fit, judge = (torch.from_numpy(part.labels(task)) for part in (self.store.train, self.store.test))
        usable = len(self.store.schema.tasks[task]) == 2 and can_be_read(fit, judge)
        if not usable:
            _log.warning("%s is left out: it needs two classes to learn from and a label to be judged on", task)
        return usable


def without_column(store: Store, attribute: str) -> Embed:
    """The raw columns but the attribute's."""
    column = store.schema.column_of(attribute)
    return lambda inputs: np.delete(inputs, np.r_[column.start : column.stop], axis=1) if column else inputs


def features(run: Run) -> Embed:
    """The encoder's feature z of a run of any method."""
    model = OpenRun(run).model

    @torch.no_grad()
    def embed(inputs: Array) -> Array:
        parts = to_tensor(inputs, run.record.schema_, "inputs").split(1024)
        return torch.cat([model.encode(part) for part in parts]).numpy()

    return embed


def contexts(run: Run, action: str, seed: int) -> Mapping[str, Embed]:
    """The embeddings of a run under the context that shows an action type, and the empty one without and with a guard.

    A guard takes out what a context zeroes, so the first context has none.
    """
    encoder = ContextEncoder.load(run.folder, "cpu")
    shown, empty = (context_from_run(run, [name], None, seed) for name in (action, NONE))
    return {
        f"{action} context": encoder.with_context(shown).transform,
        "empty context": encoder.with_context(empty).transform,
        f"empty context, guard {action}": encoder.with_context(empty, action).transform,
    }


def _seeded(probe: Pipeline, seed: int) -> Pipeline:
    return probe.set_params(mlpclassifier__random_state=seed)


def _row(representation: str, key: tuple[str, str, str], values: list[float | None]) -> FairnessRow:
    defined = [value for value in values if value is not None]
    if len(defined) < len(values):
        return FairnessRow(representation, *key, values=[], mean=None, std=0.0)
    return FairnessRow(representation, *key, values=defined, mean=statistics.fmean(defined), std=spread(defined))
