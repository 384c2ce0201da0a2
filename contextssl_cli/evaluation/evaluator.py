"""What is measured of an opened run: features, embeddings under any context, and values measured before."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from contextssl_cli.config.probe import ProbeConfig
from contextssl_cli.data.random import Purpose, seeded
from contextssl_cli.evaluation.cache import cache_key
from contextssl_cli.evaluation.contexts import context_hash, draw_context, draw_context_pairs
from contextssl_cli.evaluation.encoded import EncodedSplit, ProbeSamples, RecordedViews, cached, draw_pairs, encode
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.evaluation.results import ENCODER
from contextssl_cli.methods.base import Predicting
from contextssl_cli.methods.registry import method_of
from contextssl_cli.model.contextssl import Cache, ContextSSL, Environment
from contextssl_cli.model.encoders import EncoderModel
from contextssl_cli.plugin.code import code_hash
from contextssl_cli.store.context import Context


@dataclass(frozen=True)
class Condition:
    """What is measured: the embedding under a context, or the encoder's feature.

    Attributes:
        environment: its name in the results; ``encoder`` for the feature z.
        length: of the context in tokens.
        context: its pairs; None for no context, and for the encoder.
        active: the environment's action types, whose actions a prediction is conditioned on.
    """

    environment: str
    length: int
    context: Context | None = None
    active: Environment = ()

    @property
    def identity(self) -> str:
        """Equal for conditions under which every embedding is equal: without context no environment is known."""
        return ENCODER if self.environment == ENCODER else context_hash(self.context)


class Evaluator:
    """Measures an opened run: encodes each input once, and keeps features and measured values in the cache of the run.

    Args:
        opened: the run.
        config: of the probes.

    Raises:
        UsageError, DataMissingError, CorruptFileError: if the run has no data set, or its store is gone or damaged.
    """

    def __init__(self, opened: OpenRun, config: ProbeConfig) -> None:
        self.opened = opened
        self.config = config
        self.run, self.device, self.encoder = opened.run, opened.device, opened.model
        self.task, self.store = opened.task, opened.store
        self._folder = self.run.folder / "cache"
        self._fingerprint = " ".join(
            [
                opened.fingerprint,
                self.store.content_hash,
                self.task.name,
                str(sorted(self.task.options.items())),
                code_hash([self.task.dataset, *self.task.actions]),
            ]
        )
        opened.bank.keep_in(self._folder / f"contexts-{cache_key(opened.fingerprint)}.safetensors")
        self._drawn: list[Context] = []

    @property
    def model(self) -> ContextSSL:
        """The encoder with its world model.

        Raises:
            UsageError: if the method of the run has none.
        """
        return self.opened.context_model

    @property
    def predictor(self) -> tuple[Predicting[Any], EncoderModel] | None:
        """The method and the model of a run without a context whose heads predict the view after an action."""
        method = method_of(self.run.record.config)
        if isinstance(method, Predicting):
            return method, self.encoder
        return None

    @functools.cached_property
    def _held_out(self) -> tuple[ProbeSamples, ProbeSamples] | None:
        """What the run was trained on and what it held out, if probes are judged on the latter."""
        if self.config.judged_on == "test":
            return None
        return ProbeSamples.of(self.task, self.store.train).held_out(self.run.record.config)

    @functools.cached_property
    def train_samples(self) -> ProbeSamples:
        """For contexts and for fitting probes: the training split, or what the run was trained on."""
        return self._held_out[0] if self._held_out else ProbeSamples.of(self.task, self.store.train)

    @functools.cached_property
    def test_samples(self) -> ProbeSamples:
        """For judging probes: the test split, or what the run held out."""
        return self._held_out[1] if self._held_out else ProbeSamples.of(self.task, self.store.test)

    @functools.cached_property
    def train(self) -> EncodedSplit:
        """Features that probes are fitted to."""
        return self._encoded(self.train_samples)

    @functools.cached_property
    def test(self) -> EncodedSplit:
        """Features that probes are judged on."""
        return self._encoded(self.test_samples)

    @property
    def longest_context(self) -> int:
        """In tokens: what the model reads, or what the training samples give."""
        return min(self.model.config.max_context, 2 * len(self.train_samples.source))

    def draw_context(self, environment: Environment, pairs: int) -> Context:
        """A context of distinct pairs of the training samples, the same ones in every environment."""
        source = self.train_samples.source
        context = draw_context(source, environment, pairs, self.config.seed)
        if source.recorded and not self._drawn:  # its views are samples, whose features may be known
            self._drawn.append(context)
        return context

    def embeddings(self, condition: Condition, features: Tensor) -> Tensor:
        """Embeddings of features (N, D) under a condition: (N, D), on the evaluator's device."""
        features = features.to(self.device)
        if condition.environment == ENCODER:
            return features
        cache = self.read(condition)
        with torch.no_grad():
            return torch.cat([self.model.embed(part, cache) for part in features.split(4096)])

    @torch.no_grad()
    def predictions(self, condition: Condition, features: Tensor, actions: dict[str, Tensor]) -> Tensor:
        """Embeddings (N, D) predicted for the views after an action, given its active blocks."""
        given = self.model.space.assemble(actions, condition.active, len(features))
        parts = zip(features.to(self.device).split(4096), given.to(self.device).split(4096), strict=True)
        cache = self.read(condition)
        return torch.cat([self.model.embed(part, cache, action, condition.active) for part, action in parts])

    def read(self, condition: Condition) -> Cache:
        """The keys and values of the context of a condition, which is run through the model once."""
        self._learn_drawn(condition.context)
        return self.opened.bind(condition.context).cache

    def read_context(self, context: Context | None) -> Cache:
        """The keys and values of a context of any length; none of its views is encoded twice."""
        self._learn_drawn(context)
        return self.opened.read(context)

    def sample_features(self, samples: ProbeSamples) -> Tensor:
        """Features (N, D) of samples as they are, from the cache of the run if they were encoded before."""
        return cached(self._path(samples), lambda: {"z": encode(self.encoder, samples.source.inputs)})["z"]

    def values_path(self, kind: str, identity: str) -> Path:
        """The file that keeps the values of a kind of metric under a condition."""
        settings = self.config.model_dump_json(exclude={"context_lengths", "metrics", "action_probes"})
        return self._folder / f"{kind.replace('/', '-')}-{cache_key(self._fingerprint, settings, kind, identity)}.json"

    def _learn_drawn(self, context: Context | None) -> None:
        """Take the features of the protocol's own contexts from those of the training samples, if they were encoded."""
        bank = self.opened.bank
        if context is None or not self._drawn or not (bank.missing(context.x) or bank.missing(context.y)):
            return
        if "train" not in vars(self) and not self._path(self.train_samples).is_file():
            return
        drawn = self._drawn.pop()
        z = self.sample_features(self.train_samples)
        pairs = draw_context_pairs(self.train_samples.source.with_inputs(z), len(drawn), self.config.seed)
        bank.add(drawn.x, pairs.x)
        bank.add(drawn.y, pairs.y)

    def _path(self, samples: ProbeSamples) -> Path:
        """The cache file of ``sample_features``."""
        return self._folder / f"samples-{cache_key(self._fingerprint, samples.name)}.safetensors"

    def _encoded(self, samples: ProbeSamples) -> EncodedSplit:
        """Encode pairs of views of samples without view augmentation, or read them from the cache.

        Where both views of a pair are samples of the store, each sample is encoded once, whatever pairs it is in.
        """
        source, views, seed = samples.source, self.config.views, self.config.seed
        generator = seeded(seed, Purpose.PAIRS, int(samples.name in ("test", "held-out")))
        recorded = None
        if source.recorded:
            z = self.sample_features(samples)
            numbered = source.with_inputs(torch.arange(len(source)))
            pairs = draw_pairs(numbered, views, generator, lambda rows: rows)
            recorded = RecordedViews(z, source.objects, pairs["x"], pairs["y"])
            pairs["x"], pairs["y"] = z[recorded.source], z[recorded.target]
        else:
            path = self._folder / f"pairs-{cache_key(self._fingerprint, samples.name, views, seed)}.safetensors"
            pairs = cached(
                path, lambda: draw_pairs(source, views, generator, lambda inputs: encode(self.encoder, inputs))
            )
        actions, first = (
            {name.removeprefix(prefix): value for name, value in pairs.items() if name.startswith(prefix)}
            for prefix in ("actions/", "first/")
        )
        labelled = pairs["x"] if self.config.label_inputs == "views" else self.sample_features(samples)
        return EncodedSplit(pairs["x"], pairs["y"], actions, first, labelled, samples, recorded)
