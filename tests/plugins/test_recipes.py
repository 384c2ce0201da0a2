"""Recipes of strangers: found, listed, run by ``reproduce`` and checked like every other thing that a plugin brings."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from contextssl_cli.cli.app import run
from contextssl_cli.errors import UsageError
from contextssl_cli.experiments.recipe import find_recipe
from contextssl_cli.plugin.registry import registry
from tests.places import built_in
from tests.plugins.conftest import Install

CODE = """
from pathlib import Path
from contextssl_cli.plugin import hookimpl

@hookimpl
def contextssl_recipes():
    return [Path(__file__).parent / name for name in NAMES]
"""
RECIPE = """
title = "Ours"
summary = "One run."

[[demo]]
name = "digits"
plugin = "digits-rotation"
seeds = [3]
budget_minutes = 12
budget_from = "a guess"
memory_gib = 1
memory_from = "a guess"
differs = "nothing."
runs = [{ steps = 70 }]
"""


def bring(install: Install, *names: str, files: dict[str, str], distribution: str = "foo") -> Path:
    """Install a plugin that brings recipes."""
    folder = install(distribution, CODE.replace("NAMES", repr(names)))
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    registry.cache_clear()
    return folder


def errors(owner: str = "foo") -> list[str]:
    return [row.error for row in registry().rows if row.owner == owner]


def test_a_strangers_recipe_is_listed_and_planned(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in("digits", "rotation")
    folder = bring(install, "our-own.toml", files={"our-own.toml": RECIPE})
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)  # the check loads it in another process
    assert errors() == [""]
    assert run(["plugins", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["kind"], row["name"]) for row in rows if row["owner"] == "foo"] == [("recipe", "our-own")]
    assert run(["reproduce", "our-own", "--dry-run", "--json", "--out", str(tmp_path / "out")]) == 0
    (planned,) = json.loads(capsys.readouterr().out)["runs"]
    assert (planned["steps"], planned["seed"], planned["minutes_left"]) == (70, 3, 12)
    assert run(["plugins", "check", "foo"]) == 0
    assert "recipe our-own: valid" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "files"), [("gone.toml", {}), ("Loud.toml", {"Loud.toml": RECIPE}), ("a.txt", {"a.txt": RECIPE})]
)
def test_what_is_no_recipe_file_is_a_row_with_the_reason(install: Install, name: str, files: dict[str, str]) -> None:
    bring(install, name, files=files)
    (error,) = errors()
    assert name in error
    assert "expected an existing file" in error
    assert Path(name).stem not in registry().recipes


def test_a_name_that_is_taken_is_told_with_both_owners(install: Install) -> None:
    built_in("paper")
    bring(install, "figure3.toml", files={"figure3.toml": RECIPE})
    (error,) = errors()
    assert "the recipe 'figure3'" in error
    assert "contextssl (contextssl_paper) and foo (foo)" in error
    assert find_recipe("figure3").title != "Ours"


def test_a_recipe_that_names_what_is_not_there_says_so(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built_in("digits", "rotation")
    wrong = RECIPE.replace("digits-rotation", "digits-rotatoin")
    unset = RECIPE.replace("steps = 70", 'steps = 70, settings = { "model.widht" = 3 }')
    bring(install, "wrong.toml", "unset.toml", files={"wrong.toml": wrong, "unset.toml": unset})
    for name, words in (("wrong", "did you mean 'rotation'?"), ("unset", "model.widht")):
        assert run(["reproduce", name, "--out", str(tmp_path / "out")]) == UsageError.exit_code
        assert words in capsys.readouterr().err


def test_an_invalid_recipe_fails_the_check(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    bring(install, "bad.toml", files={"bad.toml": RECIPE.replace("seeds = [3]", "seeds = []")})
    assert run(["plugins", "check", "foo"]) == 5
    assert "demo.0.seeds" in capsys.readouterr().out
