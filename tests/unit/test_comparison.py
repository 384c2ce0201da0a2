"""Which models have a gap between them, and what it is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from contextssl_cli.config.train import TrainConfig
from contextssl_cli.errors import UsageError
from contextssl_cli.evaluation.comparison import compare_runs, trained_gap
from contextssl_cli.evaluation.results import ENCODER, ProbeReport, Row


def model(method: str, told: tuple[str, ...], rotation: float, color: float) -> ProbeReport:
    """A report of one seed, with the R2 of both action types."""
    read = {"rotation": rotation, "color": color}
    rows = [Row(ENCODER, 0, "r2", name, "linear", value, 0.0, [0], [value]) for name, value in read.items()]
    config = {"method": method, "equivariant": told, "seed": 0}
    return ProbeReport("task", rows, [], [], [], list(read), [], {"probes": {}, "runs": [{"config": config}]})


TOLD = [model("sie", ("rotation",), 0.9, 0.1), model("sie", ("color",), 0.3, 0.95)]


def test_the_gap_is_what_each_reads_of_its_own_beyond_the_other() -> None:
    assert trained_gap(TOLD) == pytest.approx((0.9 - 0.3) + (0.95 - 0.1))


def test_a_negative_r2_counts_as_0_except_in_the_papers_gap() -> None:
    models = [model("sie", ("rotation",), 0.9, -0.4), model("sie", ("color",), -0.2, 0.95)]
    assert trained_gap(models) == pytest.approx(0.9 + 0.95)
    assert trained_gap(models, clip=False) == pytest.approx(0.9 + 0.2 + 0.95 + 0.4)


def test_a_model_told_nothing_stands_against_a_single_one() -> None:
    assert trained_gap([TOLD[0], model("simclr", (), 0.8, 0.7)]) == pytest.approx(0.9 - 0.8)


@pytest.mark.parametrize(
    "models",
    [
        [*TOLD, model("simclr", (), 0.8, 0.7)],
        [TOLD[0], model("contextssl", (), 0.8, 0.7)],
        [TOLD[0], model("sen", ("color",), 0.8, 0.7)],
        [model("sie", ("rotation", "color"), 0.9, 0.9), model("sie", ("color", "rotation"), 0.8, 0.9)],
        TOLD[:1],
    ],
    ids=["a third model", "ContextSSL", "two methods", "the same in another order", "one model"],
)
def test_others_have_none(models: list[ProbeReport]) -> None:
    with pytest.raises(UsageError, match="runs of one method"):
        trained_gap(models)


@pytest.mark.parametrize(
    ("task", "store_hash", "folder", "words"),
    [("other", "a", "second", "other, task"), ("task", "b", "second", "data"), ("task", "a", "first", "twice")],
    ids=["another task", "other data", "the same run"],
)
def test_runs_of_different_data_are_refused_before_they_are_probed(
    task: str, store_hash: str, folder: str, words: str
) -> None:
    runs = [
        SimpleNamespace(folder=Path(name), record=SimpleNamespace(task=of, store_hash=data, config=config))
        for name, of, data, config in (
            ("first", "task", "a", TrainConfig(method="sie", equivariant=("rotation",))),
            (folder, task, store_hash, TrainConfig(method="sie", equivariant=("color",))),
        )
    ]
    with pytest.raises(UsageError, match=words):
        compare_runs(runs, torch.device("cpu"))  # type: ignore[arg-type]
