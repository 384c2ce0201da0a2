"""What the guard holds down on a table, and what it costs, compared with the raw columns; judged on the test split.

Run: ``python benchmarks/guard.py RUN gender`` with runs of adult-gender. For each run a context of the empty
environment is drawn with the seed; strong probes read attribute and tasks from the raw columns without the attribute,
and from the embeddings before and after the guard. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from contextssl_cli.adaptation.context_encoder import ContextEncoder
from contextssl_cli.adaptation.context_files import NONE, context_from_run
from contextssl_cli.evaluation.evaluator import Evaluator
from contextssl_cli.evaluation.fairness import fairness_differences
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.evaluation.profile import guard_profile
from contextssl_cli.evaluation.protocol import probe_config
from contextssl_cli.evaluation.strong_probes import LOGISTIC, MLP, fit_quietly, mlp_classifier, strong_classifier
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.run import Run
from contextssl_cli.training.start import run_store, run_task


def main() -> None:
    """Measure the raw columns once, and every run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("attribute")
    parser.add_argument("--pairs", type=int, help="by default as many as the model takes")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    store = run_store(Run(options.runs[0]))
    found: dict[str, Any] = {
        "seed": options.seed,
        f"raw columns without {options.attribute}": raw(store, options.attribute),
    }
    for folder in options.runs:
        run = Run(folder)
        context = context_from_run(run, [NONE], options.pairs, options.seed)
        encoder = ContextEncoder.load(folder, "cpu").with_context(context, options.attribute)
        evaluator = Evaluator(OpenRun(run, torch.device("cpu")), probe_config(run_task(run).dataset, seed=options.seed))
        guard = encoder.guard_
        if guard is None:
            parser.error(f"{folder} has no guard against {options.attribute}")
        rows = [asdict(row) for row in guard_profile(evaluator, context, guard, options.attribute)]
        found[str(folder)] = {"guard": guard.about(), "probes": rows, "fairness": fairness(evaluator.store, encoder)}
    print(json.dumps(found, indent=2))


def raw(store: Store, attribute: str) -> dict[str, float]:
    """Accuracy of the attribute and of each task from the columns without the attribute's, by the strong probes."""
    column = store.schema.column_of(attribute)
    if column is None:
        raise SystemExit(f"{store.path} has no column of {attribute}")
    fit, judge = (
        np.delete(split.inputs(), np.r_[column.start : column.stop], axis=1) for split in (store.train, store.test)
    )
    found = {}
    for name, probe in ((LOGISTIC, strong_classifier), (MLP, mlp_classifier)):
        for target in (attribute, *store.schema.tasks):
            is_task = target in store.schema.tasks
            labels, truth = (s.labels(target) if is_task else s.attribute(target) for s in (store.train, store.test))
            known, asked = labels >= 0, truth >= 0
            fitted = fit_quietly(probe(), fit[known], labels[known])
            found[f"{target} by {name}"] = float(fitted.score(judge[asked], truth[asked]))
    return found


def fairness(store: Store, encoder: ContextEncoder) -> dict[str, float]:
    """Fairness of each task's prediction by logistic regression from the guarded embeddings."""
    fit, judge = encoder.transform(store.train.inputs()), encoder.transform(store.test.inputs())
    groups = {name: torch.from_numpy(store.test.attribute(name)) for name in store.schema.attributes}
    found: dict[str, float] = {}
    for task in store.schema.tasks:
        predicted = strong_classifier().fit(fit, store.train.labels(task)).predict(judge)
        truth = torch.from_numpy(store.test.labels(task))
        differences = fairness_differences(truth, torch.from_numpy(predicted), groups, task, LOGISTIC)
        found |= {f"{metric}, {target}": value for (metric, target, _), value in differences.items()}
    return found


if __name__ == "__main__":
    main()
