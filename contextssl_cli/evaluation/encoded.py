"""The features of a split's views, encoded once and kept in the run's cache."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from contextssl_cli.config.probe import ProbeConfig
from contextssl_cli.data.pairs import PairSource
from contextssl_cli.data.random import Purpose, seeded
from contextssl_cli.data.rows import Rows
from contextssl_cli.evaluation.cache import cache_key, keep_tensors, read_tensors
from contextssl_cli.evaluation.samples import ProbeSamples
from contextssl_cli.model.encoders import EncoderModel

_log = logging.getLogger(__name__)
_BATCH = 1024


@dataclass(frozen=True)
class EncodedSplit:
    """Features of pairs of views, ``draws`` pairs for each of N samples, sample by sample within a draw.

    Attributes:
        z_x, z_y: (draws x N, D).
        actions: relative parameters by action type, (draws x N, width).
        first: absolute parameters of the first views by action type, (draws x N, width).
        z: (M, D) features that labels are read from: the first views, or the samples as they are.
        labels: class indices by task, (M,), -1 where missing.
        attributes: category indices by sensitive attribute, (M,).
        samples: N.
        recorded: what ranks the views of an object, where they are samples of the store; else None.
    """

    z_x: Tensor
    z_y: Tensor
    actions: Mapping[str, Tensor]
    first: Mapping[str, Tensor]
    z: Tensor
    labels: Mapping[str, Tensor]
    attributes: Mapping[str, Tensor]
    samples: int
    recorded: RecordedViews | None = None

    def classes(self, target: str) -> Tensor:
        """Class indices of a task, or category indices of a sensitive attribute."""
        return self.labels[target] if target in self.labels else self.attributes[target]


@dataclass(frozen=True)
class RecordedViews:
    """The N samples of a split as the views of objects.

    Attributes:
        z: (N, D) features.
        objects: (N,) object ids.
        source, target: (draws x N,) the samples that are the first and the second view of each pair.
    """

    z: Tensor
    objects: Tensor
    source: Tensor
    target: Tensor


def encode_split(
    model: EncoderModel, samples: ProbeSamples, config: ProbeConfig, cache: Path, fingerprint: str
) -> EncodedSplit:
    """Encode pairs of views of samples without view augmentation, or read them from the cache.

    Where both views of a pair are samples of the store, each sample is encoded once, whatever pairs it is in.

    Args:
        model: in evaluation mode.
        samples: of a split, or of a part of one.
        config: how many views, and their seed.
        cache: folder of the run's cache.
        fingerprint: of the weights, the store and the task.
    """
    source = samples.source
    generator = seeded(config.seed, Purpose.PAIRS, int(samples.name in ("test", "held-out")))
    recorded = None
    if source.recorded:
        z = encode_samples(model, samples, cache, fingerprint)
        pairs = _draws(source.with_inputs(torch.arange(len(source))), config.views, generator, lambda rows: rows)
        recorded = RecordedViews(z, source.objects, pairs["x"], pairs["y"])
        pairs["x"], pairs["y"] = z[recorded.source], z[recorded.target]
    else:
        path = cache / f"pairs-{cache_key(fingerprint, samples.name, config.views, config.seed)}.safetensors"
        pairs = _cached(path, lambda: _draws(source, config.views, generator, lambda views: encode(model, views)))
    if config.label_inputs == "views":
        labelled, repeats = pairs["x"], config.views
    else:
        labelled, repeats = encode_samples(model, samples, cache, fingerprint), 1
    return EncodedSplit(
        z_x=pairs["x"],
        z_y=pairs["y"],
        actions=_part(pairs, "actions/"),
        first=_part(pairs, "first/"),
        z=labelled,
        labels={task: classes.repeat(repeats) for task, classes in samples.labels.items()},
        attributes={name: categories.repeat(repeats) for name, categories in samples.attributes.items()},
        samples=len(source),
        recorded=recorded,
    )


def encode_samples(model: EncoderModel, samples: ProbeSamples, cache: Path, fingerprint: str) -> Tensor:
    """Features (N, D) of samples as they are, encoded or from the cache."""
    path = samples_path(samples.name, cache, fingerprint)
    return _cached(path, lambda: {"z": encode(model, samples.source.inputs)})["z"]


def samples_path(name: str, cache: Path, fingerprint: str) -> Path:
    """The cache file of ``encode_samples``, by the samples' name."""
    return cache / f"samples-{cache_key(fingerprint, name)}.safetensors"


@torch.no_grad()
def encode(model: EncoderModel, inputs: Rows) -> Tensor:
    """Features (N, D) of N inputs, batch by batch, on the model's device; returned on the CPU."""
    parts = torch.arange(len(inputs)).split(_BATCH)
    return torch.cat([model.encode(inputs[rows].to(model.device)).float().cpu() for rows in parts])


def _draws(
    source: PairSource, draws: int, generator: torch.Generator, read: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """The results of ``read`` on both views, and the parameters, of ``draws`` pairs for every sample."""
    parts: dict[str, list[Tensor]] = {}
    for _ in range(draws):
        for indices in torch.arange(len(source)).split(_BATCH):
            batch = source.draw(indices, generator, augment=False)
            values = {"x": read(batch.x), "y": read(batch.y)}
            values |= {f"actions/{name}": value.float() for name, value in batch.actions.items()}
            values |= {f"first/{name}": value.float() for name, value in batch.first.items()}
            for name, value in values.items():
                parts.setdefault(name, []).append(value)
    return {name: torch.cat(values).contiguous() for name, values in parts.items()}


def _part(pairs: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in pairs.items() if name.startswith(prefix)}


def _cached(path: Path, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of a cache file; a missing or damaged file is computed anew."""
    tensors = read_tensors(path)
    if tensors is None:
        _log.info("encoding %s", path.stem.partition("-")[0])
        tensors = compute()
        keep_tensors(path, tensors)
    return tensors
