"""The adaptation gap on held-out training samples, fast enough to be watched during training.

The probe is a ridge regression in closed form, not the paper's probe: its figures show progress and are not reported.
"""

from __future__ import annotations

import torch
from sklearn.linear_model import Ridge
from torch import Generator, Tensor

from contextssl_cli.data.pairs import PairBatch, PairSource
from contextssl_cli.model.contextssl import ContextSSL, Environment
from contextssl_cli.training.metrics import adaptation_gap, pooled_r2

RIDGE = 1e-2
MAX_SAMPLES = 512
_PAIRS = 4  # of views, drawn of each sample


class Monitor:
    """Measures one model repeatedly on the same pairs.

    Args:
        train: source of the context pairs.
        held_out: samples that no training step uses.
        pairs: number of pairs in a context.
        generator: source of randomness, for pairs and samples.
    """

    def __init__(self, train: PairSource, held_out: PairSource, pairs: int, generator: Generator) -> None:
        chosen = torch.randperm(len(train), generator=generator)[:pairs]
        self._context = train.draw(chosen, generator, augment=False)
        self._fit, self._judge = (
            held_out.draw(rows.repeat_interleave(_PAIRS), generator, augment=False)
            for rows in split_samples(held_out.objects, MAX_SAMPLES, generator)
        )
        self._environments = train.task.environments

    @torch.no_grad()
    def gap(self, model: ContextSSL) -> float:
        """The adaptation gap now; the mode of the model does not change."""
        was_training = model.training
        model.eval()
        r2 = {env: self._r2(model, env) for env in self._environments}
        model.train(was_training)
        return adaptation_gap(r2, self._environments)

    def _r2(self, model: ContextSSL, environment: Environment) -> dict[str, float]:
        cache = model.read_pairs(self._context.to(model.device), environment)

        def embeddings(pairs: PairBatch) -> Tensor:
            views = (pairs.x.to(model.device), pairs.y.to(model.device))
            return torch.cat([model.embed(model.encode(view), cache) for view in views], dim=1).cpu()

        fit, judge = embeddings(self._fit), embeddings(self._judge)
        return {
            name: _ridge_r2(fit, action, judge, self._judge.actions[name]) for name, action in self._fit.actions.items()
        }


def split_samples(objects: Tensor, most: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw samples to fit a probe to and samples to judge it on, at random in any order of the store.

    Args:
        objects: (N,) object ids of the samples, of two objects or more. No object is on both sides.
        most: samples on both sides together.
        generator: source of randomness.
    """
    known = objects.unique()
    chosen = known[torch.randperm(len(known), generator=generator)[: len(known) // 2]]
    order = torch.randperm(len(objects), generator=generator)
    fitted = torch.isin(objects[order], chosen)
    return order[fitted][: most // 2], order[~fitted][: most // 2]


def _ridge_r2(features: Tensor, target: Tensor, judged_features: Tensor, judged_target: Tensor) -> float:
    """R2 on (M, ...) of a ridge regression that was fitted to features (N, F) and target (N, width)."""
    fitted = Ridge(alpha=RIDGE).fit(features.numpy(), target.numpy())
    output = torch.from_numpy(fitted.predict(judged_features.numpy())).view(-1, target.shape[1])
    return pooled_r2(output, judged_target)
