"""The recipe that the documentation shows is one, and its plan can be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from contextssl_cli.experiments.recipe_plan import outlook, plan_experiment
from contextssl_cli.plugin.registry import registry
from tests.docs.conftest import DOCS, blocks
from tests.places import built_in


def test_the_recipe_of_the_page_can_be_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built_in("digits", "rotation", "color")
    (text,) = blocks(DOCS / "reproduce.md", "toml")
    path = tmp_path / "angles.toml"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(registry(), "recipes", {"angles": path})
    rows = outlook(plan_experiment("angles", "demo", tmp_path / "out"))["runs"]
    assert [row["point"] for row in rows[::2]] == [
        "narrow",
        "wide",
        "simclr",
        "sie, given rotation",
        "sie, given color",
    ]
    assert {row["seed"] for row in rows} == {0, 1}
