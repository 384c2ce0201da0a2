"""What fitting the probes of all contexts side by side saves against one by one, and what bfloat16 would change.

Run: ``OMP_NUM_THREADS=1 python benchmarks/probes.py``. Prints one JSON object; each ratio is of processor time in one
run. Side by side and one by one must agree; bfloat16 does not, and is no option of ``probe``.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from contextssl_cli.config.probe import ProbeConfig
from contextssl_cli.evaluation import probes
from contextssl_cli.training.metrics import pooled_r2


def main() -> None:
    """Fit the paper's two kinds of probe both ways, check that they agree, and print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contexts", type=int, default=10)
    parser.add_argument("--features", type=int, default=128)
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--hidden", type=int, default=1024)
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    train = torch.randn(options.contexts, options.samples, 2 * options.features, generator=generator)
    mix = torch.randn(2 * options.features, 4, generator=generator) / options.features**0.5
    targets = (train[0] @ mix).sin()
    labels = targets.argmax(dim=1)
    config = ProbeConfig(action_epochs=2, label_epochs=2, action_batch_size=512, label_batch_size=64,
                         hidden=options.hidden)  # fmt: skip

    def regress(part: Tensor) -> Tensor:
        return probes.regress(part, targets, part, "mlp", config)

    def classify(part: Tensor) -> Tensor:
        return probes.classify(part, labels, part, 4, config).float()

    def each(fit: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.cat([fit(part[None]) for part in train])

    found: dict[str, Any] = dict(vars(options))
    for name, fit in (("mlp_batches_of_512", regress), ("linear_batches_of_64", classify)):
        together, side_by_side = timed(functools.partial(fit, train))
        alone, one_by_one = timed(functools.partial(each, fit))
        found[name] = {
            "side_by_side_s": side_by_side,
            "one_by_one_s": one_by_one,
            "ratio": one_by_one / side_by_side,
            "largest_difference": (together - alone).abs().max().item(),
        }
    with torch.autocast("cpu", torch.bfloat16):
        rounded, seconds = timed(lambda: regress(train))
    exact = found["mlp_batches_of_512"]
    r2 = [[pooled_r2(output.float(), targets) for output in outputs] for outputs in (regress(train), rounded)]
    change = max(abs(a - b) for a, b in zip(*r2, strict=True))
    found["bfloat16_mlp"] = {"ratio": exact["side_by_side_s"] / seconds, "largest_change_of_r2": change}
    print(json.dumps(found, indent=2))


def timed(function: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """A result, and the shortest of the processor times it took."""
    times = []
    for _ in range(2):
        start = time.process_time()
        result = function()
        times.append(time.process_time() - start)
    return result, min(times)


if __name__ == "__main__":
    main()
