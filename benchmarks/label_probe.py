"""Rates and batches of the gradient-trained label probe, judged on held-out training samples of a run.

Run: ``python benchmarks/label_probe.py RUN TASK``. A tenth of the *training* split is held out; the test split is not
opened. For each rate, batch size and number of epochs it prints the accuracy from the feature and from the embedding
under each context of 63 pairs, and their mean, by which a data set's ``probing`` may be chosen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from contextssl_cli.data.pairs import seeded
from contextssl_cli.evaluation import probes
from contextssl_cli.evaluation.encoded import encode
from contextssl_cli.evaluation.evaluator import Condition, Evaluator
from contextssl_cli.evaluation.protocol import probe_config
from contextssl_cli.evaluation.results import ENCODER
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.training.pretrain import run_task
from contextssl_cli.training.run import Run

PAIRS = 63
GRID = (
    (1e-3, 64, 100), (1e-2, 64, 300), (1e-2, 256, 100), (1e-2, 512, 100), (3e-2, 512, 100), (1e-1, 512, 300),
    (1e-1, 2048, 300),
)  # fmt: skip
"""Rate, batch size, epochs."""


def main() -> None:
    """Encode the training split, hold a tenth of it out, and fit every probe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("task", help="the label, such as class")
    options = parser.parse_args()
    run = Run(options.run)
    config = probe_config(run_task(run).dataset)
    evaluator = Evaluator(run, config, torch.device("cpu"))
    conditions = [Condition(ENCODER, 0)]
    for environment in evaluator.task.environments:
        context = evaluator.draw_context(environment, PAIRS)
        conditions.append(Condition(environment_name(environment), 2 * PAIRS, context, environment))
    features = encode(evaluator.encoder, evaluator.train_source.inputs)
    labels = torch.from_numpy(evaluator.store.train.labels(options.task))
    chosen = torch.randperm(len(labels), generator=seeded(config.seed, 41))
    held, fit = chosen[: len(labels) // 10], chosen[len(labels) // 10 :]
    embeddings = torch.stack([evaluator.embeddings(condition, features) for condition in conditions])
    classes = len(evaluator.store.schema.tasks[options.task])
    names = [condition.environment for condition in conditions]
    print(f"{'rate':>8} {'batch':>6} {'epochs':>6} " + " ".join(f"{name:>10}" for name in [*names, "mean"]))
    for lr, batch_size, epochs in GRID:
        asked = {"label_lr": lr, "label_batch_size": batch_size, "label_epochs": epochs}
        tried = config.model_copy(update=asked)
        found = probes.classify(embeddings[:, fit], labels[fit], embeddings[:, held], classes, tried)
        right = (found == labels[held]).double().mean(dim=1)
        cells = " ".join(f"{value:10.3f}" for value in [*right.tolist(), float(right.mean())])
        print(f"{lr:8g} {batch_size:6} {epochs:6} {cells}", flush=True)


if __name__ == "__main__":
    main()
