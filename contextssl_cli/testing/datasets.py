"""The contract of data sets."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from contextssl_cli.data.prepare import prepare
from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.errors import ContextSSLError, DataMissingError, PluginError
from contextssl_cli.evaluation.protocol import probe_config
from contextssl_cli.plugin.kinds import ActionType, Dataset
from contextssl_cli.store.dataset import Split, Store
from contextssl_cli.store.schema import Schema
from contextssl_cli.testing.actions import check_action_type
from contextssl_cli.testing.rules import ROWS, check_like, check_names, check_random, require, title
from contextssl_cli.training.config import resolve_config


def check_dataset(dataset: Dataset, source: Path | None = None) -> None:
    """Check a data set: its definition, what it does without its source, and the store that it writes.

    Args:
        dataset: the data set.
        source: its source; may be left out only if the data set needs none.

    Raises:
        PluginError: naming the rule that is broken.
    """
    check_dataset_definition(dataset)
    if dataset.needs_source and source is None:
        raise PluginError(
            f"{title(dataset)} needs a source: give check_dataset a small one, or call check_dataset_definition"
        )
    with tempfile.TemporaryDirectory() as folder:
        with prepare(dataset, source, Path(folder) / "first.h5") as store:
            _check_store(dataset, store)
            hashes = {store.content_hash}
        with prepare(dataset, source, Path(folder) / "second.h5") as store:
            hashes.add(store.content_hash)
    require(len(hashes) == 1, f"{title(dataset)}: two runs of prepare wrote different content; seed what it draws")


def check_dataset_definition(dataset: Dataset) -> None:
    """Check what can be checked of a data set without its source.

    Raises:
        PluginError: naming the rule that is broken.
    """
    check_names(dataset, "data set")
    licence = getattr(dataset, "licence", "")
    require(bool(licence.strip()), f"{title(dataset)} names no licence: set the class attribute licence")
    for action in dataset.actions:
        require(isinstance(action, ActionType), f"{title(dataset)}: actions holds {action!r}, expected ActionType")
    defaults: dict[str, Callable[[], object]] = {
        "training": lambda: resolve_config(dataset, environ={}),
        "probing": lambda: probe_config(dataset),
    }
    for name, resolve in defaults.items():
        try:
            resolve()
        except ContextSSLError as error:
            raise PluginError(f"{title(dataset)}: its {name} defaults are not valid: {error}") from error
    if dataset.needs_source:
        _check_missing_source(dataset)


def _check_missing_source(dataset: Dataset) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for case, source in (("an empty folder", Path(folder)), ("a missing path", Path(folder) / "missing")):
            name = f"{title(dataset)}.prepare"
            try:
                list(dataset.prepare(source).samples)
            except DataMissingError:
                continue
            except Exception as error:
                kind = type(error).__name__
                raise PluginError(f"{name} raises {kind} for {case} ({error}); raise DataMissingError") from error
            raise PluginError(f"{name} accepts {case} as its source; raise DataMissingError")


def _check_store(dataset: Dataset, store: Store) -> None:
    schema, name = store.schema, title(dataset)
    for field, expected in (("dataset", dataset.name), ("modality", dataset.modality)):
        found = getattr(schema, field)
        require(found == expected, f"{name}: the schema says {field} {found!r}, the data set {expected!r}")
    if schema.modality == "image":
        require(len(schema.shape) == 3, f"{name}: images have the shape (height, width, channels), not {schema.shape}")
    _check_columns(name, schema)
    for split in (store.train, store.test):
        _check_classes(name, split)
    inputs = to_tensor(store.train.inputs()[:ROWS], schema)
    _check_nuisance(dataset, inputs, schema)
    for action in dataset.actions:
        _check_own_action(dataset, action, store, inputs)


def _check_columns(name: str, schema: Schema) -> None:
    end = 0
    for column in schema.columns:
        require(column.start == end, f"{name}: the column {column.name!r} begins at {column.start}, expected {end}")
        end = column.stop
    require(
        not schema.columns or schema.shape == (end,),
        f"{name}: the columns end at {end}, the inputs have the shape {schema.shape}",
    )


def _check_classes(name: str, split: Split) -> None:
    schema = split.schema
    groups = {task: (split.labels(task), classes, -1) for task, classes in schema.tasks.items()}
    groups |= {key: (split.attribute(key), classes, 0) for key, classes in schema.attributes.items()}
    for target, (codes, classes, lowest) in groups.items():
        low, high = int(codes.min()), int(codes.max())
        require(
            low >= lowest and high < len(classes),
            f"{name}: {target} in the {split.name} split has codes from {low} to {high} for {len(classes)} classes",
        )


def _check_nuisance(dataset: Dataset, inputs: Tensor, schema: Schema) -> None:
    name, before = f"{title(dataset)}.nuisance", inputs.clone()

    def nuisance(seed: int) -> Tensor:
        return dataset.nuisance(inputs, schema, Generator().manual_seed(seed))

    out = nuisance(0)
    require(torch.equal(inputs, before), f"{name} changes its inputs in place; work on a copy")
    check_like(name, inputs, out, schema)
    check_random(name, nuisance, constant=torch.equal(out, inputs))


def _check_own_action(dataset: Dataset, action: ActionType, store: Store, inputs: Tensor) -> None:
    if not action.recorded:
        check_action_type(action, store.schema, inputs)
        return
    declared = action.name in store.schema.latents
    require(declared, f"{title(dataset)}: {action.name} is recorded, but the schema declares no latents of that name")
    latents = torch.from_numpy(store.train.latents(action.name)[:ROWS])
    check_action_type(action, store.schema, inputs, latents, antisymmetric=False)
    _, counts = np.unique(store.train.objects(), return_counts=True)
    require(
        counts.min() >= 2, f"{title(dataset)}: {action.name} is recorded, but an object has one view; two are needed"
    )
