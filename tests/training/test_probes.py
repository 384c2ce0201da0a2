"""Probes side by side, neighbours, and that no image is encoded twice."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from contextssl_cli.config.probe import ProbeConfig
from contextssl_cli.data.holdout import hold_out
from contextssl_cli.data.pairs import PairSource
from contextssl_cli.evaluation import cache, probes
from contextssl_cli.evaluation.evaluator import Condition, Evaluator
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.evaluation.protocol import probe_runs
from contextssl_cli.model.contextssl import ContextSSL
from contextssl_cli.store.dataset import Split
from contextssl_cli.training.run import Run
from contextssl_cli.training.start import run_store, run_task
from tests.draws import seeded
from tests.tiny import trained

FEW = ProbeConfig(action_epochs=3, label_epochs=3, action_batch_size=8, label_batch_size=8, hidden=16)
CPU = torch.device("cpu")


def data(kinds: int = 3, samples: int = 30) -> tuple[Tensor, Tensor]:
    """(K, N, D) embeddings of the same samples, and (K, M, D) to judge on."""
    generator = seeded(4)
    return torch.randn(kinds, samples, 6, generator=generator), torch.randn(kinds, 9, 6, generator=generator)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_action_probes_side_by_side_equal_probes_one_by_one(kind: str) -> None:
    train, test = data()
    targets = torch.randn(30, 2, generator=seeded(1))
    together = probes.regress(train, targets, test, kind, FEW)  # type: ignore[arg-type]
    for number in range(3):
        one = slice(number, number + 1)
        alone = probes.regress(train[one], targets, test[one], kind, FEW)  # type: ignore[arg-type]
        torch.testing.assert_close(together[one], alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0], together[1])


def test_label_probes_side_by_side_equal_probes_one_by_one() -> None:
    train, test = data()
    labels = torch.randint(4, (30,), generator=seeded(1))
    together = probes.classify(train, labels, test, 4, FEW)
    for number in range(3):
        one = slice(number, number + 1)
        assert torch.equal(together[one], probes.classify(train[one], labels, test[one], 4, FEW))


def test_a_probe_reads_a_linear_function() -> None:
    train, test = data(1, samples=400)
    mix = torch.randn(6, 2, generator=seeded(2))
    config = FEW.model_copy(update={"action_epochs": 100, "lr": 1e-2})
    read = probes.regress(train, train[0] @ mix, test, "linear", config)
    torch.testing.assert_close(read[0], test[0] @ mix, rtol=0, atol=0.05)


def by_hand(train: Tensor, labels: Tensor, query: Tensor, k: int, classes: int) -> int:
    """The winner of the vote of the k most similar, in plain Python."""

    def cosine(row: Tensor) -> float:
        return float(row @ query) / (math.hypot(*row.tolist()) * math.hypot(*query.tolist()))

    nearest = sorted(((cosine(row), int(label)) for row, label in zip(train, labels, strict=True)), reverse=True)[:k]
    votes = [sum(math.exp(s / 0.1) for s, label in nearest if label == kind) for kind in range(classes)]
    return votes.index(max(votes))


@pytest.mark.parametrize("k", [1, 5, 30, 200])
def test_nearest_neighbours_vote_as_by_hand(k: int) -> None:
    train, test = data(1)
    labels = torch.randint(3, (30,), generator=seeded(3))
    config = FEW.model_copy(update={"knn_neighbours": k})
    found = probes.nearest_neighbours(train[0], test[0], config).classify(labels, 3)
    assert found.tolist() == [by_hand(train[0], labels, query, k, 3) for query in test[0]]


def test_a_sample_without_label_has_no_vote() -> None:
    train, test = data(1)
    labels = torch.randint(3, (30,), generator=seeded(3))
    labels[::2] = -1
    config = FEW.model_copy(update={"knn_neighbours": 30})
    found = probes.nearest_neighbours(train[0], test[0], config).classify(labels, 3)
    assert found.tolist() == [by_hand(train[0], labels, query, 30, 3) for query in test[0]]


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many inputs each call of an encoder took."""
    calls: list[int] = []
    true_encode = ContextSSL.encode

    def counting(self: ContextSSL, inputs: Tensor) -> Tensor:
        calls.append(len(inputs))
        return true_encode(self, inputs)

    monkeypatch.setattr(ContextSSL, "encode", counting)
    return calls


