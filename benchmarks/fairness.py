"""The fairness table of a tabular task: ContextSSL's contexts and guard beside plain predictors and SimCLR.

Run: ``python benchmarks/fairness.py --task adult-gender --source DIR --out fairness``. It prepares the store, trains
what ``--runs`` does not hold (folders ``<pairing>-<seed>`` and ``simclr-<seed>``, with the task's default settings),
and writes ``fairness-<dataset>.json``, the object that a page of results is made from. The lines:

- a logistic regression on the raw columns, with and without the attribute's;
- fairlearn's ExponentiatedGradient under equalized odds, with that logistic regression, on the raw columns;
- the features of SimCLR, trained with the same encoder, data, steps and optimiser;
- the embeddings of ContextSSL, trained on counterfactual and on matched pairs, under the attribute's context and under
  the empty one, this also with a guard. (A guard removes what a context zeroes, so the former can have none.)

Income, or whatever the task is, is predicted by a logistic regression on standardised numbers; the attribute is read
by the same and by an MLP on whitened ones. All is fitted to the training split and judged on the test split.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from contextssl_cli import files
from contextssl_cli.adaptation.fairness_table import FairnessTable, contexts, features, without_column
from contextssl_cli.cli.app import run as contextssl
from contextssl_cli.evaluation.results import RAW
from contextssl_cli.plugin.attribute import AttributeChange
from contextssl_cli.plugin.task import resolve_task
from contextssl_cli.report.fairness import fairness_tables
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.pretrain import run_task
from contextssl_cli.training.run import Run, versions

KINDS = {
    "simclr": ["--method", "simclr"],
    "counterfactual": ["--pairing", "counterfactual"],
    "matched": ["--pairing", "matched"],
}


def main() -> None:
    """Prepare, train what is missing, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="adult-gender", help="<data set>-<action type of an attribute>")
    parser.add_argument("--source", type=Path, required=True, help="as of contextssl prepare")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, help="folder of runs that are there")
    parser.add_argument("--of", nargs="*", choices=list(KINDS), default=list(KINDS), help="which runs are measured")
    parser.add_argument("--max-iter", type=int, default=50, help="of the reduction; 50 is fairlearn's default")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    task = resolve_task(options.task)
    (action,) = task.actions
    if not isinstance(action, AttributeChange):
        raise SystemExit(f"{options.task}: {action.name} does not change an attribute")
    place = options.out / f"{task.dataset.name}.h5"
    command("prepare", task.dataset.name, "--source", options.source, "--out", place)
    store = Store(place)
    runs = {name: found(name, options, place, store) for name in names(options)}

    table = FairnessTable(store, action.attribute(store.schema))
    for seed in options.seeds:  # the MLP's seed is all that differs here
        table.add(RAW, lambda inputs: inputs, seed)
        table.add(f"{RAW} without {table.attribute}", without_column(store, table.attribute), seed)
    reduction = table.add_reduction(options.seeds, options.max_iter)
    for name, run in runs.items():
        kind, _, seed = name.rpartition("-")
        embeddings = {"feature": features(run)} if kind == "simclr" else contexts(run, action.name, int(seed))
        for what, embed in embeddings.items():
            table.add(f"{kind}, {what}", embed, int(seed))
    values = table.as_dict() | {
        "task": options.task,
        "seeds": options.seeds,
        "reduction": reduction,
        "runs": {name: about(run) for name, run in runs.items()},
        "store_hash": store.content_hash,
        "versions": versions(),
    }
    path = options.out / f"fairness-{task.dataset.name}.json"
    files.write_json(path, values)
    print("\n\n".join(f"{one.title}\n\n{one.markdown()}" for one in fairness_tables(values)))
    print(f"\nwrote {path}")


def names(options: argparse.Namespace) -> list[str]:
    """Of the runs, kind by kind."""
    return [f"{kind}-{seed}" for kind in options.of for seed in options.seeds]


def found(name: str, options: argparse.Namespace, place: Path, store: Store) -> Run:
    """The run of a name: one that is there, or one that is trained now, to its end."""
    kind, _, seed = name.rpartition("-")
    if options.runs and (options.runs / name).is_dir():
        run = Run(options.runs / name)
    else:
        new = ("--plugin", options.task, *KINDS[kind], "--seed", seed, "--store", place)
        folder = options.out / name
        command("pretrain", "--out", folder, *(["--resume"] if folder.exists() else new))
        run = Run(folder)
    check(run, name, store)
    return run


def check(run: Run, name: str, store: Store) -> None:
    """Refuse a run that is not what its name says."""
    kind, _, seed = name.rpartition("-")
    config, (action,) = run.record.config, run_task(run).actions
    is_kind = config.method == kind if kind == "simclr" else getattr(action.chosen, "pairing", None) == kind
    if not is_kind or config.seed != int(seed) or run.record.store_hash != store.content_hash:
        raise SystemExit(f"{run.folder} is not a run of {name} on {store.path}")


def about(run: Run) -> dict[str, Any]:
    """What a run was trained with, and its weights."""
    return {"config": run.record.config.model_dump(mode="json"), "fingerprint": run.fingerprint()}


def command(*arguments: Any) -> None:
    """Run one command in this process, and stop if it fails."""
    if code := contextssl([str(argument) for argument in arguments]):
        raise SystemExit(code)


if __name__ == "__main__":
    main()
