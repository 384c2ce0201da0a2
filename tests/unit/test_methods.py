"""Each method's loss and modules against a calculation in NumPy, and against lightly's where it has one."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from contextssl_cli.config.methods import CONTEXTUAL, EQUIVARIANT, OPTIONS, MethodName
from contextssl_cli.config.model import ModelConfig
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.pairs import PairBatch
from contextssl_cli.methods.base import Baseline, Step
from contextssl_cli.methods.equimod import EquiMod
from contextssl_cli.methods.losses import as_pairs, covariance, variance
from contextssl_cli.methods.registry import method_of
from contextssl_cli.methods.sen import SEN
from contextssl_cli.methods.sie import SIE, HyperNetwork
from contextssl_cli.methods.simclr import SimCLR
from contextssl_cli.methods.vicreg import VICReg
from contextssl_cli.model.contextssl import ContextSSL, nt_xent
from contextssl_cli.plugin.task import EVERY_ENVIRONMENT
from tests import tiny
from tests.draws import seeded

Array = NDArray[np.float64]
NAMES: tuple[MethodName, ...] = tuple(OPTIONS)
BASELINES = [name for name in NAMES if name not in CONTEXTUAL]


def two(rows: int = 7, dim: int = 5) -> tuple[Tensor, Tensor]:
    generator = seeded(rows, dim)
    return torch.randn(rows, dim, generator=generator), torch.randn(rows, dim, generator=generator)


def contrast(first: Array, second: Array, temperature: float) -> float:
    """SimCLR's algorithm 1, sample by sample."""
    tokens = np.concatenate([first, second])
    tokens = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    count, total = len(first), 0.0
    for i in range(2 * count):
        weights = np.exp(tokens @ tokens[i] / temperature)
        total -= np.log(weights[(i + count) % (2 * count)] / (weights.sum() - weights[i]))
    return total / (2 * count)


def short_of_one(outputs: Array) -> float:
    """VICReg's equations 1 and 2, number by number."""
    lacks = [max(0.0, 1 - np.sqrt(np.var(column, ddof=1) + 1e-4)) for column in outputs.T]
    return float(np.mean(lacks))


def off_diagonal(outputs: Array) -> float:
    """VICReg's equations 3 and 4, pair of numbers by pair of numbers."""
    matrix = np.cov(outputs.T, ddof=1)
    pairs = [(i, j) for i in range(len(matrix)) for j in range(len(matrix)) if i != j]
    return float(sum(matrix[i, j] ** 2 for i, j in pairs) / len(matrix))


def double(*tensors: Tensor) -> list[Array]:
    return [tensor.detach().double().numpy() for tensor in tensors]


