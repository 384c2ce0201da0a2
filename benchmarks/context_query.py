"""What a kept context saves: embeddings under a cached context against running the whole sequence for every input.

Run: ``python benchmarks/context_query.py``. Prints one JSON object; the ratio is measured in one run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import Tensor

from contextssl_cli.config.model import ModelConfig
from contextssl_cli.data.actions import ActionSpace, Block
from contextssl_cli.model.contextssl import ContextSSL
from contextssl_cli.model.encoders import build_encoder
from contextssl_cli.store.schema import Schema


def main() -> None:
    """Measure both ways on the same inputs, check that they agree, and print times and ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=512)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=126)
    options = parser.parse_args()
    torch.manual_seed(0)
    config = ModelConfig(encoder="mlp", feature_dim=64, width=options.width)
    schema = Schema(dataset="benchmark", modality="table", shape=(8,), dtype="float32")
    space = ActionSpace(blocks=(Block(name="shift", width=2),))
    model = ContextSSL(build_encoder(config, schema), config, space).eval()
    pairs = options.tokens // 2
    z_x, z_y, action = torch.randn(pairs, 64), torch.randn(pairs, 64), torch.randn(pairs, 2)
    queries = torch.randn(options.inputs, 64)

    def cached() -> Tensor:
        return model.predict(queries, model.read_context(z_x, z_y, action, ("shift",)))

    def whole() -> Tensor:
        first, second = model.first_tokens(z_x, action, ("shift",)), model.second_tokens(z_y)
        context = torch.stack([first, second], dim=1).flatten(0, 1)
        masks = model.masks(options.tokens + 1)
        outputs = []
        for part in model.second_tokens(queries).split(64):
            sequences = torch.cat([context.expand(len(part), -1, -1), part[:, None]], dim=1)
            outputs.append(model.world(sequences, masks)[0][:, -1])
        return torch.cat(outputs)

    with torch.no_grad():
        difference = (cached() - whole()).abs().max().item()
        times = {"cached_s": seconds(cached), "whole_sequence_s": seconds(whole)}
    ratio = times["whole_sequence_s"] / times["cached_s"]
    print(json.dumps({**vars(options), **times, "ratio": ratio, "largest_difference": difference}, indent=2))


def seconds(function: Callable[[], Tensor], repeats: int = 5) -> float:
    """The shortest of several times."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
