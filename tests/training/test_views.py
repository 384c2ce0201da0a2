"""Stores with several views of an object: no sample is encoded twice, and views are ranked as by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from contextssl_cli.data.prepare import prepare
from contextssl_cli.errors import UsageError
from contextssl_cli.evaluation.config import ProbeConfig
from contextssl_cli.evaluation.evaluator import Condition, Evaluator
from contextssl_cli.evaluation.protocol import probe_runs
from contextssl_cli.evaluation.results import find
from contextssl_cli.model.context_ssl import ContextSSL
from contextssl_cli.plugin.registry import registry
from contextssl_cli.plugin.task import resolve_task
from contextssl_cli.training.run import Run
from tests import tiny
from tests.places import built_in

CPU = torch.device("cpu")
FEW = {"action_epochs": 1, "label_epochs": 1, "hidden": 8, "action_batch_size": 32, "label_batch_size": 32}


@pytest.fixture(scope="module")
def views_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Of 24 training and 6 test objects with 3 views each."""
    built_in("shapes3d")
    folder = tmp_path_factory.mktemp("views")
    options = {"objects": 30, "views": 3, "size": 16}
    store = prepare(registry().dataset("shapes3d"), out=folder / "shapes3d.h5", options=options)
    return tiny.trained(resolve_task("shapes3d-rotation-color"), store, folder / "run", steps=2)


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
    evaluator = Evaluator(views_run, config, CPU)
    context = evaluator.draw_context(("rotation",), 7).take(length // 2) if length else None
    fresh = Evaluator(views_run, config, CPU)  # which has to encode the context's views
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


def test_the_features_of_pairs_are_those_of_their_views(views_run: Run) -> None:
    evaluator = Evaluator(views_run, ProbeConfig(views=2), CPU)
    split = evaluator.test
    assert split.recorded is not None
    torch.testing.assert_close(split.z_x, split.recorded.z[split.recorded.source])
    with torch.no_grad():
        z = evaluator.model.encode(evaluator.test_source.inputs[split.recorded.target])
    torch.testing.assert_close(split.z_y, z, rtol=1e-4, atol=1e-5)
    assert (split.recorded.source != split.recorded.target).all()


def test_ranks_need_recorded_views(digits_run: Run) -> None:
    with pytest.raises(UsageError, match="recorded views"):
        probe_runs([digits_run], CPU, metrics=["mrr"])
