"""Every metric of a run under any conditions, each measured once.

A *measurement* gives the values that are computed and cached together: the R2 of one action type by one probe, the
accuracy of all labels, or the ranks of views. Probes of all conditions that are not cached are fitted side by side.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter

import torch
from torch import Tensor

from contextssl_cli.config.probe import METRICS, ActionProbe, Metric
from contextssl_cli.evaluation import context_labels, probes
from contextssl_cli.evaluation.cache import MeasuredValues, keep_values, read_values
from contextssl_cli.evaluation.encoded import EncodedSplit
from contextssl_cli.evaluation.evaluator import Condition, Evaluator
from contextssl_cli.evaluation.fairness import judged
from contextssl_cli.evaluation.ranking import view_ranks
from contextssl_cli.evaluation.results import BLIND, ENCODER, Key
from contextssl_cli.evaluation.strong_probes import LOGISTIC, strong_classify_each
from contextssl_cli.plugin.kinds import ActionType
from contextssl_cli.training.metrics import pooled_r2

_log = logging.getLogger(__name__)


def _same_predictions(condition: Condition) -> str:
    """A prediction is conditioned on the active actions even without a context."""
    return f"{condition.identity} {'+'.join(condition.active)}"


_Measurement = tuple[str, Callable[[list[Condition]], list[MeasuredValues]], Callable[[Condition], str]]
"""The name in those of cache files; the function that computes the values under each of several conditions; and a
function that is equal for conditions with equal values."""
_same_embeddings = attrgetter("identity")


def measure(
    evaluator: Evaluator,
    conditions: Sequence[Condition],
    metrics: Sequence[Metric],
    action_probes: Sequence[ActionProbe],
) -> dict[Key, float]:
    """Every value under each of the conditions; values that are in the cache are not computed again.

    Args:
        evaluator: of the run.
        conditions: contexts to embed under.
        metrics: groups of metrics. Labels that depend on the context need the conditions of all environments.
        action_probes: probes of actions in addition to the paper's.
    """
    measured: dict[Key, float] = {}
    for name, compute, identity in _measurements(evaluator, conditions, metrics, action_probes):
        paths = [evaluator.values_path(name, identity(c)) for c in conditions]
        known = {path: read_values(path) for path in paths}
        missing = {path: c for path, c in zip(paths, conditions, strict=True) if known[path] is None}
        if missing:
            for path, values in zip(missing, compute(list(missing.values())), strict=True):
                keep_values(path, values)
                known[path] = values
        for path, c in zip(paths, conditions, strict=True):
            measured |= {Key(c.environment, c.length, *key): value for key, value in (known[path] or {}).items()}
    return measured


def context_label_ceiling(evaluator: Evaluator) -> dict[Key, float]:
    """The best share of context-dependent labels that can be read without a context, by task."""
    found = {}
    for task in evaluator.store.schema.tasks:
        classes, truth = _by_environment(evaluator, evaluator.test, task)
        if bool((classes >= 0).any()):
            key = Key(BLIND, 0, context_labels.METRIC, f"{task} and bin", "none: the share that could be right at best")
            found[key] = context_labels.ceiling(truth[:, classes >= 0])
    return found


class Stacks:
    """Embeddings of a split under K conditions, stacked.

    The last stack is kept, because successive metrics use the same one.

    Args:
        evaluator: of the run.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self._kept: tuple[list[str], tuple[Tensor, Tensor]] | None = None

    def pairs(self, conditions: list[Condition]) -> tuple[Tensor, Tensor]:
        """Both views of a pair of each training sample, (K, N, 2, D), and of every test pair, (K, M, 2, D)."""
        train, test, first = self.evaluator.train, self.evaluator.test, slice(len(self.evaluator.train_samples.source))
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


