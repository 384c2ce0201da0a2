"""The adaptation gap on held-out training samples, quick enough to be watched while training.

Its probe is ridge regression in closed form, not the paper's: a figure to follow, not one to report.
"""

from __future__ import annotations

import torch
from sklearn.linear_model import Ridge
from torch import Generator, Tensor

from contextssl_cli.data.pairs import PairSource
from contextssl_cli.model.contextssl import ContextSSL, Environment
from contextssl_cli.training.metrics import adaptation_gap, pooled_r2

RIDGE = 1e-2
MAX_SAMPLES = 2048


class Monitor:
    """Measures one model again and again on the same pairs.

    Args:
        train: source of the context pairs.
        held_out: samples that no training step sees.
        pairs: of a context.
        generator: of the pairs.
    """

    def __init__(self, train: PairSource, held_out: PairSource, pairs: int, generator: Generator) -> None:
        chosen = torch.randperm(len(train), generator=generator)[:pairs]
        self._context = train.draw(chosen, generator, augment=False)
        # Four pairs of views of each sample; a sample's pairs stay on one side of the probe's split.
        count = min(len(held_out), MAX_SAMPLES // 4)
        self._pairs = held_out.draw(torch.arange(count).repeat_interleave(4), generator, augment=False)
        self._fit = len(self._pairs) // 8 * 4
        self._environments = train.task.environments

    @torch.no_grad()
    def gap(self, model: ContextSSL) -> float:
        """The adaptation gap now; the model's mode is kept."""
        was_training = model.training
        model.eval()
        r2 = {env: self._r2(model, env) for env in self._environments}
        model.train(was_training)
        return adaptation_gap(r2, self._environments)

    def _r2(self, model: ContextSSL, environment: Environment) -> dict[str, float]:
        context, pairs = self._context.to(model.device), self._pairs.to(model.device)
        cache = model.read_pairs(context, environment)
        both = torch.cat([model.embed(model.encode(view), cache) for view in (pairs.x, pairs.y)], dim=1).cpu()
        return {name: self._ridge(both, action.cpu()) for name, action in pairs.actions.items()}

    def _ridge(self, features: Tensor, target: Tensor) -> float:
        fitted = Ridge(alpha=RIDGE).fit(features[: self._fit].numpy(), target[: self._fit].numpy())
        output = torch.from_numpy(fitted.predict(features[self._fit :].numpy())).view(-1, target.shape[1])
        return pooled_r2(output, target[self._fit :])
