"""What an experiment would take: data, runs, hours and memory, for ``reproduce --dry-run``."""

from __future__ import annotations

from typing import Any

from contextssl_cli.experiments.execute import EVERYTHING, Share
from contextssl_cli.experiments.experiment import Experiment, Part
from contextssl_cli.experiments.plan import PlannedRun
from contextssl_cli.plugin.registry import registry
from contextssl_cli.store.dataset import Store


def outlook(experiment: Experiment, share: Share = EVERYTHING) -> dict[str, Any]:
    """The plan of an experiment, or of a share of its runs, as one JSON object. Nothing is made or written.

    Hours are the budget of a run times the share of its steps that is left; how the recipe knows budget and memory
    stands beside them.
    """
    rows = [row for part in experiment.parts for row in share.take(_runs(part))]
    return {
        "recipe": experiment.name,
        "scale": experiment.scale,
        "out": str(experiment.out),
        "data": [_data(part) for part in experiment.parts],
        "runs": rows,
        "estimates": [_estimate(part, rows) for part in experiment.parts],
        "hours left": sum(row["minutes left"] for row in rows) / 60,
    }


def _data(part: Part) -> dict[str, Any]:
    dataset = registry().dataset(part.study.dataset)
    own = f"--source {dataset.name}=DIR, or as told beside" if dataset.needs_source else "made on the spot"
    return {
        "part": part.study.name,
        "dataset": dataset.name,
        "what": dataset.summary,
        "state": "prepared" if part.prepared else "missing",
        "store": str(part.store),
        "options": part.study.prepare,
        "from": str(part.source) if part.source else own,
    }


def _runs(part: Part) -> list[dict[str, Any]]:
    store = Store(part.store) if part.prepared else None
    return [
        {"part": part.study.name, "run": point.label, "seed": run.config.seed, "state": run.state(store),
         "step": run.step(), "steps": run.steps(store), "minutes left": _minutes(part, run, store),
         "folder": str(run.folder)}
        for point in part.points for run in point.runs
    ]  # fmt: skip


def _minutes(part: Part, run: PlannedRun, store: Store | None) -> float:
    steps = run.steps(store)
    share = max(0.0, 1 - run.step() / steps) if steps else 1.0
    return round(part.study.budget_minutes * share, 1)


def _estimate(part: Part, rows: list[dict[str, Any]]) -> dict[str, Any]:
    own = [row for row in rows if row["part"] == part.study.name]
    return {
        "part": part.study.name,
        "hours": len(own) * part.study.budget_minutes / 60,
        "hours left": sum(row["minutes left"] for row in own) / 60,
        "hours from": part.study.budget_from,
        "memory GiB": part.study.memory_gib,
        "memory from": part.study.memory_from,
    }
