"""The training loop, a few steps at a time."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from contextssl_cli.data.holdout import hold_out
from contextssl_cli.data.pairs import PairSource
from contextssl_cli.errors import ContextSSLError, UsageError
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.methods.base import StepLoss
from contextssl_cli.methods.contextual import ContextSSLMethod
from contextssl_cli.model.contextssl import ContextSSL
from contextssl_cli.plugin.task import Task, resolve_task
from contextssl_cli.store.dataset import Store
from contextssl_cli.training import trainer as trainer_module
from contextssl_cli.training.run import Run
from contextssl_cli.training.start import start_run
from contextssl_cli.training.trainer import Trainer
from tests import tiny
from tests.tiny import weights_hash

CPU = torch.device("cpu")


def test_the_same_seed_twice_gives_identical_weights(
    digits_run: Run, digits_task: Task, digits_store: Store, tmp_path: Path
) -> None:
    torch.manual_seed(12345)  # whatever the caller drew before
    again = tiny.trained(digits_task, digits_store, tmp_path / "again")
    assert again.fingerprint() == digits_run.fingerprint()


def test_another_seed_gives_other_weights(
    digits_run: Run, digits_task: Task, digits_store: Store, tmp_path: Path
) -> None:
    other = tiny.trained(digits_task, digits_store, tmp_path / "other", seed=1)
    assert other.fingerprint() != digits_run.fingerprint()


VARIANTS: dict[str, dict[str, Any]] = {
    "one environment a step": {"environments_per_step": "one"},
    "no context contrast": {"context_contrast": False},
    "the paper's": {"preset": "paper", "model_encoder": "convnet", "epochs": None},
    "invariance": {"invariance_weight": 1.0},
    "instance": {"instance_weight": 1.0, "model_instance_dim": 4},
    "a map that no loss reads": {"model_instance_dim": 4},
    "instance, VICReg": {"instance_weight": 1.0, "instance_objective": "vicreg", "model_instance_dim": 4},
    "the features": {"feature_weight": 1.0},
    "the features first": {"feature_weight": 1.0, "world_start": 0.3},
    "a skip connection": {"model_skip": True},
    "nothing of ours": {"model_feature_norm": False, "model_standardise_actions": False, "model_activity_bits": False},
    "bfloat16": {"precision": "bfloat16"},
}


@pytest.mark.parametrize("name", ["digits-rotation-color", "digits-color"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_trains_with_two_action_types_and_with_one(
    name: str, variant: str, digits_store: Store, tmp_path: Path
) -> None:
    flags = {key: value for key, value in VARIANTS[variant].items() if value is not None}
    run = tiny.trained(resolve_task(name), digits_store, tmp_path / "run", steps=3, **flags)
    lines = tiny.logged(run)
    named = {"digits-rotation-color": {"rotation", "color"}, "digits-color": {"color", "none"}}[name]
    seen = {environment for line in lines for environment in line["terms"].get("contrast", ())}
    assert seen <= named if "environments_per_step" in flags or "preset" in flags else seen == named
    assert all(math.isfinite(value) for line in lines for term in line["terms"].values() for value in term.values())
    trainer, trained = Trainer(run, resolve_task(name), digits_store, CPU), weights_hash(OpenRun(run).context_model)
    assert weights_hash(trainer.model) != trained
    trainer.resume()
    assert (trainer.step, weights_hash(trainer.model)) == (3, trained)


def test_metrics_are_json_lines_of_increasing_steps_that_name_losses_and_gap(digits_run: Run) -> None:
    lines = tiny.logged(digits_run)
    steps = [line["step"] for line in lines]
    assert steps == sorted(set(steps))
    assert steps[-1] == digits_run.record.config.steps
    for line in lines:
        assert {name: set(values) for name, values in line["terms"].items()} == {
            "contrast": {"rotation", "color"}, "auxiliary": {"rotation", "color"}
        }  # fmt: skip
    assert [line["step"] for line in lines if "held_out_gap_ridge" in line] == [10, 20]


def test_the_invariance_penalty_sets_in_when_the_contexts_have_come_apart(
    digits_task: Task, digits_store: Store, tmp_path: Path
) -> None:
    run = tiny.trained(
        digits_task, digits_store, tmp_path / "run", steps=40, invariance_weight=1.0, invariance_start=0.5
    )
    lines = tiny.logged(run)
    counted = {line["step"]: set(line["terms"].get("probe_penalty", ())) for line in lines}
    assert counted == {1: set(), 10: set(), 20: set(), 30: {"rotation", "color"}, 40: {"rotation", "color"}}


def test_progress_is_reported_after_every_step(digits_task: Task, digits_store: Store, tmp_path: Path) -> None:
    run = start_run(tiny.settled(digits_task, steps=12), digits_store, tmp_path / "run")
    reports = []
    Trainer(run, digits_task, digits_store, CPU).fit(reports.append)
    assert [report.step for report in reports] == list(range(1, 13))
    assert {report.steps for report in reports} == {12}
    assert [report.gap is None for report in reports] == [True] * 9 + [False] * 3


@pytest.mark.parametrize("bad_step", [1, 4, 10])
def test_a_loss_that_is_not_finite_is_an_error_and_is_never_saved(
    bad_step: int, digits_task: Task, digits_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_loss, calls = ContextSSLMethod.loss, []

    def broken(*args: Any, **kwargs: Any) -> StepLoss:
        calls.append(1)
        loss = true_loss(*args, **kwargs)
        factor = math.nan if len(calls) == bad_step else 1.0
        return replace(loss, total=loss.total * factor)

    monkeypatch.setattr(ContextSSLMethod, "loss", broken)
    settled = tiny.settled(digits_task, steps=20, checkpoint_every=3, grad_clip=None)
    run = start_run(settled, digits_store, tmp_path / "run")
    with pytest.raises(ContextSSLError, match="not finite") as raised:
        Trainer(run, digits_task, digits_store, CPU).fit(lambda progress: None)
    assert raised.value.exit_code == 1
    if bad_step > 3:
        saved = OpenRun(run).context_model.state_dict().values()
        assert all(tensor.isfinite().all() for tensor in saved)
    else:
        assert not list(run.checkpoint_folder.glob("step-*"))


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_the_optimiser_is_the_configured_one(
    optimizer: str, digits_task: Task, digits_store: Store, tmp_path: Path
) -> None:
    settings = {"optimizer": optimizer, "beta2": 0.95, "weight_decay": 0.25}
    run = start_run(tiny.settled(digits_task, **settings), digits_store, tmp_path / "run")
    made = Trainer(run, digits_task, digits_store, CPU).optimizer
    assert type(made).__name__.lower() == optimizer
    assert (made.defaults["betas"], made.defaults["weight_decay"]) == ((0.9, 0.95), 0.25)


def repeated(store: Store, task: Task) -> PairSource:
    source = PairSource.of(task, store.schema, store.train).subset(torch.arange(120))
    source.objects = torch.arange(120) // 3
    return source


@pytest.mark.parametrize("seed", range(3))
def test_no_object_is_both_trained_on_and_held_out(seed: int, digits_task: Task, digits_store: Store) -> None:
    source = repeated(digits_store, digits_task)
    train, held_out = hold_out(source, tiny.config(digits_task, seed=seed))
    assert not set(train.objects.tolist()) & set(held_out.objects.tolist())
    assert set(train.objects.tolist()) | set(held_out.objects.tolist()) == set(range(40))
    assert (len(train), len(held_out)) == (108, 12)


def test_too_few_samples_are_said_before_training(digits_task: Task, digits_store: Store) -> None:
    source = repeated(digits_store, digits_task).subset(torch.arange(12))
    with pytest.raises(UsageError, match="4 objects: too few"):
        hold_out(source, tiny.config(digits_task))


def test_an_epoch_draws_every_training_sample_once(digits_task: Task, digits_store: Store, tmp_path: Path) -> None:
    run = start_run(tiny.settled(digits_task), digits_store, tmp_path / "run")
    trainer = Trainer(run, digits_task, digits_store, CPU)
    count, drawn = len(trainer.train), []
    for step in range(-(-2 * count // 16)):
        trainer.step = step
        drawn.append(trainer._indices())
    order = torch.cat(drawn)
    for epoch in range(2):
        assert sorted(order[epoch * count : (epoch + 1) * count].tolist()) == list(range(count))
    assert not torch.equal(order[:count], order[count : 2 * count])


def test_the_rate_rises_and_falls_to_nothing() -> None:
    rates = [trainer_module._schedule(step, 100, 0.1) for step in range(101)]
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert (0 < rates[0] < 0.2, rates[10], rates[100]) == (True, 1.0, pytest.approx(0))


def units(values: Tensor) -> ContextSSL:
    model = tiny.model()
    model.standardise(values, values)
    return model


def test_actions_are_counted_in_their_own_spread() -> None:
    values = torch.randn(500, 5) * torch.tensor([1.0, 10.0, 0.1, 5.0, 2.0]) + 3
    model = units(values)
    tokens = model.first_tokens(torch.zeros(500, 16), values, ("turn",))
    torch.testing.assert_close(tokens[:, 16:21].std(dim=0), torch.ones(5))


def test_a_number_that_never_varies_does_no_harm() -> None:
    values = torch.randn(50, 5)
    values[:, 2] = 4.0
    model = units(values)
    assert model.first_tokens(torch.zeros(50, 16), values, ("turn",)).isfinite().all()
    assert (model.latent_std > 0).all()
