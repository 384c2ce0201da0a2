"""The contract of an installed plugin and everything that it registers: ``contextssl plugins check``."""

from __future__ import annotations

import importlib.util
import tempfile
from importlib import metadata
from pathlib import Path

from contextssl_cli.data.prepare import prepare
from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.errors import PluginError, UsageError, suggestion
from contextssl_cli.experiments.recipe import read_recipe
from contextssl_cli.plugin.kinds import ActionType, Dataset
from contextssl_cli.plugin.registry import PluginRow, registry
from contextssl_cli.plugin.spec import GROUP
from contextssl_cli.testing.actions import check_action_type
from contextssl_cli.testing.checks import Checks, Finding
from contextssl_cli.testing.datasets import check_dataset, check_dataset_definition
from contextssl_cli.testing.loading import check_plugin
from contextssl_cli.testing.rules import ROWS, require

EXAMPLES = ("image", "table")
"""Modalities for which the contract generates inputs."""


def check_package(name: str, source: Path | None = None) -> list[Finding]:
    """Run every rule on an installed plugin; a broken rule does not end the check.

    Args:
        name: the import package, the entry point's name, or what follows ``contextssl_`` in it.
        source: for the data sets that need one.

    Raises:
        UsageError: if there is no such plugin.
    """
    checks = Checks(keep_going=True)
    point = _entry_point(name, checks)
    if point is None:
        return checks.findings
    subject = f"plugin {point.name}"
    with checks.rule(subject, "loads"):
        check_plugin(point.value)
    row = next(row for row in registry().rows if row.name == point.name)
    with checks.rule(subject, "registers"):
        require(not row.error, f"{row.error}; until then what it names is not used")
    for dataset in row.datasets:
        _check_dataset(dataset, source, checks)
    for action in row.actions:
        _check_action(action, row, source, checks)
    for path in row.recipes:
        with checks.rule(f"recipe {path.stem}", "valid"):
            read_recipe(path)
    return checks.findings


def _entry_point(name: str, checks: Checks) -> metadata.EntryPoint | None:
    points = metadata.entry_points(group=GROUP)
    package = name.replace("-", "_")
    for wanted in (package, f"{GROUP}_{package}"):
        for point in points:
            if wanted in (point.name, point.value):
                return point
    if not package.isidentifier() or importlib.util.find_spec(package) is None:
        known = [point.name.removeprefix(f"{GROUP}_") for point in points]
        hint = suggestion(package.removeprefix(f"{GROUP}_"), known)
        raise UsageError(f"there is no plugin {name!r}: {hint} (is it installed? pip install -e FOLDER)")
    with checks.rule(f"plugin {package}", "entry point"):
        raise PluginError(
            f"{package} can be imported, but no entry point names it; add {package} = {package!r} under "
            f"[project.entry-points.{GROUP}] in its pyproject.toml and install it again"
        )
    return None


def _check_dataset(dataset: Dataset, source: Path | None, checks: Checks) -> None:
    if not dataset.needs_source:
        check_dataset(dataset, checks=checks)
    elif source is not None:
        check_dataset(dataset, source, checks=checks)
    else:
        check_dataset_definition(dataset, checks=checks)
        checks.skip(f"data set {dataset.name}", "prepare", "it needs a source: add --source DIR, a small one")


def _check_action(action: ActionType, row: PluginRow, source: Path | None, checks: Checks) -> None:
    subject = f"action type {action.name}"
    if action.recorded:
        with checks.rule(subject, "recorded"):
            raise PluginError(
                f"{action.name} is recorded, so it belongs to a data set: list it in the data set's actions, not in "
                "contextssl_action_types"
            )
    elif action.modality in EXAMPLES:
        check_action_type(action, antisymmetric=None, checks=checks)
    else:
        dataset = _example(action.modality, row, source)
        if dataset is None:
            _without_example(action, row, checks)
            return
        with checks.rule(subject, "samples"):
            _check_on(action, dataset, source if dataset.needs_source else None, checks)


def _without_example(action: ActionType, row: PluginRow, checks: Checks) -> None:
    """Report a modality without a data set, or skip the check if no data set of it can be prepared."""
    subject, known = f"action type {action.name}", {d.modality for d in registry().datasets.values()}
    with checks.rule(subject, "modality"):
        require(
            action.modality in known,
            f"there is no data set of {action.modality!r} data: {suggestion(action.modality, known)}",
        )
    if action.modality in known:
        own = any(dataset.modality == action.modality for dataset in row.datasets)
        advice = "add --source, for the plugin's own data set" if own else "install one that needs no source"
        checks.skip(subject, "samples", f"no data set of {action.modality!r} data is at hand; {advice}")


def _check_on(action: ActionType, dataset: Dataset, source: Path | None, checks: Checks) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with prepare(dataset, source, Path(folder) / "store.h5", options=dataset.trial) as store:
            schema, inputs = store.schema, to_tensor(store.train.inputs(slice(ROWS)), store.schema)
        check_action_type(action, schema, inputs, antisymmetric=None, checks=checks)


def _example(modality: str, row: PluginRow, source: Path | None) -> Dataset | None:
    """A data set of a modality; the plugin's own come first."""
    known = [*row.datasets, *registry().datasets.values()]
    usable = (d for d in known if d.modality == modality and (not d.needs_source or (source and d in row.datasets)))
    return next(usable, None)
