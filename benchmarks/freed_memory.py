"""What a training on the CPU saves where the C library keeps the memory that a step frees, as the command line lets it.

Run: ``OMP_NUM_THREADS=1 python benchmarks/freed_memory.py shapes3d-rotation-color``. Trains the same run both ways in
turn, each in a process of its own; prints one JSON object. The ratio is of processor time of training alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from contextssl_cli.training.run import Run

WAYS = {"kept": "main", "given_back": "run"}  # contextssl_cli.cli.app.main keeps what is freed, run alone does not


def main() -> None:
    """Train both ways in turn, and print seconds, ratio, and whether the weights are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plugin", help="such as shapes3d-rotation-color; its data are prepared")
    parser.add_argument("--method", default="contextssl")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    weights = set()
    for _ in range(options.rounds):
        for way in WAYS:
            spent, fingerprint = trained(way, options)
            seconds[way].append(spent)
            weights.add(fingerprint)
    ratio = statistics.median(seconds["given_back"]) / statistics.median(seconds["kept"])
    print(json.dumps(vars(options) | {"seconds": seconds, "ratio": ratio, "same_weights": len(weights) == 1}, indent=2))


def trained(way: str, options: argparse.Namespace) -> tuple[float, str]:
    """Seconds of the processor, and the fingerprint of the weights, of one training."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        words = ["pretrain", "--plugin", options.plugin, "--method", options.method, "--steps", str(options.steps),
                 "--device", "cpu", "--out", str(out)]  # fmt: skip
        code = f"import sys; from contextssl_cli.cli import app; sys.exit(app.{WAYS[way]}(sys.argv[1:]))"
        subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True)
        run = Run(out)
        return run.training_time().processor_seconds or 0.0, run.fingerprint()


if __name__ == "__main__":
    main()
