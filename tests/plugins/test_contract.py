"""The public contract runs over every plugin that is installed."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
import torch

from contextssl_cli import testing
from contextssl_cli.data.prepare import prepare
from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.plugin import ActionType, Dataset
from contextssl_cli.plugin.registry import registry
from tests.places import ROOT, built_in, real_data

ACTIONS = registry().actions.values()
DATASETS = registry().datasets.values()


def source_of(dataset: Dataset) -> Path | None:
    """The source of a data set: the folder of its name in the real data.

    Those whose source has another form check themselves, on a small one, in the tests of their own folders.
    """
    return real_data(dataset.name) if dataset.needs_source else None


@pytest.mark.parametrize("point", metadata.entry_points(group="contextssl"), ids=lambda point: point.name)
def test_a_plugin_loads_quickly_and_brings_something(point: metadata.EntryPoint) -> None:
    built_in(point.value.removeprefix("contextssl_"))
    testing.check_plugin(point.value)


def test_every_plugin_folder_is_installed() -> None:
    folders = {path.name for path in (ROOT / "plugins").glob("contextssl_*")}
    assert folders <= {point.value for point in metadata.entry_points(group="contextssl")}
    failed = {row.name: row.error for row in registry().rows if row.error and row.name in folders}
    assert failed == {}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_an_action_type_keeps_the_contract(action: ActionType) -> None:
    testing.check_action_type(action)


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_a_definition_keeps_the_contract(dataset: Dataset) -> None:
    testing.check_dataset_definition(dataset)


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_a_data_set_keeps_the_contract(dataset: Dataset) -> None:
    testing.check_dataset(dataset, source_of(dataset))


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_every_action_type_of_a_data_set_works_on_its_samples(dataset: Dataset, tmp_path: Path) -> None:
    with prepare(dataset, source_of(dataset), tmp_path / "store.h5", options=dataset.trial) as store:
        inputs = to_tensor(store.train.inputs()[:64], store.schema)
        usable = registry().actions_for(dataset)
        for action in usable.values():
            latents = torch.from_numpy(store.train.latents(action.name)[:64]) if action.recorded else None
            testing.check_action_type(action, store.schema, inputs, latents, antisymmetric=not action.recorded)
    if not usable:
        pytest.skip(f"no action type of {dataset.modality} data is there")
