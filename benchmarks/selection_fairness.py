"""How often few-shot selection picks a context that meets a bound on Adult: 20 draws of labelled training records.

Run: ``python benchmarks/selection_fairness.py RUN ... --out selection.json`` with runs of adult-gender. A draw is
of 100, 1000 or 4000 training records at random, whose income and sex are known. The candidates are the run's context of
the change of sex, its empty one, and no context; or the former two. For each objective the chosen context is judged on
the whole test split, by the strong probe that is fitted to the embeddings of the whole training split:

- ``sex hidden``: labels are the income, the sex may be read at 0.9 at most;
- ``fair``: labels are the income, equalized-odds and equal-opportunity differences may be 0.1 at most;
- ``sex shown``: labels are the sex, which has to be read at 0.95 at least.

A refusal, because no candidate meets the bounds by the labels or a difference is undefined, is counted apart; it is
right if no candidate meets them on the test split.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contextssl_cli import files
from contextssl_cli.adaptation.adapt import NO_CONTEXT
from contextssl_cli.adaptation.context_encoder import ContextEncoder
from contextssl_cli.adaptation.context_files import NONE, context_from_run
from contextssl_cli.errors import UsageError
from contextssl_cli.evaluation.fairness import group_differences
from contextssl_cli.evaluation.strong_probes import strong_classify
from contextssl_cli.selection.bounds import EQUAL_OPPORTUNITY, EQUALIZED_ODDS
from contextssl_cli.selection.select import Selection, select_context
from contextssl_cli.store.context import Context
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.run import Run, versions
from contextssl_cli.training.start import run_store, run_task

PART = "adult"
TASK, ATTRIBUTE = "income", "gender"
Figures = Mapping[str, float]


@dataclass(frozen=True)
class Objective:
    """What is wanted of a context.

    Attributes:
        labels: what the few labels are.
        numbers: how many of them.
        at_most: the bounds that selection is given, and that are judged.
        at_least: judged alone.
    """

    labels: str
    numbers: tuple[int, ...]
    at_most: Figures = field(default_factory=dict)
    at_least: Figures = field(default_factory=dict)

    def met(self, figures: Figures) -> bool:
        """Whether figures of the test split are as wanted."""
        return all(figures[name] <= most for name, most in self.at_most.items()) and all(
            figures[name] >= least for name, least in self.at_least.items()
        )


OBJECTIVES = {
    "sex hidden": Objective(TASK, (100,), {ATTRIBUTE: 0.9}),
    "fair": Objective(TASK, (100, 1000, 4000), {EQUALIZED_ODDS: 0.1, EQUAL_OPPORTUNITY: 0.1}),
    "sex shown": Objective(ATTRIBUTE, (100,), at_least={ATTRIBUTE: 0.95}),
}


def main() -> None:
    """Draw, select, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help=f"JSON file; its part {PART!r} is replaced")
    options = parser.parse_args()
    values: dict[str, Any] = {
        "objectives": {name: vars(objective) for name, objective in OBJECTIVES.items()},
        "draws": options.draws,
        "seed": options.seed,
        "runs": [],
        "versions": versions(),
    }
    there = json.loads(options.out.read_text(encoding="utf-8")) if options.out and options.out.exists() else {}
    for folder in options.runs:
        values["runs"].append(measure(Run(folder), options))
        if options.out:
            files.write_json(options.out, there | {PART: values})
    if not options.out:
        print(json.dumps(values, indent=2))