def _measurements(
    evaluator: Evaluator,
    conditions: Sequence[Condition],
    metrics: Sequence[Metric],
    action_probes: Sequence[ActionProbe],
) -> Iterator[_Measurement]:
    """In the order of `METRICS`, the paper's own probes before others."""
    stacks = Stacks(evaluator)
    for metric in (m for m in METRICS if m in metrics):
        if metric in ("r2", "individual"):
            own = [(action, action.probe) for action in evaluator.task.actions]
            others = [(action, p) for p in action_probes for action in evaluator.task.actions if p != action.probe]
            for action, probe in [*own, *others]:
                compute = functools.partial(_action, stacks, metric, action, probe)
                yield f"{metric}/{action.name}/{probe}", compute, _same_embeddings
        elif metric == "top1":
            yield metric, functools.partial(_top1, stacks), _same_embeddings
        elif metric == "knn":
            yield metric, functools.partial(_knn, stacks), _same_embeddings
        elif metric == "mrr" and evaluator.train_samples.source.recorded:
            yield metric, functools.partial(view_ranks, evaluator), _same_predictions
        elif metric == "context-labels":
            compute = functools.partial(_context_labels, evaluator, conditions)
            yield metric, compute, functools.partial(_same_length, conditions)


def _action(
    stacks: Stacks, metric: Metric, action: ActionType, probe: ActionProbe, conditions: list[Condition]
) -> list[MeasuredValues]:
    """R2 of an action from the embeddings of two views, or of the latents from one; one pair per training sample."""
    evaluator = stacks.evaluator
    views = 2 if metric == "r2" else 1
    fit, judge = (part[:, :, :views].flatten(2) for part in stacks.pairs(conditions))
    wanted, truth = (
        (part.actions if metric == "r2" else part.first)[action.name].to(evaluator.device)
        for part in (evaluator.train, evaluator.test)
    )
    _log.info("probing %s (%s, %s) from %d embeddings of %d samples each", action.name, metric, probe, *fit.shape[:2])
    outputs = probes.regress(fit, wanted[: fit.shape[1]], judge, probe, evaluator.config)
    row = ("r2" if metric == "r2" else "r2_individual", action.name, probes.action_probe_name(probe, evaluator.config))
    return [{row: pooled_r2(output, truth)} for output in outputs]


def _readable(evaluator: Evaluator) -> dict[str, int]:
    """Tasks and sensitive attributes that a probe can be fitted to and judged on, with their numbers of classes."""
    found = {}
    for target, classes in (evaluator.store.schema.tasks | evaluator.store.schema.attributes).items():
        if probes.can_be_read(evaluator.train.classes(target), evaluator.test.classes(target)):
            found[target] = len(classes)
        else:
            _log.warning("%s is left out: it needs two classes to learn from and a label to be judged on", target)
    return found


def _top1(stacks: Stacks, conditions: list[Condition]) -> list[MeasuredValues]:
    """Accuracy of tasks and sensitive attributes by a linear probe (and a strong one); fairness of each task."""
    evaluator, (fit, judge) = stacks.evaluator, stacks.labelled(conditions)
    config = evaluator.config
    groups = {name: evaluator.test.classes(name) for name in evaluator.store.schema.attributes}
    found: list[MeasuredValues] = [{} for _ in conditions]
    for target, classes in _readable(evaluator).items():
        labels = evaluator.train.classes(target).to(evaluator.device)
        truth = evaluator.test.classes(target)
        known = labels >= 0
        _log.info("probing %s from %d embeddings of %d samples each", target, len(fit), int(known.sum()))
        predictions = {
            probes.label_probe_name(config): probes.classify(fit[:, known], labels[known], judge, classes, config)
        }
        if config.strong or groups:
            predictions[LOGISTIC] = strong_classify_each(fit, labels, judge)
        for probe, predicted in predictions.items():
            for values, one in zip(found, predicted.cpu(), strict=True):
                values.update(judged(one, truth, groups, target, probe))
    return found


