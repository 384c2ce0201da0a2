"""Is a context good enough? The effect of its pairs, measured on training objects that no training step used.

The test split is not used, because how many pairs suffice and which of them hurt are choices. The probe is ridge
regression in closed form, so that a hundred contexts are measured in seconds. A strong probe checks the whole context.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from contextssl_cli.data.holdout import hold_out
from contextssl_cli.data.random import Purpose, seeded
from contextssl_cli.errors import UsageError
from contextssl_cli.evaluation.evaluator import Evaluator
from contextssl_cli.evaluation.probes import action_probe_name, ridge
from contextssl_cli.evaluation.results import sample_std
from contextssl_cli.evaluation.strong_probes import RIDGE_CV, strong_regress
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.store.context import Context

DRAWS = 5
"""Number of random subsets of pairs at each length."""
MAX_FIT, MAX_JUDGED = 4096, 2048
SCORE_TOLERANCE = 0.02
"""A shorter context suffices if its score is lower by at most this much."""
HURTS = 0.005
HURTS_ERRORS = 3
"""A pair hurts if the score rises by at least ``HURTS``, and by at least this many standard errors, without it."""

_Probe = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Reading:
    """R2 and score under contexts of one length: means and standard deviations over ``draws`` subsets of pairs.

    Attributes:
        pairs: in the contexts.
        beyond: whether there are more of them than the model was trained to read.
        draws: number of subsets.
        r2: mean by action type.
        score: mean R2 of the active types minus that of the others, negative R2 counted as 0.
        score_std: sample standard deviation of the score.
    """

    pairs: int
    beyond: bool
    draws: int
    r2: dict[str, float]
    score: float
    score_std: float


@dataclass(frozen=True)
class LeftOut:
    """The change of the score without one pair, counted from 0, and its standard error over the judged pairs."""

    pair: int
    change: float
    error: float

    @property
    def hurts(self) -> bool:
        """Whether the context is better without the pair, beyond chance."""
        return self.change >= HURTS and self.change >= HURTS_ERRORS * self.error


@dataclass(frozen=True)
class Inspection:
    """What ``contextssl context inspect`` found.

    Attributes:
        environment: the active action types, as a name.
        pairs: of the context.
        trained_pairs: what the model was trained to read at most.
        profile: by length, from no pair to all of them.
        suffices: the fewest pairs from which on the score stays within ``SCORE_TOLERANCE`` of that at the trained
            length.
        left_out: without each pair in turn, of those that ``adapt`` would read.
        probe: name of the probe of the profile.
        strong_r2: R2 by action type under all pairs that ``adapt`` would read, by a strong probe.
        strong_probe: name of the strong probe.
        fitted, judged: pairs of views that the probes are fitted to, and held-out ones that they are judged on.
    """

    environment: str
    pairs: int
    trained_pairs: int
    profile: list[Reading]
    suffices: int
    left_out: list[LeftOut]
    probe: str
    strong_r2: dict[str, float]
    strong_probe: str
    fitted: int
    judged: int

    @property
    def used(self) -> list[Reading]:
        """The lengths that ``adapt`` may read: from no pair to the trained length, or to all pairs."""
        return [reading for reading in self.profile if not reading.beyond]

    @property
    def gain(self) -> float:
        """The score at the longest used length minus the score without a pair."""
        return self.used[-1].score - self.used[0].score

    @property
    def hurting(self) -> list[LeftOut]:
        """The pairs that hurt, the worst first."""
        return sorted((one for one in self.left_out if one.hurts), key=lambda one: -one.change)

    def as_dict(self) -> dict[str, Any]:
        """One JSON object."""
        return asdict(self) | {"gain": self.gain, "hurting": [one.pair for one in self.hurting]}


def inspect_context(evaluator: Evaluator, context: Context) -> Inspection:
    """Measure the effect of a context's length and of each of its pairs.

    Args:
        evaluator: of the run.
        context: of at least two pairs, which fits the run.

    Raises:
        UsageError: if the context has a single pair.
    """
    if len(context) < 2:
        raise UsageError(
            "the context has one pair; leaving one out needs at least 2: contextssl context create --pairs"
        )
    trained = evaluator.model.config.max_context // 2
    judge = _Judge(evaluator, context.environment)
    profile = [_reading(judge, context, pairs, trained) for pairs in _lengths(len(context), trained)]
    used = context.take(min(len(context), trained))
    return Inspection(
        environment=environment_name(context.environment),
        pairs=len(context),
        trained_pairs=trained,
        profile=profile,
        suffices=_suffices(profile),
        left_out=_leave_one_out(judge, used),
        probe=action_probe_name("ridge", evaluator.config),
        strong_r2=_r2(judge.errors(used, strong_regress)),
        strong_probe=RIDGE_CV,
        fitted=len(judge.fit),
        judged=len(judge.held_out),
    )


class _Judge:
    """Probes of the action types under a context, fitted to trained objects and judged on held-out ones."""

    def __init__(self, evaluator: Evaluator, environment: tuple[str, ...]) -> None:
        self._evaluator = evaluator
        source = evaluator.train_samples.source
        _, held_out = hold_out(source, evaluator.run.record.config)
        apart = torch.isin(source.objects, held_out.objects)
        generator = seeded(evaluator.config.seed, Purpose.INSPECTION)
        self.fit = _some(~apart, MAX_FIT, generator)
        self.held_out = _some(apart.repeat(evaluator.config.views), MAX_JUDGED, generator)
        names = [action.name for action in evaluator.task.actions]
        active = sum(name in environment for name in names)
        passive = len(names) - active
        self.signs = {name: 1 / active if name in environment else -1 / passive for name in names}

    @torch.no_grad()
    def errors(self, context: Context | None, probe: _Probe = ridge) -> dict[str, Tensor]:
        """Each judged pair's share of 1 - R2, by action type: (M,)."""
        split, model, device = self._evaluator.train, self._evaluator.model, self._evaluator.device
        cache = self._evaluator.read_context(context)
        fit, judge = (
            torch.cat([model.embed(z[rows].to(device), cache) for z in (split.z_x, split.z_y)], dim=1)
            for rows in (self.fit, self.held_out)
        )
        found = {}
        for name in self.signs:
            wanted, truth = split.actions[name][self.fit], split.actions[name][self.held_out].double()
            output = probe(fit, wanted.to(device), judge).cpu().double()
            found[name] = (truth - output).square().sum(dim=1) / (truth - truth.mean()).square().sum()
        return found

    def score(self, r2: Mapping[str, float]) -> float:
        """Mean R2 of the active types minus that of the others; a negative R2 counts as 0."""
        return math.fsum(self.signs[name] * max(0.0, value) for name, value in r2.items())