def measure(run: Run, options: argparse.Namespace) -> dict[str, Any]:
    """The test figures of one run's candidates, and the counts by number of labels, set of candidates and objective."""
    encoder, store = ContextEncoder.load(run.folder, "cpu"), run_store(run)
    shown, empty = (context_from_run(run, [name], None, options.seed) for name in (ATTRIBUTE, NONE))
    contexts: dict[str, Context | None] = {f"{ATTRIBUTE} context": shown, "empty context": empty, NO_CONTEXT: None}
    sets: dict[str, dict[str, Context | None]] = {
        "all": contexts,
        "two": {name: made for name, made in contexts.items() if made is not None},
    }
    truth = {name: figures(encoder.with_context(context), store) for name, context in contexts.items()}
    records = store.train.inputs()
    known = {TASK: store.train.labels(TASK), ATTRIBUTE: store.train.attribute(ATTRIBUTE)}
    counts = []
    for what, objective in OBJECTIVES.items():
        for labels, (name, candidates) in product(objective.numbers, sets.items()):
            draw = np.random.default_rng([options.seed, labels])  # the same records for every set of candidates
            drawn = [draw.choice(len(records), labels, replace=False) for _ in range(options.draws)]
            found = [
                select(encoder, candidates, records[rows], {key: of[rows] for key, of in known.items()}, objective, i)
                for i, rows in enumerate(drawn)
            ]
            about = {"objective": what, "labels": labels, "candidates": name}
            counts.append(about | judged(found, objective, {key: truth[key] for key in candidates}))
    (action,) = run_task(run).actions
    return {
        "pairing": getattr(action.chosen, "pairing", None),
        "seed": run.record.config.seed,
        "fingerprint": run.fingerprint(),
        "test": truth,
        "counts": counts,
    }


def select(
    encoder: ContextEncoder, candidates: Mapping[str, Context | None], records: NDArray[Any],
    known: Mapping[str, NDArray[Any]], objective: Objective, seed: int,
) -> Selection | None:  # fmt: skip
    """The selection by ``records`` of which the labels and the sex are ``known``, or None if it was refused."""
    groups = {ATTRIBUTE: known[ATTRIBUTE]}
    y, bounds = known[objective.labels], objective.at_most
    try:
        return select_context(encoder, candidates, records, y, at_most=bounds, groups=groups, seed=seed)
    except UsageError:
        return None


def judged(selections: list[Selection | None], objective: Objective, truth: Mapping[str, Figures]) -> dict[str, Any]:
    """How often each candidate was picked, how often that was right, and with which verdict.

    Args:
        selections: of the draws; None is a refusal.
        objective: what was wanted.
        truth: figures of the test split by candidate.
    """
    meeting = [name for name, found in truth.items() if objective.met(found)]
    made = [selection for selection in selections if selection is not None]
    picks = Counter(selection.chosen for selection in made)
    sure = Counter(selection.chosen in meeting for selection in made if selection.decided)
    verdicts = {
        "cannot tell": len(made) - sure.total(),
        "sure and right": sure[True],
        "sure and wrong": sure[False],
    }
    return {
        "meeting": meeting,
        "picked": {name: picks[name] for name in truth},
        "refused": len(selections) - len(made),
        "right": sum(picks[name] for name in meeting) if meeting else len(selections) - len(made),
    } | verdicts


def figures(encoder: ContextEncoder, store: Store) -> dict[str, float]:
    """What the strong probe reads from the embeddings of the test split, and how fair its prediction is."""
    fit, judge = encoder.transform(store.train.inputs()), encoder.transform(store.test.inputs())
    groups, truth = store.test.attribute(ATTRIBUTE), store.test.labels(TASK)
    read = strong_classify(fit, store.train.attribute(ATTRIBUTE), judge)
    predicted = strong_classify(fit, store.train.labels(TASK), judge)
    differences = group_differences(truth, predicted, groups)
    odds, opportunity = differences["equalized_odds_difference"], differences["equal_opportunity_difference"]
    if odds is None or opportunity is None:
        raise UsageError(f"{store.path}: a group of the test split lacks a class, so no bound can be judged")
    return {
        ATTRIBUTE: float((read == groups).mean()),
        TASK: float((predicted == truth).mean()),
        EQUALIZED_ODDS: odds,
        EQUAL_OPPORTUNITY: opportunity,
    }


if __name__ == "__main__":
    main()
