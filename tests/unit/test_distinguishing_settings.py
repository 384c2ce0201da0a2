"""Which settings distinguish the models of a report."""

from __future__ import annotations

from typing import Any

from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.report.probe_tables import distinguishing_settings


def model(seed: int = 0, method: str = "contextssl", **settings: Any) -> ProbeReport:
    config = {"method": method, "seed": seed, "equivariant": [], **settings}
    return ProbeReport("task", [], [], [], [], [], [], {"runs": [{"config": config}], "probes": {}})


def test_models_are_told_apart_by_the_settings_in_which_they_differ() -> None:
    points = [model(context_mask=mask, model={"width": 8}) for mask in (0.0, 0.5)]
    assert distinguishing_settings(points) == ["context_mask 0.0", "context_mask 0.5"]
    nested = [model(context_mask=0.0, model={"width": width}) for width in (8, 16)]
    assert distinguishing_settings(nested) == ["model.width 8", "model.width 16"]


def test_results_on_other_samples_are_told_apart() -> None:
    held_out = model()
    held_out.protocol["probes"]["judged_on"] = "held-out"
    assert distinguishing_settings([model(), held_out]) == ["judged on test", "judged on held-out"]


def test_a_seed_and_another_method_set_nothing_apart() -> None:
    assert distinguishing_settings([model(lr=0.1), model(1, lr=0.1), model(method="simclr", lr=0.2)]) == ["", "", ""]
