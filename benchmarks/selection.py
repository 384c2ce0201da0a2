"""How often few-shot selection picks the right context on digits: 100 draws of 5 labels per class, for each task.

Run: ``python benchmarks/selection.py RUN`` with a run of digits-rotation-color. The inputs are views of the test split.
Their labels are the bin of the hue, the bin of the angle, or drawn by chance; the candidates are a colour and a
rotation context of the run. Prints one JSON object: how often each was picked, and how often the verdict was "cannot
tell".
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from contextssl_cli.adaptation.context_encoder import ContextEncoder
from contextssl_cli.adaptation.contexts import context_from_run
from contextssl_cli.adaptation.select import select_context
from contextssl_cli.data.pairs import PairSource, seeded
from contextssl_cli.data.tensors import to_array
from contextssl_cli.training.pretrain import run_store, run_task
from contextssl_cli.training.run import Run

ACTIONS = ("rotation", "color")


def main() -> None:
    """Draw, select, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--labels", type=int, default=5, help="per class")
    parser.add_argument("--bins", type=int, default=4, help="classes")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    run = Run(options.run)
    encoder = ContextEncoder.load(run.folder, "cpu")
    contexts = {name: context_from_run(run, [name], None, options.seed) for name in ACTIONS}
    images, latents = views(run, options.seed)
    labels = {name: bins(latents[name][:, 0], options.bins) for name in ACTIONS}
    draw = np.random.default_rng(options.seed)
    labels["chance"] = draw.integers(options.bins, size=len(images))
    found = {}
    for task, values in labels.items():
        picks: Counter[str] = Counter()
        for number in range(options.draws):
            rows = np.concatenate(
                [draw.choice(np.flatnonzero(values == c), options.labels, replace=False) for c in range(options.bins)]
            )
            selection = select_context(encoder, contexts, images[rows], values[rows], seed=number)
            picks[selection.chosen] += 1
            picks["cannot tell"] += not selection.decided
            picks["told the wrong one"] += selection.decided and selection.chosen != task
        found[task] = dict(picks)
    print(json.dumps({**{k: str(v) for k, v in vars(options).items()}, "picked": found}, indent=2))


def views(run: Run, seed: int) -> tuple[NDArray[np.float32], dict[str, NDArray[Any]]]:
    """Ten views of each test image, and their latents by action type."""
    source = PairSource.of(run_task(run), run_store(run).schema, run_store(run).test)
    drawn = source.draw(torch.arange(len(source)).repeat(10), seeded(seed, 1), nuisance=False)
    return to_array(drawn.x, source.schema), {name: drawn.first[name].numpy() for name in ACTIONS}


def bins(values: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Classes of equal size by rank."""
    ranks = values.argsort().argsort()
    return (ranks * count // len(values)).astype(np.int64)


if __name__ == "__main__":
    main()
