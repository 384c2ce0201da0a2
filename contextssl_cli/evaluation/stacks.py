"""Embeddings of a split under several conditions, side by side, as probes read them."""

from __future__ import annotations

import torch
from torch import Tensor

from contextssl_cli.evaluation.evaluator import Condition, Evaluator


class Stacks:
    """Embeddings under K conditions, stacked. The last are kept, since metrics that follow each other read the same.

    Args:
        evaluator: of the run.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self._kept: tuple[list[str], tuple[Tensor, Tensor]] | None = None

    def pairs(self, conditions: list[Condition]) -> tuple[Tensor, Tensor]:
        """Both views of a pair of each training sample, (K, N, 2, D), and of every test pair, (K, M, 2, D)."""
        train, test, first = self.evaluator.train, self.evaluator.test, slice(self.evaluator.train.samples)
        views = [torch.stack([train.z_x[first], train.z_y[first]], dim=1), torch.stack([test.z_x, test.z_y], dim=1)]
        return self._once("pairs", conditions, views)

    def labelled(self, conditions: list[Condition]) -> tuple[Tensor, Tensor]:
        """What labels are read from: (K, N, D) of the training split, (K, M, D) of the test split."""
        return self._once("labelled", conditions, [self.evaluator.train.z, self.evaluator.test.z])

    def _once(self, name: str, conditions: list[Condition], parts: list[Tensor]) -> tuple[Tensor, Tensor]:
        asked = [name, *(condition.identity for condition in conditions)]
        if self._kept is None or self._kept[0] != asked:
            self._kept = None  # makes room
            fit, judge = (torch.stack([self._embed(c, part) for c in conditions]) for part in parts)
            self._kept = asked, (fit, judge)
        return self._kept[1]

    def _embed(self, condition: Condition, features: Tensor) -> Tensor:
        return self.evaluator.embeddings(condition, features.flatten(0, -2)).view(features.shape)
