"""Fairness between groups: against fairlearn, against counting by hand, and what is undefined."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from contextssl_cli.evaluation.fairness import (
    PARITY,
    Reduction,
    fairness_differences,
    group_differences,
    support,
)

ODDS, OPPORTUNITY = "equalized_odds_difference", "equal_opportunity_difference"
Rates = dict[int, float]


def rates(chosen: Callable[[int], np.ndarray], predicted: np.ndarray, groups: np.ndarray) -> Rates:
    return {int(g): float(predicted[chosen(g)].mean()) for g in np.unique(groups)}


def spread(found: Rates) -> float:
    return max(found.values()) - min(found.values())


def toy(count: int = 400, seed: int = 0, categories: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, predictions and groups, all dependent on one another."""
    draw = np.random.default_rng(seed)
    groups = draw.integers(categories, size=count)
    labels = (draw.random(count) < 0.3 + 0.2 * groups).astype(int)
    predicted = (draw.random(count) < 0.2 + 0.4 * labels + 0.1 * groups).astype(int)
    return labels, predicted, groups


@pytest.mark.parametrize("categories", [2, 3])
def test_differences_are_those_counted_by_hand(categories: int) -> None:
    labels, predicted, groups = toy(categories=categories)
    found = group_differences(labels, predicted, groups)
    true = spread(rates(lambda g: (groups == g) & (labels == 1), predicted, groups))
    false = spread(rates(lambda g: (groups == g) & (labels == 0), predicted, groups))
    favoured = spread(rates(lambda g: groups == g, predicted, groups))
    assert found == pytest.approx({ODDS: max(true, false), OPPORTUNITY: true, PARITY: favoured})
    assert true != pytest.approx(false)


@settings(max_examples=25)  # fairlearn takes its time
@given(seed=st.integers(0, 10_000), count=st.integers(40, 200))
def test_differences_are_those_of_fairlearn(seed: int, count: int) -> None:
    labels, predicted, groups = toy(count, seed)
    measures = {OPPORTUNITY: true_positive_rate, "false": false_positive_rate, PARITY: selection_rate}
    found = group_differences(labels, predicted, groups)
    if None in found.values():
        return
    theirs = MetricFrame(metrics=measures, y_true=labels, y_pred=predicted, sensitive_features=groups).difference()
    assert found[OPPORTUNITY] == pytest.approx(theirs[OPPORTUNITY])
    assert found[PARITY] == pytest.approx(theirs[PARITY])
    assert found[ODDS] == pytest.approx(max(theirs[OPPORTUNITY], theirs["false"]))


@pytest.mark.parametrize(
    ("labels", "groups", "undefined"),
    [
        ([1, 0, 0, 0], [0, 0, 1, 1], {ODDS, OPPORTUNITY}),  # no positives in a group
        ([1, 0, 1, 1], [0, 0, 1, 1], {ODDS}),  # no negatives
        ([1, 0, 1, 0], [1, 1, 1, 1], {ODDS, OPPORTUNITY, PARITY}),  # one group
        ([1, 0, 1, 0], [0, 0, 1, 1], set()),
    ],
)
def test_undefined_is_not_zero(labels: list[int], groups: list[int], undefined: set[str]) -> None:
    found = group_differences(np.array(labels), np.array([1, 0, 1, 0]), np.array(groups))
    assert {name for name, value in found.items() if value is None} == undefined
    parts = torch.tensor(labels), torch.tensor([1, 0, 1, 0]), {"sex": torch.tensor(groups)}
    reported = fairness_differences(*parts, "income", "probe")
    assert set(reported) == {(name, "income by sex", "probe") for name in {ODDS, OPPORTUNITY} - undefined}


def test_support_leaves_out_unknown_labels() -> None:
    labels, groups = np.array([1, 0, 0, -1, 1, -1]), np.array([0, 0, 0, 0, 1, 1])
    assert support(labels, groups, ["f", "m", "x"]) == {
        "f": {"positives": 1, "negatives": 2},
        "m": {"positives": 1, "negatives": 0},
        "x": {"positives": 0, "negatives": 0},
    }


def test_the_reduction_is_fairer_than_its_base() -> None:
    draw = np.random.default_rng(0)
    groups = draw.integers(2, size=2000)
    skill = draw.normal(size=2000)
    labels = (skill + 2 * groups + draw.normal(size=2000) > 1).astype(int)  # so the group alone is a good guess
    columns = np.stack([10 * skill + 5, groups], axis=1)
    fit, judge = slice(0, 1000), slice(1000, None)
    plain = LogisticRegression().fit(columns[fit], labels[fit]).predict(columns[judge])
    reduction = Reduction.fit(columns[fit], labels[fit], groups[fit], 30)
    fair = reduction.predict(columns[judge], 0)
    before, after = (group_differences(labels[judge], p, groups[judge])[ODDS] for p in (plain, fair))
    assert before is not None
    assert after is not None
    assert before > 0.3
    assert after < 0.5 * before
    assert (fair == labels[judge]).mean() > (plain == labels[judge]).mean() - 0.15
    np.testing.assert_array_equal(fair, reduction.predict(columns[judge], 0))
    about = reduction.about()
    assert 1 <= about["iterations"] <= about["max_iter"] == 30