def lightly_loss(name: str) -> Any:
    pytest.importorskip("lightly", reason="lightly is a test dependency")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports
        return getattr(importlib.import_module("lightly.loss"), name)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_simclr_is_its_algorithm(temperature: float) -> None:
    first, second = two()
    method = SimCLR(OPTIONS["simclr"](temperature=temperature))  # type: ignore[arg-type]
    found = method.terms({"first": first, "second": second}, seeded(0))
    assert float(found["contrast"]) == pytest.approx(contrast(*double(first, second), temperature), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_simclr_is_lightlys(temperature: float) -> None:
    first, second = two(9, 6)
    theirs = lightly_loss("NTXentLoss")(temperature=temperature)(first, second)
    torch.testing.assert_close(nt_xent(as_pairs(first, second), temperature).mean(), theirs)


def test_vicreg_is_its_equations() -> None:
    first, second = (part * 0.7 for part in two())
    x, y = double(first, second)
    by_hand = {
        "invariance": float(((x - y) ** 2).sum(axis=1).mean() / x.shape[1]),
        "variance": (short_of_one(x) + short_of_one(y)) / 2,
        "covariance": off_diagonal(x) + off_diagonal(y),
    }
    method = VICReg(OPTIONS["vicreg"]())  # type: ignore[arg-type]
    terms = method.terms({"first": first, "second": second}, seeded(0))
    found = {name: float(term) for name, term in terms.items()}
    assert found == pytest.approx(by_hand, rel=1e-5)


def test_vicreg_is_lightlys() -> None:
    first, second = (part * 0.7 for part in two(9, 6))
    method = VICReg(OPTIONS["vicreg"]())  # type: ignore[arg-type]
    terms, weights = method.terms({"first": first, "second": second}, seeded(0)), method.weights()
    ours = sum(weights[name] * term for name, term in terms.items())
    torch.testing.assert_close(ours, lightly_loss("VICRegLoss")()(first, second))


def test_variance_and_covariance_of_independent_unit_columns_are_nothing() -> None:
    outputs = torch.randn(20000, 4, generator=seeded(0)) * 2
    assert float(variance(outputs)) == 0
    assert float(covariance(outputs)) < 0.01
    repeated = outputs[:, :1].expand(-1, 4)
    assert float(covariance(repeated)) == pytest.approx(3 * float(outputs[:, 0].var()) ** 2, rel=1e-4)


def test_equimod_contrasts_views_and_predictions_each_at_its_temperature() -> None:
    (first, second), (predicted, after) = two(7, 5), two(7, 6)
    method = EquiMod(OPTIONS["equimod"](temperature=0.5, equivariant_temperature=0.2), ("turn",))  # type: ignore[arg-type]
    found = method.terms({"first": first, "second": second, "predicted": predicted, "after": after}, seeded(0))
    by_hand = {
        "invariance": contrast(*double(first, second), 0.5),
        "equivariance": contrast(*double(predicted, after), 0.2),
    }
    assert {name: float(term) for name, term in found.items()} == pytest.approx(by_hand, rel=1e-5)


def test_sie_is_its_loss() -> None:
    (inv_x, inv_y), (equi_x, equi_y) = two(7, 3), two(7, 4)
    predicted = two(7, 4)[1] * 0.3
    method = SIE(OPTIONS["sie"](), ("turn",))  # type: ignore[arg-type]
    found = method.terms(
        {"invariant x": inv_x, "invariant y": inv_y, "equivariant x": equi_x, "equivariant y": equi_y,
         "predicted": predicted}, seeded(0),
    )  # fmt: skip
    x, y = (np.concatenate(double(*parts), axis=1) for parts in ((inv_x, equi_x), (inv_y, equi_y)))
    a, b, guess, target = double(inv_x, inv_y, predicted, equi_y)
    by_hand = {
        "invariance": float(np.mean((a - b) ** 2)),
        "equivariance": float(np.mean((guess - target) ** 2)),
        "variance": (short_of_one(x) + short_of_one(y) + short_of_one(guess)) / 2,
        "covariance": off_diagonal(x) + off_diagonal(y),
    }
    assert {name: float(term) for name, term in found.items()} == pytest.approx(by_hand, rel=1e-5)
    assert method.weights() == {"invariance": 10, "equivariance": 4.5, "variance": 10, "covariance": 1}


def test_the_hypernetwork_applies_a_matrix_of_each_samples_action() -> None:
    network = HyperNetwork(4, 3)
    inputs, actions = torch.randn(6, 4, generator=seeded(0)), torch.randn(6, 3, generator=seeded(1))
    x, a, still, moved = double(inputs, actions, network.still, network.moved)
    by_hand = [(still + sum(a[n, k] * moved[k] for k in range(3))) @ x[n] for n in range(6)]
    np.testing.assert_allclose(network(inputs, actions).detach().numpy(), by_hand, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network(inputs, torch.zeros(6, 3)), inputs)


def test_sie_splits_the_feature_into_an_invariant_and_an_equivariant_part() -> None:
    method = SIE(OPTIONS["sie"](), ("turn",))  # type: ignore[arg-type]
    heads = torch.nn.ModuleDict(method.heads(8, 2)).eval()
    features, actions = torch.randn(12, 8, generator=seeded(0)), torch.randn(6, 2, generator=seeded(1))
    before = method.read(heads, features, actions)
    other = features.clone()
    other[:, 4:] += 1
    after = method.read(heads, other, actions)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"equivariant x", "equivariant y", "predicted"}


def test_sen_is_the_energy_of_pairs_and_the_hinge_of_others() -> None:
    (before, moved), (after, _) = two(7, 3), two(7, 3)
    before = before * 0.5
    method = SEN(OPTIONS["sen"](contrast="hinge", sigma=0.8, hinge=1.5), ("turn",))  # type: ignore[arg-type]
    found = method.terms({"x": before, "y": after, "moved": moved}, seeded(5))
    x, y, target = double(before, moved, after)

    def energy(one: Array, other: Array) -> float:
        return float(((one - other) ** 2).sum() / (2 * 0.8**2))

    assert float(found["positive"]) == pytest.approx(np.mean([energy(*pair) for pair in zip(y, target, strict=True)]))
    order = torch.randperm(7, generator=seeded(5)).tolist()
    nexts = {sample: order[(place + 1) % 7] for place, sample in enumerate(order)}
    assert all(sample != other for sample, other in nexts.items())
    lacks = [max(0.0, 1.5 - energy(x[sample], x[other])) for sample, other in nexts.items()]
    assert float(found["negative"]) == pytest.approx(np.mean(lacks), rel=1e-5)


