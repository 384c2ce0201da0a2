"""Ranks by the predictors of baselines: predictors made by hand, and each method's against plain NumPy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from contextssl_cli.config.methods import EQUIVARIANT, MethodName, MethodOptions
from contextssl_cli.config.model import ModelConfig
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.evaluation.cache import MeasuredValues
from contextssl_cli.evaluation.encoded import EncodedSplit, ProbeSamples, RecordedViews
from contextssl_cli.evaluation.evaluator import Condition, Evaluator
from contextssl_cli.evaluation.ranking import HITS, view_ranks
from contextssl_cli.evaluation.results import ENCODER
from contextssl_cli.methods.base import Predicting
from contextssl_cli.methods.registry import method_of
from contextssl_cli.model.encoders import EncoderModel
from tests import tiny
from tests.draws import seeded

OBJECTS, VIEWS, DIM = 5, 4, 16
SPREAD = torch.tensor([0.5, 3.0, 2.0, 2.0, 2.0])
"""Of the numbers of ``tiny.SPACE``: two of turn, three of tint."""
ONTO = {"equimod": ("predicted", "after"), "sie": ("predicted", "equivariant y"), "sen": ("moved", "y")}
"""What the loss of each method compares."""


class Moves(Predicting[MethodOptions]):
    """Representations are the first two numbers of a feature, and a turn moves them; the prediction times ``share``."""

    def __init__(self, share: float) -> None:
        super().__init__(MethodOptions(), ("turn",))
        self.share = share

    def represent(self, heads: nn.ModuleDict, features: Tensor) -> Tensor:
        return features[:, :2]

    def predict(self, heads: nn.ModuleDict, representations: Tensor, actions: Tensor) -> Tensor:
        assert actions.shape == (len(representations), 2)  # nothing of tint
        return representations + self.share * actions * SPREAD[:2]


def split() -> EncodedSplit:
    """Two pairs from every view: to the next view of its object, and to the one before."""
    generator = seeded(6)
    z = torch.randn(OBJECTS * VIEWS, DIM, generator=generator)
    objects = torch.arange(OBJECTS).repeat(VIEWS)  # views of an object do not stand together
    samples = torch.arange(len(z))
    source = samples.repeat(2)
    target = torch.cat([(samples + OBJECTS) % len(z), (samples - OBJECTS) % len(z)])
    assert torch.equal(objects[source], objects[target])
    turn, tint = z[target, :2] - z[source, :2], torch.randn(len(source), 3, generator=generator)
    return EncodedSplit(
        z_x=z[source], z_y=z[target], actions={"turn": turn, "tint": tint}, first={}, z=z,
        samples=cast(ProbeSamples, None), recorded=RecordedViews(z, objects, source, target),
    )  # fmt: skip


def built(name: MethodName = "sie") -> tuple[Predicting[Any], EncoderModel]:
    """A method told of turns, and a model in evaluation mode whose batch norm has seen some batches."""
    sizes: Any = {"encoder": "mlp", **tiny.MODEL}
    config = TrainConfig(method=name, equivariant=("turn",), model=ModelConfig(**sizes))
    method = method_of(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = method.build(config.model, tiny.table_schema(), tiny.SPACE)
    model.action_std.copy_(SPREAD)
    assert isinstance(method, Predicting)
    for seed in range(3):
        features, actions = (torch.randn(*shape, generator=seeded(seed)) for shape in ((24, DIM), (12, 2)))
        method.read(model.heads, features, actions)
    return method, model.eval()


def measured(predictor: tuple[Predicting[Any], EncoderModel] | None, test: EncodedSplit) -> list[MeasuredValues]:
    evaluator = cast(Evaluator, SimpleNamespace(test=test, device=torch.device("cpu"), predictor=predictor))
    return view_ranks(evaluator, [Condition(ENCODER, 0)])


def test_an_exact_predictor_finds_every_view_first() -> None:
    model = built()[1]
    (found,) = measured((Moves(1.0), model), split())
    probe = "cosine rank among the 4 views of an object, the source included, in its predictor's space"
    assert found == {(metric, "view", probe): 1.0 for metric in ("mrr", *(f"h@{k}" for k in HITS))}


def test_a_predictor_that_ignores_the_action_finds_the_source_first_and_misses() -> None:
    model = built()[1]
    (found,) = measured((Moves(0.0), model), split())
    by_metric = {metric: value for (metric, _, _), value in found.items()}
    assert by_metric["h@1"] == 0
    assert by_metric["h@5"] == 1
    assert 1 / 4 <= by_metric["mrr"] <= 1 / 2


def test_without_a_predictor_there_is_nothing() -> None:
    assert measured(None, split()) == [{}]


@pytest.mark.parametrize("name", EQUIVARIANT)
def test_every_method_ranks_what_its_loss_compares(name: MethodName) -> None:
    """Candidate by candidate, from what the loss reads of the pair of source and candidate."""
    method, model = built(name)
    test = split()
    assert test.recorded is not None
    reciprocal, hits = [], dict.fromkeys(HITS, 0)
    for pair in range(len(test.z_x)):
        told = (test.actions["turn"][pair] / SPREAD[:2])[None]
        source, target = int(test.recorded.source[pair]), int(test.recorded.target[pair])
        mates = [m for m in range(len(test.z)) if test.recorded.objects[m] == test.recorded.objects[source]]
        near = {}
        for mate in mates:
            with torch.no_grad():
                outputs = method.read(model.heads, test.z[[source, mate]], told)
            one, other = (outputs[key][0].double().numpy() for key in ONTO[name])
            distance = float(((one - other) ** 2).sum())
            cosine = float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
            near[mate] = -distance if name == "sen" else cosine
        rank = 1 + sorted(mates, key=lambda m: -near[m]).index(target)
        reciprocal.append(1 / rank)
        for k in HITS:
            hits[k] += rank <= k
    (found,) = measured((method, model), test)
    by_metric = {metric: value for (metric, _, _), value in found.items()}
    expected = {"mrr": float(np.mean(reciprocal))} | {f"h@{k}": count / len(reciprocal) for k, count in hits.items()}
    assert by_metric == pytest.approx(expected, abs=1e-9)
    assert len(set(reciprocal)) > 1  # or any order would do
    (probe,) = {probe for _, _, probe in found}
    assert probe.startswith("distance rank" if name == "sen" else "cosine rank")


def test_distance_and_cosine_disagree_where_lengths_differ() -> None:
    sen, equimod = built("sen")[0], built("equimod")[0]
    predicted = torch.tensor([[1.0, 0.0]])
    views = torch.tensor([[[5.0, 0.0], [1.0, 0.5]]])  # the same direction far away; another direction nearby
    assert equimod.similarity(predicted, views).argmax() == 0
    assert sen.similarity(predicted, views).argmax() == 1
    torch.testing.assert_close(sen.similarity(predicted, views), torch.tensor([[-16.0, -0.25]]) / (2 * 0.5**2))
