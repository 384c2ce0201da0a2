"""What changes with gender on the census records, and what does so by default."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from contextssl_adult.adult import LINKED
from contextssl_cli.data.pairs import PairSource
from contextssl_cli.data.prepare import prepare
from contextssl_cli.plugin.task import resolve_task
from contextssl_cli.store.dataset import Store
from tests.draws import seeded
from tests.places import built_in, real_data


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    built_in("gender", "attribute")
    task = resolve_task("adult-gender")
    return prepare(task.dataset, real_data("adult"), Path(tmp_path_factory.mktemp("adult")) / "adult.h5")


def relationships(store: Store, pairing: str, sex: int) -> set[str]:
    """Of the second records of pairs that are written with a sex."""
    task = resolve_task("adult-gender", options={"gender": {"pairing": pairing}})
    source = PairSource.of(task, store.schema, store.test)
    batch = source.draw(torch.arange(4000), seeded(0), augment=False)
    column = next(column for column in store.schema.columns if column.name == "relationship")
    chosen = batch.y[batch.second["gender"][:, 0] == sex]
    return {column.categories[code] for code in chosen[:, column.start : column.stop].argmax(1).tolist()}


def test_links_are_in_the_store(store: Store) -> None:
    assert {c.name: c.linked for c in store.schema.columns if c.linked} == LINKED


def test_husbands_and_wives_change_places(store: Store) -> None:
    everybody = {"Husband", "Not-in-family", "Other-relative", "Own-child", "Unmarried", "Wife"}
    assert relationships(store, "alone", 0) == relationships(store, "alone", 1) == everybody
    assert relationships(store, "counterfactual", 0) == everybody - {"Husband"}
    assert relationships(store, "counterfactual", 1) == everybody - {"Wife"}


@pytest.mark.parametrize("action", ["gender", "attribute"])
def test_the_attribute_alone_changes_by_default(action: str) -> None:
    built_in(action)
    (found,) = resolve_task(f"adult-{action}").options.values()
    assert found["pairing"] == "alone"
    asked = resolve_task(f"adult-{action}", options={action: {"pairing": "matched"}}).options
    assert asked[action]["pairing"] == "matched"


def test_any_other_column_of_categories_may_change(store: Store) -> None:
    task = resolve_task("adult-attribute", options={"attribute": {"sensitive": "race"}})
    assert task.actions[0].width(store.schema) == 5
