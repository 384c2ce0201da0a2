"""Drawing pairs of views with their actions, a whole batch at a time."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from contextssl_cli.data.rows import Rows, Subset, inputs_of, whole
from contextssl_cli.errors import CorruptFileError, UsageError
from contextssl_cli.plugin.kinds import ActionType
from contextssl_cli.plugin.task import Task
from contextssl_cli.store.dataset import Split
from contextssl_cli.store.schema import Schema

_REDRAWS = 4


@dataclass(frozen=True)
class PairBatch:
    """N pairs of views.

    Attributes:
        x, y: (N, ...) model inputs before and after the action.
        actions: relative parameters by action type, (N, width).
        first, second: absolute parameters of x and of y by action type, (N, width).
    """

    x: Tensor
    y: Tensor
    actions: dict[str, Tensor]
    first: dict[str, Tensor]
    second: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device) -> PairBatch:
        """The same pairs on another device."""
        return PairBatch(
            self.x.to(device),
            self.y.to(device),
            *({k: v.to(device) for k, v in part.items()} for part in (self.actions, self.first, self.second)),
        )


class PairSource:
    """Pairs from a set of samples.

    Applied action types make both views from one sample. With recorded ones, the second view is another sample
    of the same object. Every type varies in every pair; the environment decides which blocks the model sees.

    Args:
        task: data set and action types.
        schema: of the store.
        inputs: N model inputs.
        objects: (N,) object ids, used with recorded action types.
        latents: recorded latents by action type, (N, latent width).
    """

    def __init__(self, task: Task, schema: Schema, inputs: Rows, objects: Tensor, latents: dict[str, Tensor]) -> None:
        self.task = task
        self.schema = schema
        self.inputs = inputs
        self._latents = latents
        self.objects = objects
        self._applied = sorted((a for a in task.actions if not a.recorded), key=lambda a: a.order)
        if any(action.recorded for action in task.actions):
            self._order, self._start, self._count = _views_of_objects(objects)

    @classmethod
    def of(cls, task: Task, schema: Schema, split: Split) -> PairSource:
        """All samples of a split."""
        latents = {a.name: torch.from_numpy(split.latents(a.name)) for a in task.actions if a.recorded}
        return cls(task, schema, inputs_of(split), torch.from_numpy(split.objects()), latents)

    def __len__(self) -> int:
        return len(self.inputs)

    def subset(self, indices: Tensor) -> PairSource:
        """The samples at ``indices`` only."""
        latents = {name: value[indices] for name, value in self._latents.items()}
        return PairSource(self.task, self.schema, Subset(self.inputs, indices), self.objects[indices], latents)

    @property
    def recorded(self) -> bool:
        """Whether both views of every pair are unchanged samples of the store."""
        return not self._applied

    def with_inputs(self, inputs: Rows) -> PairSource:
        """The same samples with other inputs, such as features; only if ``recorded``."""
        return PairSource(self.task, self.schema, inputs, self.objects, self._latents)

    def draw(self, indices: Tensor, generator: Generator, *, augment: bool) -> PairBatch:
        """One pair for each of the samples at ``indices``.

        Args:
            indices: (N,) the samples of the first views.
            generator: the only source of randomness.
            augment: whether to apply the data set's ``augment`` and ``augment_view``, as in training.
        """
        partners = self._partners(indices, generator)
        first = self.inputs[indices]
        if augment and partners is indices:
            first = self.task.dataset.augment(first, self.schema, generator)
        second = first if partners is indices else self.inputs[partners]
        samples = (first, second)
        if augment:
            first = self.task.dataset.augment_view(first, self.schema, generator)
            second = self.task.dataset.augment_view(second, self.schema, generator)
        drawn = {
            a.name: [self._latents[a.name][rows] for rows in (indices, partners)]
            if a.recorded
            else [a.sample(views, self.schema, generator) for views in samples]
            for a in self.task.actions
        }
        return PairBatch(
            self._render(first, {name: latents[0] for name, latents in drawn.items()}),
            self._render(second, {name: latents[1] for name, latents in drawn.items()}),
            {a.name: a.relative(*drawn[a.name]) for a in self.task.actions},
            {a.name: a.absolute(drawn[a.name][0]) for a in self.task.actions},
            {a.name: a.absolute(drawn[a.name][1]) for a in self.task.actions},
        )

    def draw_change(self, indices: Tensor, name: str, generator: Generator) -> tuple[Tensor, Tensor]:
        """Two views of each sample that differ in one applied action type, and in nothing else.

        The second view takes the parameters that another sample would draw. They are redrawn a few times if they are
        equal.

        Args:
            indices: (N,) the samples.
            name: of the action type.
            generator: the only source of randomness.
        """
        samples = self.inputs[indices]
        latents = {a.name: a.sample(samples, self.schema, generator) for a in self._applied}
        action = next(a for a in self._applied if a.name == name)
        changed = latents[name].clone()
        for _ in range(_REDRAWS):
            others = samples[torch.randperm(len(samples), generator=generator)]
            drawn = action.sample(others, self.schema, generator)
            same = (changed == latents[name]).all(dim=1, keepdim=True)
            changed = torch.where(same, drawn, changed)
        return self._render(samples, latents), self._render(samples, {**latents, name: changed})

    @property
    def applied(self) -> tuple[str, ...]:
        """The applied action types."""
        return tuple(action.name for action in self._applied)

    def _render(self, samples: Tensor, latents: dict[str, Tensor]) -> Tensor:
        for action in self._applied:
            samples = action.apply(samples, latents[action.name], self.schema)
        return samples

    @functools.cached_property
    def _matches(self) -> Tensor | None:
        """The possible second views of each sample (N, K), if an action type pairs the samples itself."""
        pairing = [a for a in self._applied if type(a).partners is not ActionType.partners]
        found = [a.partners(whole(self.inputs), self.schema) for a in pairing]
        if any(matches is not None for matches in found) and len(self.task.actions) > 1:
            raise UsageError(
                f"{pairing[0].name} pairs the samples by itself, so it cannot be combined; {self.task.name} has more"
            )
        return found[0] if found else None

    def _partners(self, indices: Tensor, generator: Generator) -> Tensor:
        if self._matches is not None:
            drawn = torch.randint(self._matches.shape[1], (len(indices),), generator=generator)
            return self._matches[indices, drawn]
        if not any(action.recorded for action in self.task.actions):
            return indices
        # The k-th of the other views, counted from the sample itself around the object's views.
        ranks = torch.empty_like(self._order).scatter_(0, self._order, torch.arange(len(self._order)))
        count, start = self._count[indices], self._start[indices]
        step = 1 + (torch.rand(len(indices), generator=generator) * (count - 1)).long()
        return self._order[start + (ranks[indices] - start + step) % count]


def _views_of_objects(objects: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Samples sorted by object; and for each sample, the start of its object in that order and its number of views."""
    order = torch.argsort(objects, stable=True)
    _, inverse, counts = torch.unique(objects, return_inverse=True, return_counts=True)
    if int(counts.min()) < 2:
        raise CorruptFileError(
            "a recorded action type needs at least two views of every object; object "
            f"{int(objects[(counts[inverse] < 2).nonzero()[0, 0]])} has one"
        )
    starts = torch.cumsum(counts, 0) - counts
    return order, starts[inverse], counts[inverse]
