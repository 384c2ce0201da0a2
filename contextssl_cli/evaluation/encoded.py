"""The features of a split's views, encoded once and kept in the run's cache."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from contextssl_cli import files
from contextssl_cli.data.inputs import Rows
from contextssl_cli.data.pairs import PairBatch, PairSource, seeded
from contextssl_cli.errors import ContextSSLError
from contextssl_cli.evaluation.config import ProbeConfig
from contextssl_cli.model.encoder_model import EncoderModel
from contextssl_cli.store.dataset import Split

_log = logging.getLogger(__name__)
_PURPOSE = 31
_BATCH = 1024


@dataclass(frozen=True)
class EncodedSplit:
    """Features of pairs of views, ``draws`` pairs for each of N samples, sample by sample within a draw.

    Attributes:
        z_x, z_y: (draws x N, D).
        actions: relative parameters by action type, (draws x N, width).
        z: (M, D) features that labels are read from: the first views, or the samples as they are.
        labels: class indices by task, (M,), -1 where missing.
        attributes: category indices by sensitive attribute, (M,).
        samples: N.
    """

    z_x: Tensor
    z_y: Tensor
    actions: Mapping[str, Tensor]
    z: Tensor
    labels: Mapping[str, Tensor]
    attributes: Mapping[str, Tensor]
    samples: int

    def classes(self, target: str) -> Tensor:
        """Class indices of a task, or category indices of a sensitive attribute."""
        return self.labels[target] if target in self.labels else self.attributes[target]


def encode_split(
    model: EncoderModel, source: PairSource, split: Split, config: ProbeConfig, cache: Path, fingerprint: str
) -> EncodedSplit:
    """Encode pairs of views of a split without nuisances, or read them from the cache.

    Args:
        model: in evaluation mode.
        source: pairs of the split.
        split: labels and attributes.
        config: how many views, and their seed.
        cache: folder of the run's cache.
        fingerprint: of the weights and the store.
    """
    key = hashlib.sha256(f"{fingerprint} {split.name} {config.views} {config.seed}".encode()).hexdigest()[:24]
    generator = seeded(config.seed, _PURPOSE, int(split.name == "test"))
    pairs = _cached(cache / f"pairs-{key}.safetensors", lambda: _encode_pairs(model, source, config.views, generator))
    if config.label_inputs == "views":
        z, repeats = pairs["z_x"], config.views
    else:
        path = cache / f"samples-{key}.safetensors"
        z, repeats = _cached(path, lambda: {"z": encode(model, source.inputs)})["z"], 1
    return EncodedSplit(
        z_x=pairs["z_x"],
        z_y=pairs["z_y"],
        actions={name.partition("/")[2]: value for name, value in pairs.items() if name.startswith("actions/")},
        z=z,
        labels={task: torch.from_numpy(split.labels(task)).repeat(repeats) for task in source.schema.tasks},
        attributes={a: torch.from_numpy(split.attribute(a)).repeat(repeats) for a in source.schema.attributes},
        samples=len(source),
    )


@torch.no_grad()
def encode(model: EncoderModel, inputs: Rows) -> Tensor:
    """Features (N, D) of N inputs, batch by batch, on the model's device; returned on the CPU."""
    parts = torch.arange(len(inputs)).split(_BATCH)
    return torch.cat([model.encode(inputs[rows].to(model.device)).float().cpu() for rows in parts])


def _encode_pairs(model: EncoderModel, source: PairSource, draws: int, generator: torch.Generator) -> dict[str, Tensor]:
    parts: dict[str, list[Tensor]] = {}
    for _ in range(draws):
        for indices in torch.arange(len(source)).split(_BATCH):
            batch = source.draw(indices, generator, nuisance=False)
            for name, value in _features(model, batch).items():
                parts.setdefault(name, []).append(value)
    return {name: torch.cat(values) for name, values in parts.items()}


def _features(model: EncoderModel, batch: PairBatch) -> dict[str, Tensor]:
    actions = {f"actions/{name}": value.float().contiguous() for name, value in batch.actions.items()}
    return {"z_x": encode(model, batch.x), "z_y": encode(model, batch.y), **actions}


def _cached(path: Path, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of a cache file; a file that is not there, or damaged, is made again."""
    with contextlib.suppress(SafetensorError, OSError):
        return load_file(path)
    _log.info("encoding %s", path.stem.partition("-")[0])
    tensors = compute()
    with contextlib.suppress(ContextSSLError), files.atomic(path) as temporary:  # a run may be read-only
        save_file(tensors, temporary)
    return tensors
