"""Stores with several views of an object: no sample is encoded twice, and views are ranked as by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from contextssl_cli.config.methods import EQUIVARIANT, MethodName
from contextssl_cli.config.probe import ProbeConfig
from contextssl_cli.data.prepare import prepare
from contextssl_cli.errors import UsageError
from contextssl_cli.evaluation.evaluator import Condition, Evaluator
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.evaluation.protocol import probe_runs
from contextssl_cli.evaluation.results import find
from contextssl_cli.methods.registry import method_of
from contextssl_cli.methods.sen import SEN
from contextssl_cli.model.contextssl import ContextSSL
from contextssl_cli.model.encoders import EncoderModel
from contextssl_cli.plugin.registry import registry
from contextssl_cli.plugin.task import resolve_task
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.run import Run
from tests import tiny
from tests.places import built_in

CPU = torch.device("cpu")
FEW = {"action_epochs": 1, "label_epochs": 1, "hidden": 8, "action_batch_size": 32, "label_batch_size": 32}


@pytest.fixture(scope="module")
def views_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Of 24 training and 6 test objects with 3 views each."""
    built_in("shapes3d")
    options = {"objects": 30, "views": 3, "size": 16}
    return prepare(registry().dataset("shapes3d"), out=tmp_path_factory.mktemp("views") / "s.h5", options=options)


