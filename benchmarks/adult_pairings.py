"""What each pairing of a sensitive attribute does to the fairness of a prediction on UCI Adult.

Run: ``python benchmarks/adult_pairings.py --source DIR --out adult-pairings``. It trains ``adult-gender`` with each
pairing and each seed, goes on with runs that are there, probes them at the longest context, and writes the object that
the page ``docs/results/adult-pairing.md`` is made from to ``adult-pairings/adult-pairing.json``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from contextssl_cli import files
from contextssl_cli.cli.app import run
from contextssl_cli.evaluation.protocol import probe_runs
from contextssl_cli.training.run import Run

PAIRINGS = ("alone", "counterfactual", "matched")
LENGTHS = (126,)


def main() -> None:
    """Prepare, train what is missing, probe and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder of adult.data and adult.test")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    store = options.out / "adult.h5"
    contextssl("prepare", "adult", "--source", options.source, "--out", store)
    compared: dict[str, Any] = {}
    for pairing in PAIRINGS:
        runs = [trained(options.out / f"{pairing}-{seed}", store, pairing, seed) for seed in options.seeds]
        compared[pairing] = probe_runs(runs, torch.device("cpu"), context_lengths=LENGTHS).as_dict()
        files.write_json(options.out / "adult-pairing.json", {"compared": compared})


def trained(folder: Path, store: Path, pairing: str, seed: int) -> Run:
    """The run of a pairing and a seed, trained to its end."""
    new = ("--plugin", "adult-gender", "--pairing", pairing, "--seed", seed, "--store", store)
    contextssl("pretrain", "--out", folder, *(["--resume"] if folder.exists() else new))
    return Run(folder)


def contextssl(*arguments: Any) -> None:
    """Run one command in this process, and stop if it fails."""
    if code := run([str(argument) for argument in arguments]):
        raise SystemExit(code)


if __name__ == "__main__":
    main()
