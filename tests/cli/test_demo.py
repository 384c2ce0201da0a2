"""The demo, shortened: every step of the main path and a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contextssl_cli.plugin.registry import registry
from tests.cli.conftest import Command

MODEL = {"encoder": "convnet", "feature_dim": 8, "encoder_width": 8, "width": 16, "layers": 1, "heads": 2,
         "block_size": 8, "aux_hidden": 8}  # fmt: skip


@pytest.fixture(autouse=True)
def small_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(registry().dataset("digits")), "training", {"batch_size": 8, "model": MODEL})


def test_the_demo_writes_its_report(cli: Command, fails: Command) -> None:
    outcome = cli("demo", "--steps", "3", "--seeds", "0,1", "--out", "demo")
    assert outcome.code == 0, outcome.err
    assert "adaptation gap at 2 tokens:" in outcome.out
    assert "over 2 runs" in outcome.out
    written = {line.removeprefix("wrote ") for line in outcome.out.splitlines() if line.startswith("wrote ")}
    assert {Path(path).name for path in written} >= {
        "report.md", "results.json", "results.csv", "retrieval.png", "rotation.h5", "color.h5",
        "embeddings-rotation.h5", "embeddings-color.h5",
    }  # fmt: skip
    assert all(Path(path).stat().st_size for path in written)
    report = Path("demo/report.md").read_text()
    pictures = [part.partition(")")[0] for part in report.split("](")[1:]]
    assert all(Path("demo", name).is_file() for name in pictures if name.endswith(".png"))
    assert json.loads(Path("demo/results.json").read_text())["task"] == "digits-rotation-color"
    fails(2, ("holds a demo already", "--force"), "demo", "--steps", "3", "--out", "demo")


def test_the_demo_as_json_and_again_with_force(cli: Command) -> None:
    results = [cli("demo", "--steps", "2", "--out", "demo", "--json", *flag).json for flag in ([], ["--force"])]
    assert results[0]["adaptation_gap"] == results[1]["adaptation_gap"]
    assert results[0]["results"] == results[1]["results"]