def test_sen_contrasts_the_moved_latent_with_every_second_view() -> None:
    moved, after = two(6, 3)
    method = SEN(OPTIONS["sen"](sigma=0.8), ("turn",))  # type: ignore[arg-type]
    found = method.terms({"x": moved, "y": after, "moved": moved}, seeded(0))
    y, target = double(moved, after)
    losses = []
    for i in range(6):
        weights = [np.exp(-((y[i] - target[j]) ** 2).sum() / (2 * 0.8**2)) for j in range(6)]
        losses.append(-np.log(weights[i] / sum(weights)))
    assert {name: float(term) for name, term in found.items()} == pytest.approx({"contrast": np.mean(losses)}, rel=1e-5)


def batch(count: int = 16) -> PairBatch:
    generator = seeded(count)
    width = tiny.table_schema().shape[0]
    x, y = torch.randn(2, count, width, generator=generator)
    blocks = {block.name: torch.randn(count, block.width, generator=generator) for block in tiny.SPACE.blocks}
    return PairBatch(x, y, blocks, blocks, blocks)


def built(name: MethodName, **given: Any) -> tuple[Any, Any]:
    """A method and its model; an equivariant baseline is told of ``turn``."""
    sizes: Any = {"encoder": "mlp", **tiny.MODEL, **given}
    told = ("turn",) if name in EQUIVARIANT else ()
    config = TrainConfig(method=name, equivariant=told, batch_size=16, model=ModelConfig(**sizes))
    method = method_of(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return method, method.build(config.model, tiny.table_schema(), tiny.SPACE)


def step(precision: torch.dtype = torch.float32) -> Step:
    return Step((("turn",), ("tint",)), seeded(3), precision)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_gradient(name: MethodName) -> None:
    method, model = built(name)
    method.loss(model, batch(), step()).total.backward()
    without = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert without == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "contextssl"])
def test_only_contextssl_has_a_map_for_the_instance_loss(name: MethodName) -> None:
    (_, plain), (_, mapped) = built(name), built(name, instance_dim=4)
    assert plain.state_dict().keys() == mapped.state_dict().keys()


@pytest.mark.parametrize("name", NAMES)
def test_losses_are_float32_in_bfloat16_too(name: MethodName) -> None:
    method, model = built(name)
    loss = method.loss(model, batch(), step(torch.bfloat16))
    parts = [part for values in loss.terms.values() for part in values.values()]
    assert {part.dtype for part in (loss.total, *parts)} == {torch.float32}
    assert loss.total.isfinite()


@pytest.mark.parametrize("name", BASELINES)
def test_the_total_is_the_weighted_sum(name: MethodName) -> None:
    method, model = built(name)
    assert isinstance(method, Baseline)
    loss, weights = method.loss(model, batch(), step()), method.weights()
    by_hand = sum(weights.get(term, 1.0) * values[EVERY_ENVIRONMENT].item() for term, values in loss.terms.items())
    assert loss.total.item() == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_method_is_not_told_does_not_reach_its_loss(name: MethodName) -> None:
    method, model = built(name)
    model.eval()
    told, changed = batch(), batch()
    for part in ({"tint"}, {"turn"}):
        for kind in part:
            changed.actions[kind] = told.actions[kind] + 1
        alike = torch.equal(method.loss(model, told, step()).total, method.loss(model, changed, step()).total)
        reads = {"contextssl": {"turn", "tint"}, **{key: {"turn"} for key in EQUIVARIANT}}.get(name, set())
        assert alike == (not part & reads)
        changed = batch()


@pytest.mark.parametrize("name", ["simclr+", "vicreg+"])
def test_plus_reads_a_context_alike_in_every_environment(name: MethodName) -> None:
    _, model = built(name)
    assert isinstance(model, ContextSSL)
    model.eval()
    pairs = batch(4)
    with torch.no_grad():
        z = model.encode(pairs.x)
        under = [model.embed(z, model.read_pairs(pairs, environment)) for environment in (("turn",), ("tint",), ())]
        short = model.embed(z, model.read_pairs(batch(1), ("turn",)))
    assert torch.equal(under[0], under[1])
    assert torch.equal(under[0], under[2])
    assert not torch.allclose(under[0], short, atol=1e-4)


@pytest.mark.parametrize("name", BASELINES)
def test_features_are_the_encoders_before_any_head(name: MethodName) -> None:
    _, model = built(name)
    model.eval()
    inputs = batch().x
    torch.testing.assert_close(model.encode(inputs), model.feature_norm(model.encoder(inputs)))
    assert model.encode(inputs).shape == (16, tiny.MODEL["feature_dim"])


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_gives_every_method_the_same_encoder(name: MethodName) -> None:
    expected, found = (built(method)[1].encoder.state_dict() for method in ("contextssl", name))
    assert set(found) == set(expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected)
