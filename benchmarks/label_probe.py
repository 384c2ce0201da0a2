"""Rates of the gradient-trained label probe, judged on the training objects that runs held out.

Run: ``python benchmarks/label_probe.py RUN... TASK``. Probes are fitted to what each run was trained on; the test split
is not opened. For each rate it prints the accuracy from the feature of every run and from its embedding under each
context of 63 pairs, and last that of scikit-learn's logistic regression on standardised numbers, which has no rate. A
rate suits numbers of one size: where the best one differs between runs, the logistic regression compares them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from contextssl_cli.config.probe import ProbeConfig
from contextssl_cli.evaluation import probes
from contextssl_cli.evaluation.evaluator import Evaluator
from contextssl_cli.evaluation.measures import Stacks
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.evaluation.protocol import drawn_conditions, probe_config
from contextssl_cli.evaluation.strong_probes import strong_classify_each
from contextssl_cli.training.run import Run
from contextssl_cli.training.start import run_store, run_task

PAIRS = 63
RATES = 1e-3, 1e-2, 1e-1


def main() -> None:
    """Encode what the runs were trained on and what they held out, and fit every probe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs of one data set, of any method")
    parser.add_argument("task", help="the label, such as class")
    parser.add_argument("--batch", type=int, help="size of a batch; by default the data set's")
    parser.add_argument("--epochs", type=int, help="by default the data set's")
    options = parser.parse_args()
    runs = [Run(folder) for folder in options.runs]
    given = {"label_batch_size": options.batch, "label_epochs": options.epochs}
    tasks = run_store(runs[0]).schema.tasks
    if options.task not in tasks:
        parser.error(f"{options.runs[0]} has no label {options.task!r}, but {', '.join(tasks)}")
    config = probe_config(run_task(runs[0]).dataset, judged_on="held-out", **given)
    embedded = [Embedded(Evaluator(OpenRun(run, torch.device("cpu")), config), options.task) for run in runs]
    heads = [f"{run.folder.name}: {name}" for run, one in zip(runs, embedded, strict=True) for name in one.names]
    print(f"{'Adam, rate':>19}  " + "  ".join(heads))
    for rate in RATES:
        tried = config.model_copy(update={"label_lr": rate})
        print_row(f"{rate:19g}", heads, [one.accuracy(tried) for one in embedded])
    print_row(f"{'logistic regression':>19}", heads, [one.logistic() for one in embedded])


def print_row(words: str, heads: list[str], accuracies: list[Tensor]) -> None:
    """The figures of all runs, each below its head."""
    values = zip(heads, torch.cat(accuracies).tolist(), strict=True)
    print(f"{words}  " + "  ".join(f"{value:{len(head)}.3f}" for head, value in values), flush=True)


class Embedded:
    """What labels of one run are read from.

    Attributes:
        names: of the K conditions, "encoder" for the feature.
        fit, judge: (K, N, D), (K, M, D).
        labels, truth: (N,), (M,) class indices.
        classes: how many there are.
    """

    def __init__(self, evaluator: Evaluator, task: str) -> None:
        conditions = drawn_conditions(evaluator, [2 * PAIRS] if evaluator.run.has_context else [])
        self.names = [condition.environment for condition in conditions]
        self.fit, self.judge = Stacks(evaluator).labelled(conditions)
        self.labels, self.truth = evaluator.train.classes(task), evaluator.test.classes(task)
        self.classes = len(evaluator.store.schema.tasks[task])

    def accuracy(self, config: ProbeConfig) -> Tensor:
        """By the gradient-trained probe: (K,)."""
        return self._right(probes.classify(self.fit, self.labels, self.judge, self.classes, config))

    def logistic(self) -> Tensor:
        """By the strong probe: (K,)."""
        return self._right(strong_classify_each(self.fit, self.labels, self.judge))

    def _right(self, predicted: Tensor) -> Tensor:
        return (predicted == self.truth).double().mean(dim=1)


if __name__ == "__main__":
    main()
