"""The terms of ContextSSL's loss that are measured on queries, against embeddings read as at test time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.pairs import PairBatch
from contextssl_cli.errors import UsageError
from contextssl_cli.methods.base import Step, StepLoss
from contextssl_cli.methods.contextual import ContextSSLMethod
from contextssl_cli.methods.optional_terms import probe_penalty
from contextssl_cli.model.contextssl import ContextSSL
from contextssl_cli.plugin.task import EVERY_ENVIRONMENT, Task
from tests import tiny
from tests.draws import seeded
from tests.unit.test_methods import Array, contrast, off_diagonal, short_of_one

SEQUENCES, PAIRS = 3, tiny.MODEL["block_size"] // 2
COUNT = SEQUENCES * PAIRS
ENVIRONMENTS = (("turn",), ("tint",), ("tint", "turn"))


def pairs() -> PairBatch:
    generator = seeded(COUNT)
    x, y = torch.randn(2, COUNT, tiny.table_schema().shape[0], generator=generator)
    actions, first, second = (
        {block.name: torch.randn(COUNT, block.width, generator=generator) for block in tiny.SPACE.blocks}
        for _ in range(3)
    )
    return PairBatch(x, y, actions, first, second)


def measured(model: ContextSSL, batch: PairBatch, *, penalise: bool = True, **settings: Any) -> StepLoss:
    config = TrainConfig(batch_size=COUNT, context_mask=0, model=model.config, **settings)
    return ContextSSLMethod(config).loss(model, batch, Step(ENVIRONMENTS, seeded(3), penalise=penalise))


def embedded(model: ContextSSL, batch: PairBatch, environment: tuple[str, ...]) -> torch.Tensor:
    """Both views of every pair (N, 2, D), each sequence under the context that the next one makes."""
    found = []
    for number in range(SEQUENCES):
        own, other = (slice(n * PAIRS, (n + 1) * PAIRS) for n in (number, (number + 1) % SEQUENCES))
        actions = model.space.assemble(batch.actions, environment, COUNT)[other]
        cache = model.read_context(model.encode(batch.x[other]), model.encode(batch.y[other]), actions, environment)
        views = [model.embed(model.encode(part[own]), cache) for part in (batch.x, batch.y)]
        found.append(torch.stack(views, dim=1))
    return torch.cat(found)


def simclrs(first: Array, second: Array) -> float:
    return contrast(first, second, TrainConfig().temperature)


def vicregs(first: Array, second: Array) -> float:
    """Equation 6 with its weights 25, 25 and 1, in units of the first term, of numbers in units of 1 / sqrt(D)."""
    x, y = (part * tiny.MODEL["feature_dim"] ** 0.5 for part in (first, second))
    spread = (short_of_one(x) + short_of_one(y)) / 2
    return float(((x - y) ** 2).mean() + spread + (off_diagonal(x) + off_diagonal(y)) / 25)


@pytest.mark.parametrize(("objective", "by_hand"), [("nt-xent", simclrs), ("vicreg", vicregs)])
def test_the_instance_loss_is_simclrs_or_vicregs_on_mapped_embeddings(
    objective: str, by_hand: Callable[[Array, Array], float]
) -> None:
    model, batch = tiny.model(instance_dim=5), pairs()
    plain = tiny.model()
    plain.load_state_dict(model.state_dict(), strict=False)
    with torch.no_grad():
        loss = measured(model, batch, instance_weight=0.5, instance_objective=objective)
        without = measured(plain, batch)
        for environment, name in zip(ENVIRONMENTS, ("turn", "tint", "tint+turn"), strict=True):
            mapped = embedded(model, batch, environment).double().numpy() @ model.instance.weight.double().numpy().T
            assert float(loss.terms["instance"][name]) == pytest.approx(by_hand(mapped[:, 0], mapped[:, 1]), rel=1e-4)
    mean = torch.stack(list(loss.terms["instance"].values())).mean()
    torch.testing.assert_close(loss.total, without.total + 0.5 * mean)


def test_the_readout_is_of_the_zeroed_types_alone() -> None:
    model, batch = tiny.model(), pairs()
    with torch.no_grad():
        loss = measured(model, batch, invariance_weight=2.0)
        plain = measured(model, batch)
        assert loss.terms["probe_penalty"].keys() == {"turn", "tint"}  # nothing is zeroed where both are active
        for environment, zeroed in ((("turn",), "tint"), (("tint",), "turn")):
            target = torch.stack([batch.first[zeroed], batch.second[zeroed]], dim=1).flatten(0, 1)
            expected = probe_penalty(embedded(model, batch, environment).flatten(0, 1), target)
            torch.testing.assert_close(loss.terms["probe_penalty"][environment[0]], expected, rtol=1e-3, atol=1e-4)
    mean = torch.stack(list(loss.terms["probe_penalty"].values())).mean()
    torch.testing.assert_close(loss.total, plain.total + 2 * mean)


def test_without_either_nothing_is_queried(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.model()
    monkeypatch.setattr(model.world, "query", lambda *_: pytest.fail("queried"))
    loss = measured(model, pairs(), penalise=False, invariance_weight=1.0)
    assert loss.terms.keys() == {"contrast", "auxiliary"}


@pytest.mark.parametrize("objective", ["nt-xent", "vicreg"])
def test_the_instance_loss_reaches_encoder_world_model_and_map(objective: str) -> None:
    model, batch = tiny.model(instance_dim=5), pairs()
    found = measured(model, batch, instance_weight=1.0, instance_objective=objective).terms["instance"]
    torch.stack(list(found.values())).mean().backward()
    for part in (model.encoder, model.world, model.instance):
        assert all(parameter.grad is not None for parameter in part.parameters())
        assert any(parameter.grad.abs().sum() > 0 for parameter in part.parameters())


def test_the_loss_of_the_features_is_simclrs() -> None:
    config = TrainConfig(batch_size=COUNT, context_mask=0, model=tiny.model().config, feature_weight=0.5)
    method, batch = ContextSSLMethod(config), pairs()
    model, plain = method.build(config.model, tiny.table_schema(), tiny.SPACE).eval(), tiny.model()
    plain.load_state_dict(model.state_dict(), strict=False)
    loss = method.loss(model, batch, Step(ENVIRONMENTS, seeded(3)))
    without = measured(plain, batch)
    projected = model.heads["projector"](torch.cat([model.encode(batch.x), model.encode(batch.y)]))
    first, second = projected.detach().double().numpy().reshape(2, COUNT, -1)
    assert loss.terms["features"][EVERY_ENVIRONMENT].item() == pytest.approx(contrast(first, second, 0.5), rel=1e-4)
    torch.testing.assert_close(loss.total, without.total + 0.5 * loss.terms["features"][EVERY_ENVIRONMENT])
    loss.terms["features"][EVERY_ENVIRONMENT].backward()
    for part in (model.encoder, model.heads):
        assert all(parameter.grad is not None for parameter in part.parameters())
        assert any(parameter.grad.abs().sum() > 0 for parameter in part.parameters())


def test_no_projector_is_made_for_nothing() -> None:
    config = TrainConfig(model=tiny.model().config)
    assert not ContextSSLMethod(config).build(config.model, tiny.table_schema(), tiny.SPACE).heads


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"instance_weight": 1.0, "model_instance_dim": 0}, "instance_weight needs model.instance_dim"),
        ({"instance_weight": 1.0, "model_instance_dim": 4, "batch_size": 8}, "two sequences"),
        ({"method": "simclr", "instance_weight": 1.0, "model_instance_dim": 4}, "instance_weight.*simclr"),
        ({"method": "simclr", "instance_weight": 1.0}, "instance_weight.*simclr"),
        ({"world_start": 0.5}, "world_start needs feature_weight"),
        ({"world_start": 0.99, "feature_weight": 1.0, "steps": 40}, "none of the 40 steps"),
        ({"method": "simclr", "feature_weight": 1.0}, "feature_weight.*simclr"),
        ({"method": "simclr", "invariance_start": 0.2}, "invariance_start.*simclr"),
        ({"instance_objective": "barlow"}, "instance_objective"),
    ],
)
def test_settings_that_do_not_go_together(digits_task: Task, flags: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        tiny.config(digits_task, **flags)
