"""The terms of ContextSSL's loss that are measured on queries, against embeddings read as at test time."""

from __future__ import annotations

import pytest
import torch

from contextssl_cli.data.pairs import PairBatch, seeded
from contextssl_cli.errors import UsageError
from contextssl_cli.methods.base import Step, StepLoss
from contextssl_cli.methods.contextssl import ContextSSLMethod
from contextssl_cli.methods.losses import linear_readout
from contextssl_cli.model.context_ssl import ContextSSL
from contextssl_cli.plugin.task import Task
from contextssl_cli.training.config import TrainConfig
from tests import tiny
from tests.unit.test_methods import contrast

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


def measured(model: ContextSSL, batch: PairBatch, *, penalise: bool = True, **weights: float) -> StepLoss:
    config = TrainConfig(batch_size=COUNT, context_mask=0, model=model.config, **weights)
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


def test_the_instance_loss_is_simclrs_on_mapped_embeddings() -> None:
    model, batch = tiny.model(instance_dim=5), pairs()
    plain = tiny.model()
    plain.load_state_dict(model.state_dict(), strict=False)
    with torch.no_grad():
        loss, without = measured(model, batch, instance_weight=0.5), measured(plain, batch)
        for environment, name in zip(ENVIRONMENTS, ("turn", "tint", "tint+turn"), strict=True):
            mapped = embedded(model, batch, environment).double().numpy() @ model.instance.weight.double().numpy().T
            expected = contrast(mapped[:, 0], mapped[:, 1], TrainConfig().temperature)
            assert float(loss.instance[name]) == pytest.approx(expected, rel=1e-4)
    mean = torch.stack(list(loss.instance.values())).mean()
    torch.testing.assert_close(loss.total, without.total + 0.5 * mean)


def test_the_readout_is_of_the_zeroed_types_alone() -> None:
    model, batch = tiny.model(), pairs()
    with torch.no_grad():
        loss = measured(model, batch, invariance_weight=2.0)
        plain = measured(model, batch)
        assert loss.readout.keys() == {"turn", "tint"}  # nothing is zeroed where both are active
        for environment, zeroed in ((("turn",), "tint"), (("tint",), "turn")):
            target = torch.stack([batch.first[zeroed], batch.second[zeroed]], dim=1).flatten(0, 1)
            expected = linear_readout(embedded(model, batch, environment).flatten(0, 1), target)
            torch.testing.assert_close(loss.readout[environment[0]], expected, rtol=1e-3, atol=1e-4)
    mean = torch.stack(list(loss.readout.values())).mean()
    torch.testing.assert_close(loss.total, plain.total + 2 * mean)


def test_without_either_nothing_is_queried(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.model()
    monkeypatch.setattr(model.world, "query", lambda *_: pytest.fail("queried"))
    loss = measured(model, pairs(), penalise=False, invariance_weight=1.0)
    assert (loss.readout, loss.instance) == ({}, {})


def test_the_instance_loss_reaches_encoder_world_model_and_map() -> None:
    model, batch = tiny.model(instance_dim=5), pairs()
    torch.stack(list(measured(model, batch, instance_weight=1.0).instance.values())).mean().backward()
    for part in (model.encoder, model.world, model.instance):
        assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in part.parameters())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"instance_weight": 1.0}, "instance_weight needs model.instance_dim"),
        ({"instance_weight": 1.0, "model_instance_dim": 4, "batch_size": 8}, "two sequences"),
        ({"method": "simclr", "instance_weight": 1.0, "model_instance_dim": 4}, "no effect with the method simclr"),
    ],
)
def test_settings_that_do_not_go_together(digits_task: Task, flags: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        tiny.config(digits_task, **flags)