def _knn(stacks: Stacks, conditions: list[Condition]) -> list[MeasuredValues]:
    """Accuracy of tasks and sensitive attributes by the nearest neighbours."""
    evaluator, found = stacks.evaluator, []
    targets = _readable(evaluator)
    for train, test in zip(*stacks.labelled(conditions), strict=True):
        near = probes.nearest_neighbours(train, test, evaluator.config)
        values: MeasuredValues = {}
        for target, classes in targets.items():
            truth = evaluator.test.classes(target)
            predicted = near.classify(evaluator.train.classes(target).to(evaluator.device), classes).cpu()
            values["knn", target, probes.KNN] = float((predicted == truth)[truth >= 0].double().mean())
        found.append(values)
    return found


def _same_length(conditions: Sequence[Condition], condition: Condition) -> str:
    """One probe serves all environments of a context length, so its values depend on all of their contexts."""
    together = [f"{c.environment} {c.identity}" for c in _together(conditions, condition)]
    return hashlib.sha256("\n".join([condition.environment, *together]).encode()).hexdigest()


def _together(conditions: Sequence[Condition], condition: Condition) -> list[Condition]:
    if condition.environment == ENCODER:
        return [condition]
    return [c for c in conditions if c.length == condition.length and c.environment != ENCODER]


def _context_labels(
    evaluator: Evaluator, conditions: Sequence[Condition], missing: list[Condition]
) -> list[MeasuredValues]:
    """Accuracy, in each environment, of one linear probe for all environments of a context length."""
    config, environments = evaluator.config, evaluator.task.environments
    groups = {id(c): _together(conditions, c) for c in missing}
    lengths = {tuple(c.identity for c in group): group for group in groups.values()}
    fit, judge = (
        torch.stack([_stack(evaluator, group, part.z_x, len(environments)) for group in lengths.values()])
        for part in (evaluator.train, evaluator.test)
    )
    probe = f"{probes.label_probe_name(config)}, one for all contexts"
    found: list[MeasuredValues] = [{} for _ in missing]
    for task, names in evaluator.store.schema.tasks.items():
        fit_classes, labels = _by_environment(evaluator, evaluator.train, task)
        judge_classes, truth = _by_environment(evaluator, evaluator.test, task)
        if not probes.can_be_read(fit_classes, judge_classes):
            continue
        known, count = labels.flatten() >= 0, len(names) * context_labels.codes(environments)
        _log.info("probing %s by context from %d embeddings of %d views each", task, len(fit), int(known.sum()))
        wanted = labels.flatten()[known].to(evaluator.device)
        predicted = probes.classify(fit[:, known], wanted, judge, count, config).cpu()
        right = (predicted.view(len(fit), *truth.shape) == truth).double()[..., judge_classes >= 0].mean(dim=-1)
        by_length = dict(zip(lengths, right, strict=True))
        for values, c in zip(found, missing, strict=True):
            shares = by_length[tuple(other.identity for other in groups[id(c)])]
            share = shares.mean() if c.environment == ENCODER else shares[environments.index(c.active)]
            values[context_labels.METRIC, f"{task} and bin", probe] = float(share)
    return found


def _stack(evaluator: Evaluator, group: list[Condition], z: Tensor, environments: int) -> Tensor:
    """Embeddings (E N, D) of the same views under the context of each environment; the encoder's feature E times."""
    parts = [evaluator.embeddings(c, z) for c in group]
    return torch.cat(parts * (environments // len(parts)))


def _by_environment(evaluator: Evaluator, split: EncodedSplit, task: str) -> tuple[Tensor, Tensor]:
    """Classes of the N first views of a split, -1 where missing, and their labels in each environment, (E, N)."""
    classes = split.samples.classes(task).repeat(len(split.z_x) // len(split.samples.source))
    binned = context_labels.bins(evaluator.train.first, split.first)
    return classes, context_labels.labels(classes, binned, evaluator.task.environments)
