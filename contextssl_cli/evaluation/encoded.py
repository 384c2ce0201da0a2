"""The samples that probes are fitted to and judged on, and the features of their views, which a run's cache keeps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.holdout import hold_out
from contextssl_cli.data.pairs import PairSource
from contextssl_cli.data.rows import Rows
from contextssl_cli.evaluation.cache import keep_tensors, read_tensors
from contextssl_cli.model.encoders import EncoderModel
from contextssl_cli.plugin.task import Task
from contextssl_cli.store.dataset import Split

_log = logging.getLogger(__name__)
_BATCH = 1024


@dataclass(frozen=True)
class ProbeSamples:
    """N samples.

    Attributes:
        name: of the split, or of its part; no two of a store have the same.
        source: their pairs.
        labels: class indices by task, (N,), -1 where missing.
        attributes: category indices by sensitive attribute, (N,).
    """

    name: str
    source: PairSource
    labels: Mapping[str, Tensor]
    attributes: Mapping[str, Tensor]

    @classmethod
    def of(cls, task: Task, split: Split) -> ProbeSamples:
        """All samples of a split."""
        schema = split.schema
        return cls(
            split.name,
            PairSource.of(task, schema, split),
            {task: torch.from_numpy(split.labels(task)) for task in schema.tasks},
            {name: torch.from_numpy(split.attribute(name)) for name in schema.attributes},
        )

    def classes(self, target: str) -> Tensor:
        """Class indices of a task, or category indices of a sensitive attribute: (N,)."""
        return self.labels[target] if target in self.labels else self.attributes[target]

    def held_out(self, config: TrainConfig) -> tuple[ProbeSamples, ProbeSamples]:
        """The samples of a training split that a run trained on, and those of the objects that it held out."""
        _, apart = hold_out(self.source, config)
        held = torch.isin(self.source.objects, apart.objects)
        return self._part("trained", ~held), self._part("held-out", held)

    def _part(self, name: str, chosen: Tensor) -> ProbeSamples:
        return ProbeSamples(
            name,
            self.source.subset(chosen.nonzero()[:, 0]),
            {task: classes[chosen] for task, classes in self.labels.items()},
            {attribute: categories[chosen] for attribute, categories in self.attributes.items()},
        )


@dataclass(frozen=True)
class EncodedSplit:
    """Features of pairs of views, ``draws`` pairs for each of N samples, sample by sample within a draw.

    Attributes:
        z_x, z_y: (draws x N, D).
        actions: relative parameters by action type, (draws x N, width).
        first: absolute parameters of the first views by action type, (draws x N, width).
        z: (M, D) features that labels are read from: the first views, or the samples as they are.
        samples: the N samples.
        recorded: what ranks the views of an object, where they are samples of the store; else None.
    """

    z_x: Tensor
    z_y: Tensor
    actions: Mapping[str, Tensor]
    first: Mapping[str, Tensor]
    z: Tensor
    samples: ProbeSamples
    recorded: RecordedViews | None = None

    def classes(self, target: str) -> Tensor:
        """Class indices of a task, or category indices of a sensitive attribute, of what labels are read from: (M,)."""
        return self.samples.classes(target).repeat(len(self.z) // len(self.samples.source))


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


@torch.no_grad()
def encode(model: EncoderModel, inputs: Rows) -> Tensor:
    """Features (N, D) of N inputs, batch by batch, on the model's device; returned on the CPU."""
    parts = torch.arange(len(inputs)).split(_BATCH)
    return torch.cat([model.encode(inputs[rows].to(model.device)).float().cpu() for rows in parts])


def draw_pairs(
    source: PairSource, draws: int, generator: torch.Generator, read: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """The results ``x`` and ``y`` of ``read`` on both views of ``draws`` pairs for every sample, and their parameters.

    The parameters are named ``actions/<action type>`` and ``first/<action type>``, as a cache file has them.
    """
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


def cached(path: Path, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of a cache file; a missing or damaged file is computed anew."""
    tensors = read_tensors(path)
    if tensors is None:
        _log.info("encoding %s", path.stem.partition("-")[0])
        tensors = compute()
        keep_tensors(path, tensors)
    return tensors
