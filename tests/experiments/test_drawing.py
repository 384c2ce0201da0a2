"""Which figures an experiment draws, and their names."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.experiments.execute import Probed
from contextssl_cli.experiments.page import draw_study
from contextssl_cli.experiments.recipe import Study

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def drawn(name: str, tmp_path: Path) -> list[str]:
    part = json.loads((RESULTS / name).read_text(encoding="utf-8"))["parts"][0]
    known = [field.name for field in fields(Probed)]
    points = [
        Probed(**{name: point[name] for name in known} | {"report": ProbeReport.from_dict(point["report"])})
        for point in part["points"]
    ]
    paths = draw_study(Study.model_validate(part["study"]), points, [], tmp_path)
    assert all(path.stat().st_size > 1000 for path in paths)
    return [path.name for path in paths if path.suffix == ".png"]


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("figure3.json", ["digits-r2-by-context-length.png"]),
        (
            "fairness-adult.json",
            [f"adult-contextssl,{kind}-r2-by-context-length.png" for kind in ("alone", "counterfactual", "matched")],
        ),
    ],
)
def test_every_model_that_reads_a_context_has_its_own_curve(file: str, names: list[str], tmp_path: Path) -> None:
    assert drawn(file, tmp_path) == names
