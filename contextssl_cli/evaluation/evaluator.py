"""Measures one run: R2 of every action type, classification and fairness, under any contexts."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from contextssl_cli import files
from contextssl_cli.data.pairs import PairSource
from contextssl_cli.errors import ContextSSLError
from contextssl_cli.evaluation import probes
from contextssl_cli.evaluation.config import ProbeConfig
from contextssl_cli.evaluation.contexts import context_hash, read_context
from contextssl_cli.evaluation.encoded import EncodedSplit, encode_split
from contextssl_cli.evaluation.fairness import fairness_differences
from contextssl_cli.evaluation.results import ENCODER, Key
from contextssl_cli.model.context_ssl import ContextSSL
from contextssl_cli.plugin.task import Task
from contextssl_cli.store.context import Context
from contextssl_cli.store.dataset import Split
from contextssl_cli.training.metrics import pooled_r2
from contextssl_cli.training.pretrain import run_store, run_task
from contextssl_cli.training.run import Run

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Condition:
    """What is measured: the embedding under a context, or the encoder's feature.

    Attributes:
        environment: its name in the results; ``encoder`` for the feature z.
        length: of the context in tokens.
        context: its pairs; None for no context, and for the encoder.
    """

    environment: str
    length: int
    context: Context | None = None

    @property
    def identity(self) -> str:
        """Equal for conditions under which every embedding is equal: without context no environment is known."""
        return ENCODER if self.environment == ENCODER else context_hash(self.context)


Values = dict[tuple[str, str, str], float]
"""By (metric, target, probe)."""


class Evaluator:
    """Opens a run and its store; encodes each view once; keeps every value it measured in the run's cache.

    Args:
        run: trained.
        config: of the probes.
        device: for the encoder and the probes.
    """

    def __init__(self, run: Run, config: ProbeConfig, device: torch.device) -> None:
        self.run = run
        self.config = config
        self.device = device
        self.task: Task = run_task(run)
        self.store = run_store(run)
        self.encoder = run.load_encoder(device)
        self._fingerprint = f"{run.fingerprint()} {self.store.content_hash}"

    @property
    def model(self) -> ContextSSL:
        """The encoder with its world model.

        Raises:
            UsageError: if the run's method has none.
        """
        self.run.require_context()
        return cast(ContextSSL, self.encoder)

    @functools.cached_property
    def train_source(self) -> PairSource:
        """Pairs of the training split, for contexts and for fitting probes."""
        return PairSource.of(self.task, self.store.schema, self.store.train)

    @functools.cached_property
    def train(self) -> EncodedSplit:
        """Features that probes are fitted to."""
        return self._encoded(self.train_source, self.store.train)

    @functools.cached_property
    def test(self) -> EncodedSplit:
        """Features that probes are judged on."""
        return self._encoded(PairSource.of(self.task, self.store.schema, self.store.test), self.store.test)

    def measure(self, conditions: Sequence[Condition], *, labels: bool = True) -> dict[Key, float]:
        """Every value under each of the conditions; what was measured before is read from the cache.

        Args:
            conditions: contexts to embed under.
            labels: also classify; otherwise only the R2 of the actions.
        """
        kinds = {"actions": self._measure_actions, "labels": self._measure_labels}
        if not labels:
            del kinds["labels"]
        measured: dict[Key, float] = {}
        for kind, measure in kinds.items():
            known = {c.identity: self._cached(kind, c) for c in conditions}
            missing = {c.identity: c for c in conditions if known[c.identity] is None}
            if missing:
                for condition, values in zip(missing.values(), measure(list(missing.values())), strict=True):
                    known[condition.identity] = self._keep(kind, condition, values)
            for c in conditions:
                measured |= {Key(c.environment, c.length, *name): v for name, v in (known[c.identity] or {}).items()}
        return measured

    def embeddings(self, condition: Condition, features: Tensor) -> Tensor:
        """Embeddings of features (N, D) under a condition: (N, D), on the evaluator's device."""
        features = features.to(self.device)
        if condition.environment == ENCODER:
            return features
        cache = read_context(self.model, self.store.schema, condition.context)
        with torch.no_grad():
            return torch.cat([self.model.embed(part, cache) for part in features.split(4096)])

    def _measure_actions(self, conditions: list[Condition]) -> list[Values]:
        """R2 of every relative action from the concatenated embeddings of two views; one pair per training sample."""
        train, test = self.train, self.test
        first = slice(train.samples)
        fit = torch.stack([self._both(c, train.z_x[first], train.z_y[first]) for c in conditions])
        judge = torch.stack([self._both(c, test.z_x, test.z_y) for c in conditions])
        found: list[Values] = [{} for _ in conditions]
        for action in self.task.actions:
            targets = train.actions[action.name][first].to(self.device)
            _log.info("reading %s from %d embeddings of %d pairs each", action.name, len(fit), fit.shape[1])
            outputs = probes.regress(fit, targets, judge, action.probe, self.config)
            name = probes.action_probe_name(action.probe, self.config)
            for values, output in zip(found, outputs, strict=True):
                values["r2", action.name, name] = pooled_r2(output.cpu(), test.actions[action.name])
        return found

    def _measure_labels(self, conditions: list[Condition]) -> list[Values]:
        """Accuracy of tasks and sensitive attributes from the embeddings; fairness of each task."""
        fit = torch.stack([self.embeddings(c, self.train.z) for c in conditions])
        judge = torch.stack([self.embeddings(c, self.test.z) for c in conditions])
        near = [probes.nearest_neighbours(f, j, self.config) for f, j in zip(fit, judge, strict=True)]
        found: list[Values] = [{} for _ in conditions]
        for target, classes in (self.store.schema.tasks | self.store.schema.attributes).items():
            labels, truth = self.train.classes(target).to(self.device), self.test.classes(target)
            asked = truth >= 0
            if not probes.can_be_read(labels, truth):
                _log.warning("%s is left out: it needs two classes to learn from and a label to be judged on", target)
                continue
            _log.info("reading %s from %d embeddings of %d samples each", target, len(fit), fit.shape[1])
            for probe, predictions in self._predict(fit, labels, judge, near, len(classes)).items():
                for values, predicted in zip(found, predictions, strict=True):
                    values.update(self._judge(target, probe, truth[asked], predicted.cpu()[asked], asked))
        return found

    def _predict(
        self, fit: Tensor, labels: Tensor, judge: Tensor, near: list[probes.Neighbours], classes: int
    ) -> dict[str, list[Tensor]]:
        """Predicted classes (M,) by probe, one tensor per condition; fitted to the samples that have a label."""
        known = labels >= 0
        fit, targets = fit[:, known], labels[known]
        predictions = {
            probes.label_probe_name(self.config): list(probes.classify(fit, targets, judge, classes, self.config)),
            probes.KNN: [neighbours.classify(labels, classes) for neighbours in near],
        }
        if self.store.schema.attributes:
            pairs = zip(fit.cpu().numpy(), judge.cpu().numpy(), strict=True)
            strong = [probes.strong_classify(f, targets.cpu().numpy(), j) for f, j in pairs]
            predictions[probes.LOGISTIC] = [torch.from_numpy(predicted) for predicted in strong]
        return predictions

    def _judge(self, target: str, probe: str, truth: Tensor, predicted: Tensor, asked: Tensor) -> Values:
        """Accuracy of one prediction, and its fairness where the target is a task."""
        schema = self.store.schema
        metric = "knn" if probe == probes.KNN else "accuracy" if schema.attributes else "top1"
        values: Values = {(metric, target, probe): float((predicted == truth).double().mean())}
        if target in schema.tasks and probe != probes.KNN:
            groups = {name: categories[asked] for name, categories in self.test.attributes.items()}
            values.update(fairness_differences(truth, predicted, groups, target, probe))
        return values

    def _both(self, condition: Condition, z_x: Tensor, z_y: Tensor) -> Tensor:
        return torch.cat([self.embeddings(condition, z_x), self.embeddings(condition, z_y)], dim=1)

    def _encoded(self, source: PairSource, split: Split) -> EncodedSplit:
        return encode_split(self.encoder, source, split, self.config, self.run.folder / "cache", self._fingerprint)

    def _path(self, kind: str, condition: Condition) -> Path:
        parts = [self._fingerprint, self.config.model_dump_json(exclude={"context_lengths"}), kind, condition.identity]
        key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]
        return self.run.folder / "cache" / f"{kind}-{key}.json"

    def _cached(self, kind: str, condition: Condition) -> Values | None:
        path = self._path(kind, condition)
        if not path.is_file():
            return None
        return {(v["metric"], v["target"], v["probe"]): v["value"] for v in files.read_json(path)["values"]}

    def _keep(self, kind: str, condition: Condition, values: Values) -> Values:
        lines = [{"metric": m, "target": t, "probe": p, "value": value} for (m, t, p), value in values.items()]
        with contextlib.suppress(ContextSSLError):  # a run may be read-only: its cache saves time, no more
            files.write_json(self._path(kind, condition), {"values": lines})
        return values