@pytest.fixture(scope="module")
def views_run(views_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tiny.trained(
        resolve_task("shapes3d-rotation-color"), views_store, tmp_path_factory.mktemp("run") / "run", steps=2
    )


def baseline(method: MethodName, store: Store, out: Path) -> Run:
    """Trained for a few steps; an equivariant one is told of the rotation."""
    told = {"equivariant": ["rotation"]} if method in EQUIVARIANT else {}
    return tiny.trained(resolve_task("shapes3d-rotation-color"), store, out, steps=3, method=method, **told)


def test_each_sample_is_encoded_once_whatever_is_measured(views_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    true_encode = ContextSSL.encode

    def counting(self: ContextSSL, inputs: Tensor) -> Tensor:
        encoded.append(len(inputs))
        return true_encode(self, inputs)

    monkeypatch.setattr(ContextSSL, "encode", counting)
    report = probe_runs([views_run], CPU, metrics=["all"], context_lengths=(0, 2, 6, 10, 14), **FEW)
    assert sum(encoded) == 30 * 3  # the views of the contexts among them
    assert {"mrr", "h@1", "h@5", "h@10", "top1", "r2", "r2_individual"} <= {row.metric for row in report.rows}
    assert "encoder" not in {row.environment for row in report.rows if row.metric == "mrr"}
    encoded.clear()
    probe_runs([Run(views_run.folder)], CPU, metrics=["all"], context_lengths=(0, 2, 6, 10, 14), **FEW)
    assert not encoded


@pytest.mark.parametrize("length", [0, 14])
def test_views_are_ranked_as_by_hand(views_run: Run, length: int) -> None:
    """The whole sequence is read again for every input, and the views of the object are sorted in plain Python."""
    config = ProbeConfig()
    report = probe_runs([views_run], CPU, metrics=["mrr"], context_lengths=(0, 14))
    evaluator = Evaluator(OpenRun(views_run, CPU), config)
    context = evaluator.draw_context(("rotation",), 7).take(length // 2) if length else None
    fresh = Evaluator(OpenRun(views_run, CPU), config)  # which has to encode the context's views
    condition = Condition("rotation", length, context, ("rotation",))
    test, model = fresh.test, fresh.model
    assert test.recorded is not None
    cache = fresh.read_context(context)
    reciprocal = []
    with torch.no_grad():
        for source, target, action in zip(
            test.recorded.source, test.recorded.target, test.actions["rotation"], strict=True
        ):
            told = torch.cat([action, torch.zeros(2)])[None]
            asked = model.embed(test.recorded.z[source][None], cache, told, condition.active)[0]
            mates = (test.recorded.objects == test.recorded.objects[source]).nonzero()[:, 0].tolist()
            closeness = {m: float(model.embed(test.recorded.z[m][None], cache)[0] @ asked) for m in mates}
            reciprocal.append(1 / (1 + sorted(mates, key=lambda m: -closeness[m]).index(int(target))))
            assert len(mates) == 3
            assert int(source) in mates
    row = find(report.rows, "rotation", length, "mrr", "view")
    assert row.mean == pytest.approx(sum(reciprocal) / len(reciprocal), abs=1e-6)
    assert "3 views of an object, the source included" in row.probe


@pytest.mark.parametrize("method", EQUIVARIANT)
def test_a_baselines_own_predictor_ranks_views_and_encodes_nothing_again(
    method: MethodName, views_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = baseline(method, views_store, tmp_path / "run")
    encoded: list[int] = []
    true_encode = EncoderModel.encode

    def counting(self: EncoderModel, inputs: Tensor) -> Tensor:
        encoded.append(len(inputs))
        return true_encode(self, inputs)

    monkeypatch.setattr(EncoderModel, "encode", counting)
    report = probe_runs([run], CPU, metrics=["all"], **FEW)
    assert sum(encoded) == 30 * 3
    ranks = {row.metric: row for row in report.rows if row.target == "view"}
    assert list(ranks) == ["mrr", "h@1", "h@5", "h@10"]
    assert {(row.environment, row.context_length) for row in ranks.values()} == {("encoder", 0)}
    assert 1 / 3 <= ranks["mrr"].mean <= 1
    assert ranks["h@1"].mean < ranks["h@5"].mean == 1  # three views an object
    assert "context_label_top1" not in {row.metric for row in report.rows}
    encoded.clear()

    def ranked_again(*_: object) -> None:
        raise AssertionError("the values are kept too")

    monkeypatch.setattr("contextssl_cli.evaluation.measures.view_ranks", ranked_again)
    again = probe_runs([Run(run.folder)], CPU, metrics=["mrr"], **FEW)
    assert again.rows == list(ranks.values())
    assert not encoded


def test_a_baselines_ranks_are_those_by_hand_from_its_run(views_store: Store, tmp_path: Path) -> None:
    """From the images and the weights of the run: latents, transition, distances."""
    run = baseline("sen", views_store, tmp_path / "run")
    row = find(probe_runs([run], CPU, metrics=["mrr"]).rows, "encoder", 0, "mrr", "view")
    method, model = method_of(run.record.config), OpenRun(run).model
    evaluator = Evaluator(OpenRun(run, CPU), ProbeConfig())
    test = evaluator.test
    assert isinstance(method, SEN)
    assert test.recorded is not None
    heads = dict(model.named_modules())
    reciprocal = []
    with torch.no_grad():
        latents = heads["heads.latent"](model.encode(evaluator.test_samples.source.inputs[torch.arange(18)]))
        for source, target, action in zip(
            test.recorded.source, test.recorded.target, test.actions["rotation"], strict=True
        ):
            told = torch.cat([latents[source], action / model.action_std[:4]])[None]
            moved = latents[source] + heads["heads.transition"](told)[0]
            mates = (test.recorded.objects == test.recorded.objects[source]).nonzero()[:, 0].tolist()
            distance = {m: float((latents[m] - moved).norm()) for m in mates}
            reciprocal.append(1 / (1 + sorted(mates, key=lambda m: distance[m]).index(int(target))))
    assert row.mean == pytest.approx(sum(reciprocal) / len(reciprocal), abs=1e-6)
    assert row.probe.startswith("distance rank among the 3 views of an object, the source included")


def test_what_predicts_nothing_has_no_ranks(views_store: Store, tmp_path: Path) -> None:
    run = baseline("simclr", views_store, tmp_path / "run")
    with pytest.raises(UsageError, match=r"simclr.*mrr"):
        probe_runs([run], CPU, metrics=["mrr"])
    with pytest.raises(UsageError, match="could rank and reads no context"):
        probe_runs([run], CPU, metrics=["mrr", "context-labels"])
    for asked in (["all"], ["mrr", "top1"]):
        report = probe_runs([run], CPU, metrics=asked, **FEW)
        metrics = {row.metric for row in report.rows}
        assert "top1" in metrics
        assert not metrics & {"mrr", "h@1", "context_label_top1"}


def test_without_the_action_the_source_is_found_first(views_store: Store, tmp_path: Path) -> None:
    """SimCLR+ predicts, but its tokens carry no action."""
    run = baseline("simclr+", views_store, tmp_path / "run")
    rows = probe_runs([run], CPU, metrics=["mrr"], context_lengths=(0, 14)).rows
    assert [row.mean for row in rows if row.metric == "h@1"] == [0.0] * 4


def test_the_features_of_pairs_are_those_of_their_views(views_run: Run) -> None:
    evaluator = Evaluator(OpenRun(views_run, CPU), ProbeConfig(views=2))
    split = evaluator.test
    assert split.recorded is not None
    torch.testing.assert_close(split.z_x, split.recorded.z[split.recorded.source])
    with torch.no_grad():
        z = evaluator.model.encode(evaluator.test_samples.source.inputs[split.recorded.target])
    torch.testing.assert_close(split.z_y, z, rtol=1e-4, atol=1e-5)
    assert (split.recorded.source != split.recorded.target).all()


def test_ranks_need_recorded_views(digits_run: Run) -> None:
    with pytest.raises(UsageError, match="recorded views"):
        probe_runs([digits_run], CPU, metrics=["mrr"])
