"""The fairness table of a study: the representations of its runs, the raw columns, and a fairness reduction."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from contextssl_cli.adaptation.context_encoder import ContextEncoder
from contextssl_cli.adaptation.context_files import NONE, context_from_run, training_pairs
from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.errors import UsageError, suggestion
from contextssl_cli.evaluation.fairness import Embed, FairnessTable
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.evaluation.results import RAW
from contextssl_cli.experiments.plan import Point
from contextssl_cli.plugin.attribute import AttributeChange
from contextssl_cli.plugin.task import Task
from contextssl_cli.store.dataset import Store
from contextssl_cli.store.schema import Schema
from contextssl_cli.training.run import Run

_log = logging.getLogger(__name__)

REDUCTION_ROUNDS = 50
"""The most rounds of ExponentiatedGradient: fairlearn's default."""


def attribute_change(task: Task) -> AttributeChange:
    """The action type of a task with a fairness table: the only one, which changes an attribute.

    Raises:
        UsageError: if it does not change an attribute, or is not the only one.
    """
    actions = task.actions
    if len(actions) != 1 or not isinstance(actions[0], AttributeChange):
        raise UsageError(f"{task.name}: a fairness table needs a task whose one action type changes an attribute")
    return actions[0]


def sensitive_attribute(points: Sequence[Point], schema: Schema) -> str:
    """The attribute that all runs change, in data that have what a fairness table needs.

    Raises:
        UsageError: if there are several, if it is not a sensitive one, or if no task has two classes.
    """
    changes = [attribute_change(run.task) for point in points for run in point.runs]
    names = sorted({change.attribute(schema) for change in changes})
    if len(names) > 1:
        raise UsageError(f"the runs change {' and '.join(names)}: a fairness table needs one attribute")
    if names[0] not in schema.attributes:
        raise UsageError(
            f"{names[0]} is not a sensitive attribute of {schema.dataset}: {suggestion(names[0], schema.attributes)}"
        )
    if all(len(classes) != 2 for classes in schema.tasks.values()):
        raise UsageError(f"{schema.dataset} has no task of two classes, which a fairness table needs")
    return names[0]


def measure_fairness(points: Sequence[Point], store: Store, known: Mapping[str, Any] | None) -> dict[str, Any]:
    """How well probes predict the attribute from the representations of trained runs, and how fair predictions are.

    Args:
        points: trained; each is a group of rows, over its seeds.
        store: their data.
        known: an earlier table; it is returned if it is of the same runs and data.

    Returns:
        ``FairnessTable.as_dict``, with the rounds of the reduction and the fingerprints of runs and data.

    Raises:
        UsageError: as ``sensitive_attribute``.
    """
    runs = [(point.label, planned.config.seed, Run(planned.folder)) for point in points for planned in point.runs]
    of = {
        "store_hash": store.content_hash,
        "fingerprints": {f"{label}, seed {seed}": run.fingerprint() for label, seed, run in runs},
    }
    if known is not None and all(known.get(key) == value for key, value in of.items()):
        return dict(known)
    action = attribute_change(points[0].runs[0].task)
    table = FairnessTable(store, sensitive_attribute(points, store.schema))
    seeds = sorted({seed for _, seed, _ in runs})
    _log.info("fairness: raw columns and reduction")
    for seed in seeds:  # of the MLP, which is all that differs here
        table.add(RAW, lambda inputs: inputs, seed)
        table.add(f"{RAW} without {table.attribute}", _without_column(store, table.attribute), seed)
    reduction = table.add_reduction(seeds, REDUCTION_ROUNDS)
    for label, seed, run in runs:
        _log.info("fairness: %s, seed %d", label, seed)
        own = run.record.config.method == "contextssl"
        embeddings = _contexts(run, action.name, seed) if own else {"feature": _features(run)}
        for what, embed in embeddings.items():
            table.add(f"{label}, {what}", embed, seed)
    return table.as_dict() | {"reduction": reduction} | of


def _without_column(store: Store, attribute: str) -> Embed:
    """The raw columns except the attribute's."""
    column = store.schema.column_of(attribute)
    return lambda inputs: np.delete(inputs, np.r_[column.start : column.stop], axis=1) if column else inputs


def _features(run: Run) -> Embed:
    """The encoder's feature z of a run of any method."""
    model = OpenRun(run).model

    @torch.no_grad()
    def embed(inputs: NDArray[Any]) -> NDArray[Any]:
        parts = to_tensor(inputs, run.record.schema_, "inputs").split(1024)
        return torch.cat([model.encode(part) for part in parts]).numpy()

    return embed


def _contexts(run: Run, action: str, seed: int) -> dict[str, Embed]:
    """The embeddings of a run under the context that shows an action type, and the empty one without and with a guard.

    A guard removes what a context zeroes, so the first context has none.
    """
    encoder, source = ContextEncoder.load(run.folder, "cpu"), training_pairs(run)
    shown, empty = (context_from_run(run, [name], None, seed, source) for name in (action, NONE))
    return {
        f"{action} context": encoder.with_context(shown).transform,
        "empty context": encoder.with_context(empty).transform,
        f"empty context, guard {action}": encoder.with_context(empty, action).transform,
    }