def _r2(errors: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: 1 - float(error.sum()) for name, error in errors.items()}


def _some(wanted: Tensor, limit: int, generator: torch.Generator) -> Tensor:
    rows = wanted.nonzero()[:, 0]
    return rows[torch.randperm(len(rows), generator=generator)[:limit]]


def _lengths(pairs: int, trained: int) -> list[int]:
    """No pair, 1, 2, 4 and so on, the trained length, and all pairs."""
    powers = [2**power for power in range(pairs.bit_length()) if 2**power < pairs]
    return sorted({0, *powers, pairs, *([trained] if trained < pairs else [])})


def _reading(judge: _Judge, context: Context, pairs: int, trained: int) -> Reading:
    found = [_r2(judge.errors(subset)) for subset in _subsets(context, pairs)]
    scores = [judge.score(r2) for r2 in found]
    return Reading(
        pairs=pairs,
        beyond=pairs > trained,
        draws=len(found),
        r2={name: statistics.fmean(r2[name] for r2 in found) for name in found[0]},
        score=statistics.fmean(scores),
        score_std=sample_std(scores),
    )


def _subsets(context: Context, pairs: int) -> list[Context | None]:
    """Pairs drawn from the context ``DRAWS`` times; all of them in their order, or none, once."""
    if pairs in (0, len(context)):
        return [context if pairs else None]
    orders = (torch.randperm(len(context), generator=seeded(draw, Purpose.SUBSETS, pairs)) for draw in range(DRAWS))
    return [_rows(context, order[:pairs]) for order in orders]


def _rows(context: Context, rows: Tensor) -> Context:
    kept = rows.numpy()
    blocks = {name: block[kept] for name, block in context.actions.items()}
    return replace(context, x=context.x[kept], y=context.y[kept], actions=blocks)


def _suffices(profile: list[Reading]) -> int:
    trained = [reading for reading in profile if not reading.beyond]
    wanted, fewest = trained[-1].score - SCORE_TOLERANCE, trained[-1].pairs
    for reading in reversed(trained):
        if reading.score < wanted:
            break
        fewest = reading.pairs
    return fewest


def _leave_one_out(judge: _Judge, context: Context) -> list[LeftOut]:
    whole = judge.errors(context)
    score = judge.score(_r2(whole))
    found = []
    for pair in range(len(context)):
        rest = torch.tensor([other for other in range(len(context)) if other != pair])
        errors = judge.errors(_rows(context, rest))
        gain = sum((judge.signs[n] * (whole[n] - errors[n]) for n in whole), torch.zeros(len(judge.held_out)))
        error = float(gain.std() * len(gain) ** 0.5)
        found.append(LeftOut(pair, judge.score(_r2(errors)) - score, error))
    return found
