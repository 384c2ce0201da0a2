"""The contract of data sets."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from contextssl_cli.config.resolve import Asked, resolve_config
from contextssl_cli.data.prepare import prepare
from contextssl_cli.data.random import Purpose, seeded
from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.errors import ContextSSLError, DataMissingError, PluginError
from contextssl_cli.evaluation.protocol import probe_config
from contextssl_cli.plugin.kinds import ActionType, Dataset
from contextssl_cli.plugin.options import validated
from contextssl_cli.store.dataset import Store
from contextssl_cli.store.schema import Schema
from contextssl_cli.testing.actions import check_action_type
from contextssl_cli.testing.checks import Checks
from contextssl_cli.testing.rules import ROWS, check_like, check_names, check_options, check_random, require, title


def check_dataset(
    dataset: Dataset,
    source: Path | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    checks: Checks | None = None,
) -> None:
    """Check a data set: its definition, its behaviour without a source, and the store that it writes.

    Args:
        dataset: the data set.
        source: its source; may be left out only if the data set needs none.
        options: of ``contextssl prepare``, by field; by default the data set's ``trial``.
        checks: collects the results; by default the first broken rule is raised.

    Raises:
        PluginError: naming the rule that is broken.
    """
    checks = checks or Checks()
    options = dataset.trial if options is None else options
    check_dataset_definition(dataset, options, checks=checks)
    if dataset.needs_source and source is None:
        raise PluginError(
            f"{title(dataset)} needs a source: give check_dataset a small one, or call check_dataset_definition"
        )
    with tempfile.TemporaryDirectory() as folder:
        _check_stores(dataset, source, options, Path(folder), checks)


def check_dataset_definition(
    dataset: Dataset, options: Mapping[str, Any] | None = None, *, checks: Checks | None = None
) -> None:
    """Check the definition of a data set, for which no source is needed.

    Args:
        dataset: the data set.
        options: of ``contextssl prepare``, by field; by default the data set's ``trial``.
        checks: collects the results; by default the first broken rule is raised.

    Raises:
        PluginError: naming the rule that is broken.
    """
    checks = checks or Checks()
    options = dataset.trial if options is None else options
    subject = _subject(dataset)
    with checks.rule(subject, "names"):
        check_names(dataset, "data set")
    with checks.rule(subject, "licence"):
        licence = getattr(dataset, "licence", "")
        require(bool(licence.strip()), f"{title(dataset)} names no licence: set the class attribute licence")
    with checks.rule(subject, "actions"):
        for action in dataset.actions:
            require(isinstance(action, ActionType), f"{title(dataset)}: actions holds {action!r}, expected ActionType")
    with checks.rule(subject, "options"):
        check_options(dataset)
    defaults: dict[str, Callable[[], object]] = {
        "training": lambda: resolve_config(dataset, Asked()),
        "probing": lambda: probe_config(dataset),
        "trial": lambda: validated(dataset.options, dataset.trial, title(dataset)),
    }
    for name, resolve in defaults.items():
        with checks.rule(subject, f"{name} defaults"):
            try:
                resolve()
            except ContextSSLError as error:
                raise PluginError(f"{title(dataset)}: its {name} defaults are not valid: {error}") from error
    if dataset.needs_source:
        with checks.rule(subject, "missing source"):
            _check_missing_source(dataset, options)


def _subject(dataset: Dataset) -> str:
    return f"data set {getattr(dataset, 'name', None)}"


def _check_missing_source(dataset: Dataset, options: Mapping[str, Any]) -> None:
    chosen = validated(dataset.options, options, title(dataset))
    with tempfile.TemporaryDirectory() as folder:
        for case, source in (("an empty folder", Path(folder)), ("a missing path", Path(folder) / "missing")):
            name = f"{title(dataset)}.prepare"
            try:
                prepared = dataset.prepare(source, chosen)
                list(prepared.samples)
                for part in prepared.parts[:1]:
                    part()
            except DataMissingError:
                continue
            except Exception as error:
                kind = type(error).__name__
                raise PluginError(f"{name} raises {kind} for {case} ({error}); raise DataMissingError") from error
            raise PluginError(f"{name} accepts {case} as its source; raise DataMissingError")


def _check_stores(
    dataset: Dataset, source: Path | None, options: Mapping[str, Any], folder: Path, checks: Checks
) -> None:
    """Prepare twice and check the first store."""
    subject, hashes = _subject(dataset), []
    first = folder / "first.h5"
    with checks.rule(subject, "prepare"), prepare(dataset, source, first, options=options) as store:
        hashes.append(store.content_hash)
    if not first.exists():
        return
    with Store(first) as store:
        _check_store(dataset, store, checks)
    with checks.rule(subject, "prepare is repeatable"):
        with prepare(dataset, source, folder / "second.h5", options=options) as store:
            hashes.append(store.content_hash)
        require(
            len(set(hashes)) == 1,
            f"{title(dataset)}: two runs of prepare wrote different content; seed what it draws, sort what it lists",
        )


def _check_store(dataset: Dataset, store: Store, checks: Checks) -> None:
    schema, subject = store.schema, _subject(dataset)
    with checks.rule(subject, "schema"):
        _check_schema(dataset, schema)
    inputs: Tensor | None = None
    with checks.rule(subject, "inputs"):
        inputs = to_tensor(store.train.inputs(slice(ROWS)), schema)
    if inputs is None:
        return
    for name, change in (("augment", dataset.augment), ("augment_view", dataset.augment_view)):
        with checks.rule(subject, name):
            _check_change(f"{title(dataset)}.{name}", change, inputs, schema)
    for action in dataset.actions:
        _check_own_action(dataset, action, store, inputs, checks)


def _check_schema(dataset: Dataset, schema: Schema) -> None:
    name = title(dataset)
    for field, expected in (("dataset", dataset.name), ("modality", dataset.modality)):
        found = getattr(schema, field)
        require(
            found == expected, f"{name}: the schema says {field} {found!r}, the data set {expected!r}; let them agree"
        )
    if schema.modality == "image":
        require(len(schema.shape) == 3, f"{name}: images have the shape (height, width, channels), not {schema.shape}")
    end = 0
    for column in schema.columns:
        require(
            column.start == end,
            f"{name}: the column {column.name!r} begins at {column.start}, expected {end}: let no gap",
        )
        end = column.stop
    require(
        not schema.columns or schema.shape == (end,),
        f"{name}: the columns end at {end}, the inputs have the shape {schema.shape}; let them agree",
    )


def _check_change(
    name: str, change: Callable[[Tensor, Schema, Generator], Tensor], inputs: Tensor, schema: Schema
) -> None:
    before = inputs.clone()

    def changed(seed: int) -> Tensor:
        return change(inputs, schema, seeded(seed, Purpose.CONTRACT))

    out = changed(0)
    require(torch.equal(inputs, before), f"{name} changes its inputs in place; work on a copy")
    check_like(name, inputs, out, schema)
    check_random(name, changed, constant=torch.equal(out, inputs))


def _check_own_action(dataset: Dataset, action: ActionType, store: Store, inputs: Tensor, checks: Checks) -> None:
    if not action.recorded:
        check_action_type(action, store.schema, inputs, checks=checks)
        return
    latents: Tensor | None = None
    with checks.rule(f"action type {action.name}", "recorded"):
        latents = _recorded(dataset, action, store)
    if latents is not None:
        check_action_type(action, store.schema, inputs, latents, antisymmetric=False, checks=checks)


def _recorded(dataset: Dataset, action: ActionType, store: Store) -> Tensor:
    name = f"{title(dataset)}: {action.name} is recorded, but"
    require(
        action.name in store.schema.latents,
        f"{name} the schema declares no latents of that name; add them to Schema(latents=...) and Samples(latents=...)",
    )
    _, counts = np.unique(store.train.objects(), return_counts=True)
    require(counts.min() >= 2, f"{name} an object has one view; two are needed: give Samples(objects=...)")
    return torch.from_numpy(store.train.latents(action.name)[:ROWS])
