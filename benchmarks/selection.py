"""How often few-shot selection picks the right context on digits: 100 draws of 5 labels per class, for each task.

Run: ``python benchmarks/selection.py RUN RUN RUN --out selection.json`` with runs of digits-rotation-color. The
inputs are views of the test split. Their labels are the bin of the angle, the bin of the hue, or drawn by chance. The
candidates are a rotation and a colour context of the run; or these and no context. Counts, for each run, set of
candidates and task, how often each was picked, how often the verdict was "cannot tell", and how often one was picked
rightly or wrongly without that.
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

from contextssl_cli import files
from contextssl_cli.adaptation.adapt import NO_CONTEXT
from contextssl_cli.adaptation.context_encoder import ContextEncoder
from contextssl_cli.adaptation.context_files import context_from_run
from contextssl_cli.data.pairs import PairSource
from contextssl_cli.data.tensors import to_array
from contextssl_cli.selection.select import Selection, select_context
from contextssl_cli.store.context import Context
from contextssl_cli.training.run import Run, versions
from contextssl_cli.training.start import run_store, run_task

PART = "digits"
ACTIONS = ("rotation", "color")
CHANCE = "chance"


def main() -> None:
    """Draw, select, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--labels", type=int, default=5, help="per class")
    parser.add_argument("--bins", type=int, default=4, help="classes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help=f"JSON file; its part {PART!r} is replaced")
    options = parser.parse_args()
    values = {
        "draws": options.draws,
        "labels": options.labels,
        "bins": options.bins,
        "seed": options.seed,
        "runs": [measure(Run(folder), options) for folder in options.runs],
        "versions": versions(),
    }
    if options.out:
        there = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
        files.write_json(options.out, there | {PART: values})
    else:
        print(json.dumps(values, indent=2))


def measure(run: Run, options: argparse.Namespace) -> dict[str, Any]:
    """The counts of one run, by set of candidates and task."""
    encoder = ContextEncoder.load(run.folder, "cpu")
    contexts: dict[str, Context | None] = {name: context_from_run(run, [name], None, options.seed) for name in ACTIONS}
    sets = {"two": contexts, "all": contexts | {NO_CONTEXT: None}}
    images, latents = views(run, options.seed)
    labels = {name: bins(latents[name][:, 0], options.bins) for name in ACTIONS}
    draw = np.random.default_rng(options.seed)
    labels[CHANCE] = draw.integers(options.bins, size=len(images))
    counts: dict[str, dict[str, dict[str, int]]] = {name: {} for name in sets}
    for task, values in labels.items():
        found: dict[str, list[Selection]] = {name: [] for name in sets}
        for number in range(options.draws):
            rows = balanced(values, options.labels, draw)
            for name, candidates in sets.items():
                found[name].append(select_context(encoder, candidates, images[rows], values[rows], seed=number))
        for name, selections in found.items():
            counts[name][task] = counted(selections, task, tuple(sets[name]))
    return {"seed": run.record.config.seed, "fingerprint": run.fingerprint(), "counts": counts}


def counted(selections: list[Selection], right: str, candidates: tuple[str, ...]) -> dict[str, int]:
    """How often each candidate was picked, and with which verdict."""
    picks = Counter(selection.chosen for selection in selections)
    sure = Counter(selection.chosen == right for selection in selections if selection.decided)
    verdicts = {
        "cannot tell": len(selections) - sure.total(),
        "sure and right": sure[True],
        "sure and wrong": sure[False],
    }
    return {name: picks[name] for name in candidates} | verdicts


def balanced(values: NDArray[np.int64], each: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """Rows of ``each`` inputs of every class of ``values`` (N,)."""
    drawn = [draw.choice(np.flatnonzero(values == kind), each, replace=False) for kind in np.unique(values)]
    return np.concatenate(drawn)


def views(run: Run, seed: int) -> tuple[NDArray[np.float32], dict[str, NDArray[Any]]]:
    """Ten views of each test image, and their latents by action type."""
    source = PairSource.of(run_task(run), run_store(run).schema, run_store(run).test)
    drawn = source.draw(torch.arange(len(source)).repeat(10), torch.Generator().manual_seed(seed), augment=False)
    return to_array(drawn.x, source.schema), {name: drawn.first[name].numpy() for name in ACTIONS}


def bins(values: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Classes of equal size by rank."""
    ranks = values.argsort().argsort()
    return (ranks * count // len(values)).astype(np.int64)


if __name__ == "__main__":
    main()
