"""The samples that probes are fitted to and judged on, with their labels and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.holdout import hold_out
from contextssl_cli.data.pairs import PairSource
from contextssl_cli.plugin.task import Task
from contextssl_cli.store.dataset import Split


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
