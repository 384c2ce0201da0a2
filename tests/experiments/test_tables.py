"""Tables over points: which figure stands where, beside which published one."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextssl_cli.evaluation.results import ProbeReport, Row
from contextssl_cli.experiments.execute import Probed
from contextssl_cli.experiments.tables import fairness_tables, lengths_table, methods_table, sweep_table
from contextssl_cli.report.result_table import Cell, ResultTable

PAPER, OTHER, STRONG = "mlp (Adam)", "ridge (closed form)", "logistic regression (strong)"


def row(environment: str, length: int, metric: str, target: str, mean: float, probe: str = PAPER) -> Row:
    return Row(environment, length, metric, target, probe, mean, 0.01, [0, 1])


def probed(rows: list[Row], method: str = "contextssl", label: str = "ours", **given: Any) -> Probed:
    environments = ["turn", "none"] if method in ("contextssl", "simclr+") else []
    config = {"method": method, "equivariant": [], "seed": 0}
    report = ProbeReport(
        task="data-turn", rows=rows, gaps=[], paper_gaps=[], environments=environments, actions=["turn"],
        lengths=[0, 4] if environments else [], protocol={"probes": {}, "runs": [{"config": config}]},
    )  # fmt: skip
    values: dict[str, Any] = {
        "family": label,
        "values": {},
        "gaps": [],
        "paper_gaps": [],
        "seconds": [1.0],
        "processor_seconds": [1.0],
    }
    return Probed(label=label, report=report, **(values | given))


ROWS = [
    row("encoder", 0, "r2", "turn", 0.5),
    row("encoder", 0, "top1", "class", 0.8),
    *(row(environment, 0, "r2", "turn", 0.6) for environment in ("turn", "none")),
    row("turn", 4, "r2", "turn", 0.9),
    row("turn", 4, "r2", "turn", 0.95, OTHER),
    row("turn", 4, "top1", "class", 0.7),
    row("turn", 4, "top1", "class", 0.75, STRONG),
    row("turn", 4, "mrr", "view", 0.3),
    row("none", 4, "r2", "turn", 0.1),
]


def test_a_model_with_a_context_has_a_row_for_each_context_and_its_gap_beside_them() -> None:
    table = methods_table([probed(ROWS, gaps=[0.8, 0.6], paper_gaps=[0.7, 0.6])])
    assert list(table.rows) == ["ours, encoder", "ours, no context", "ours, turn context", "ours, empty context"]
    turn = table.rows["ours, turn context"]
    assert turn["turn R2"] == Cell(0.9, 0.01, 2)  # the paper's probe, not the other one
    assert turn["top-1 %"] == Cell(pytest.approx(70), pytest.approx(1), 2)
    assert turn["top-1 % (logistic regression)"].mean == pytest.approx(75)
    assert turn["gap"] == Cell(statistics.fmean([0.8, 0.6]), statistics.stdev([0.8, 0.6]), 2)
    assert table.rows["ours, empty context"]["turn R2"].mean == 0.1
    assert "gap" not in table.rows["ours, encoder"]
    assert "gap" not in table.rows["ours, no context"]


def test_where_tokens_carry_no_action_all_contexts_are_one() -> None:
    table = methods_table([probed(ROWS, "simclr+")])
    assert list(table.rows) == ["ours, encoder", "ours, no context", "ours, with context"]


def test_a_model_without_a_context_is_read_from_its_encoder() -> None:
    table = methods_table([probed(ROWS[:2], "simclr")])
    assert {label: {name: cell.mean for name, cell in line.items()} for label, line in table.rows.items()} == {
        "ours": {"turn R2": 0.5, "top-1 %": pytest.approx(80)}
    }


def test_lengths_have_a_row_each_and_models_are_told_apart_where_there_are_several() -> None:
    one = lengths_table([probed(ROWS), probed(ROWS[:2], "simclr", "plain"), probed(ROWS, "simclr+", "plus")])
    assert one.rows["turn context, 4 tokens"]["MRR"].mean == 0.3
    assert len(one.rows) == 4
    two = lengths_table([probed(ROWS), probed(ROWS, label="other")])
    assert "other, empty context, 0 tokens" in two.rows
    assert len(two.rows) == 8


def test_below_the_lengths_stand_the_ranks_of_methods_that_predict_without_a_context() -> None:
    theirs = [*ROWS[:2], row("encoder", 0, "mrr", "view", 0.2, OTHER), row("encoder", 0, "h@5", "view", 0.25, OTHER)]
    points = [probed(theirs, "sen", "sen, told turn"), probed(ROWS), probed(ROWS[:2], "simclr", "plain")]
    table = lengths_table(points)
    assert list(table.rows)[-1] == "sen, told turn"
    assert len(table.rows) == 5
    assert table.rows["sen, told turn"] == {"MRR": Cell(0.2, 0.01, 2), "H@5": Cell(0.25, 0.01, 2)}
    assert {f"MRR: {PAPER}", f"MRR: {OTHER}", f"H@5: {OTHER}"} <= set(table.probes)


def test_a_sweep_names_the_context_of_every_figure() -> None:
    line = sweep_table([probed(ROWS, gaps=[0.8], paper_gaps=[0.8])]).rows["ours"]
    assert line["turn R2, turn context"].mean == 0.9
    assert line["turn R2, empty context"].mean == 0.1
    assert line["top-1 %, encoder"].mean == pytest.approx(80)
    assert "turn R2, encoder" not in line
    assert sweep_table([probed(ROWS[:2], "simclr")]).rows["ours"]["turn R2, encoder"].mean == 0.5


def test_fairness_has_a_table_for_each_probe_with_the_raw_columns_first() -> None:
    rows = [
        row("turn", 4, "accuracy", "income", 0.8),
        row("turn", 0, "accuracy", "income", 0.1),
        row("turn", 4, "r2", "turn", 0.2),
        row("turn", 4, "accuracy", "income", 0.85, STRONG),
        row("turn", 4, "equalized_odds_difference", "income by sex", 0.2, STRONG),
        row("raw columns without sex", 0, "accuracy", "income", 0.84, STRONG),
        row("turn", 4, "knn", "income", 0.5, "kNN"),
    ]
    first, second = fairness_tables([probed(rows)])
    assert {label: sorted(line) for label, line in first.rows.items()} == {"ours, turn context": ["accuracy, income"]}
    assert first.rows["ours, turn context"]["accuracy, income"].mean == 0.8
    assert list(second.rows) == ["raw columns without sex", "ours, turn context"]
    assert second.rows["ours, turn context"]["equalized odds difference, income by sex"].mean == 0.2
    plain = methods_table([probed(rows)])
    assert list(plain.rows["ours, turn context"]) == ["turn R2"]


def test_published_figures_stand_behind_ours_and_none_is_lost() -> None:
    table = ResultTable(
        "methods", "t", [], {"ours": {"turn R2": Cell(0.5, 0.1, 3), "gap": Cell(1.25)}},
        {"ours": {"turn R2": 0.744}, "theirs": {"turn R2": 0.6, "top-1 %": 80.44}}, ["there"],
    )  # fmt: skip
    text = table.text()
    assert text.header == ["model", "turn R2", "turn R2, published", "gap", "top-1 %", "top-1 %, published"]
    assert text.rows == [
        ["ours", "0.500 ± 0.100", "0.744", "1.250", "", ""],
        ["theirs", "", "0.600", "", "", "80.4"],
    ]


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.dictionaries(
            st.text(min_size=1, max_size=5),
            st.builds(Cell, st.floats(-2, 2), st.floats(0, 1), st.integers(1, 5)),
            max_size=3,
        ),
        max_size=3,
    )
)
def test_a_table_of_a_result_file_is_the_one_that_was_written(rows: dict[str, dict[str, Cell]]) -> None:
    table = ResultTable("methods", "title", ["a probe"], rows, {"x": {"y": 0.5}}, ["a source"])
    assert ResultTable.from_dict(table.as_dict()) == table