EVERYTHING = {"metrics": ["all"], "action_probes": ["ridge", "linear", "mlp"]}
FEWEST = {"action_epochs": 1, "label_epochs": 1, "views": 1, "hidden": 8}


def test_a_full_probe_encodes_each_view_once_and_a_second_one_nothing(
    digits_run: Run, encoded: list[int], tmp_path: Path
) -> None:
    run = Run(shutil.copytree(digits_run.folder, tmp_path / "run"))
    lengths = (0, 2, 6, 10, 14)
    first = probe_runs([run], CPU, **EVERYTHING, **FEWEST, context_lengths=lengths)
    views, of_contexts = 2 * 1797, 2 * 7  # both views of every sample of both splits, and of every pair of the contexts
    assert sum(encoded) == views + of_contexts
    assert {row.metric for row in first.rows} == {"r2", "r2_individual", "top1", "knn", "context_label_top1"}
    assert {row.context_length for row in first.rows if row.environment == "color"} == set(lengths)
    encoded.clear()
    second = probe_runs([Run(run.folder)], CPU, **EVERYTHING, **FEWEST, context_lengths=lengths)
    assert not encoded
    assert second.as_dict()["results"] == first.as_dict()["results"]


def test_judged_on_held_out_objects_the_test_split_is_not_read(
    digits_run: Run, encoded: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(shutil.copytree(digits_run.folder, tmp_path / "run"))
    few = {"metrics": ["r2", "top1", "knn"], "context_lengths": (0, 14), **FEWEST}
    on_test = probe_runs([run], CPU, **few)
    encoded.clear()

    read = Split.inputs

    def of_training(self: Split, rows: slice = slice(None)) -> NDArray[Any]:
        assert self.name == "train", "the test split was read"
        return read(self, rows)

    monkeypatch.setattr(Split, "inputs", of_training)
    held = probe_runs([run], CPU, **few, judged_on="held-out")
    assert sum(encoded) == 2 * len(run_store(run).train) + 2 * 7
    assert [row.key for row in held.rows] == [row.key for row in on_test.rows]
    assert [row.mean for row in held.rows] != [row.mean for row in on_test.rows]
    assert "held out" in held.protocol["splits"]
    encoded.clear()
    assert probe_runs([run], CPU, **few, judged_on="held-out").rows == held.rows
    assert not encoded


def test_what_is_judged_on_was_not_trained_on(digits_run: Run) -> None:
    evaluator = Evaluator(OpenRun(digits_run, CPU), FEW.model_copy(update={"judged_on": "held-out"}))
    trained, held = evaluator.train_samples, evaluator.test_samples
    kept, apart = hold_out(PairSource.of(evaluator.task, evaluator.store.schema, evaluator.store.train),
                           digits_run.record.config)  # fmt: skip
    assert torch.equal(trained.source.objects, kept.objects)
    assert torch.equal(held.source.objects, apart.objects)
    labels = dict(zip(evaluator.store.train.objects(), evaluator.store.train.labels("digit"), strict=True))
    assert held.labels["digit"].tolist() == [labels[number] for number in held.source.objects.tolist()]
    assert torch.equal(evaluator.test.classes("digit"), held.labels["digit"].repeat(evaluator.config.views))


ANOTHER_PROCESS = """
import sys
from pathlib import Path
import torch
from contextssl_cli.evaluation.protocol import probe_runs
from contextssl_cli.model.contextssl import ContextSSL
from contextssl_cli.training.run import Run

def refuse(self, inputs):
    raise AssertionError("encoded again")

ContextSSL.encode = refuse
few = {"action_epochs": 1, "label_epochs": 1, "views": 1, "hidden": 8, "context_lengths": (0, 2)}
report = probe_runs([Run(Path(sys.argv[1]))], torch.device("cpu"), metrics=["individual", "knn"], **few)
print(len(report.rows))
"""


@pytest.mark.slow
def test_another_process_measures_other_metrics_and_encodes_nothing(digits_run: Run, tmp_path: Path) -> None:
    run = Run(shutil.copytree(digits_run.folder, tmp_path / "run"))
    probe_runs([run], CPU, metrics=["r2"], action_probes=[], **FEWEST, context_lengths=(0, 2))
    done = subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS, str(run.folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 5 * (2 * 2 + 1)  # conditions; two types by two probes, one task by neighbours


def test_other_code_encodes_anew(
    digits_run: Run, encoded: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(shutil.copytree(digits_run.folder, tmp_path / "run"))
    few = {"metrics": ["knn"], "views": 1, "context_lengths": (0,)}
    probe_runs([run], CPU, **few)
    encoded.clear()
    monkeypatch.setattr(cache, "code_key", lambda: "other code")
    probe_runs([run], CPU, **few)
    assert sum(encoded) == 2 * 1797


def test_probes_of_one_split_share_its_embeddings(
    digits_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    embeddings = Evaluator.embeddings

    def counting(self: Evaluator, condition: Condition, features: Tensor) -> Tensor:
        rows.append(len(features))
        return embeddings(self, condition, features)

    monkeypatch.setattr(Evaluator, "embeddings", counting)
    run = Run(shutil.copytree(digits_run.folder, tmp_path / "run"))
    probe_runs([run], CPU, metrics=["r2", "individual", "top1", "knn"], **FEWEST, context_lengths=(0,))
    encoder_and_no_context = 2
    assert sum(rows) == encoder_and_no_context * (2 + 1) * 1797  # both views for actions, one for labels


def test_a_model_without_actions_reads_one_context_for_all_environments(
    digits_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, store = run_task(digits_run), run_store(digits_run)
    run = trained(task, store, tmp_path / "run", steps=2, method="simclr+", context_mask=0.0)
    sizes: list[int] = []
    neighbours = probes.nearest_neighbours

    def counting(train: Tensor, *given: Any) -> probes.Neighbours:
        sizes.append(len(train))
        return neighbours(train, *given)

    monkeypatch.setattr(probes, "nearest_neighbours", counting)
    report = probe_runs([run], CPU, metrics=["knn"], views=1, context_lengths=(0, 2))
    encoder, none, one = 1, 1, 1
    assert len(sizes) == encoder + none + one
    read = {(row.environment, row.context_length): row.mean for row in report.rows}
    assert read["rotation", 2] == read["color", 2]
    assert set(report.environments) == {"rotation", "color"}


def _rotate(entries: list[bytes]) -> list[bytes]:
    """Whole entries, each under the name of another."""
    return [*entries[1:], entries[0]]


@pytest.mark.parametrize(
    "damage", [lambda entries: [entry[:-9] for entry in entries], lambda entries: [b"{}"] * len(entries), _rotate]
)
def test_a_damaged_cache_is_computed_again(
    digits_run: Run, tmp_path: Path, damage: Callable[[list[bytes]], list[bytes]], encoded: list[int]
) -> None:
    run = Run(shutil.copytree(digits_run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("cache")))
    few = {"metrics": ["knn"], "views": 1, "context_lengths": (0, 2), "label_inputs": "samples"}
    first = probe_runs([run], CPU, **few)
    features = sum(encoded)
    files = sorted((run.folder / "cache").iterdir())
    for kind in (".json", ".safetensors"):
        chosen = [file for file in files if file.suffix == kind]
        assert len(chosen) > 1
        for file, content in zip(chosen, damage([file.read_bytes() for file in chosen]), strict=True):
            file.write_bytes(content)
    encoded.clear()
    assert probe_runs([run], CPU, **few).rows == first.rows
    assert sum(encoded) == features
    encoded.clear()
    assert probe_runs([run], CPU, **few).rows == first.rows
    assert encoded == []


def test_ridge_is_scikit_learns() -> None:
    train, test = data(1, samples=40)
    train, test = train[0] * torch.tensor([1.0, 5, 0.1, 2, 3, 1]) + 4, test[0] + 4
    train[:, 3] = 7.0  # does not vary, and is not read
    targets = torch.randn(40, 2, generator=seeded(8))
    columns = [0, 1, 2, 4, 5]
    scaler = StandardScaler().fit(train[:, columns].double())
    fitted = Ridge(alpha=0.3 * 40).fit(scaler.transform(train[:, columns].double()), targets.double())
    expected = fitted.predict(scaler.transform(test[:, columns].double()))
    found = probes.ridge(train, targets, test, penalty=0.3)
    torch.testing.assert_close(found, torch.from_numpy(expected).float(), rtol=1e-4, atol=1e-5)
