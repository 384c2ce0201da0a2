"""Tables over points: which figure is in which row and column, and which published figure is next to it."""

from __future__ import annotations

import json
import statistics
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contextssl_cli.evaluation.results import ProbeReport, Row
from contextssl_cli.experiments.execute import Probed
from contextssl_cli.experiments.tables import fairness_tables, lengths_table, methods_table, sweep_table
from contextssl_cli.report.tables import MEASURES, Cell, Line, ResultTable, TableColumn, heads

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
        "adaptation_gaps": [],
        "adaptation_gaps_paper": [],
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


R2, TOP1, GAP = TableColumn("r2", "turn"), TableColumn("top1", "class"), TableColumn("adaptation_gap")
LOGISTIC = TableColumn("top1", "class", probe="logistic regression")


def rows_of(table: ResultTable) -> dict[str, Line]:
    """The rows of a table with one column of labels."""
    return {label: line for (label,), line in table.rows.items()}


def test_a_model_with_a_context_has_a_row_for_each_context_and_its_gap_next_to_them() -> None:
    rows = rows_of(methods_table([probed(ROWS, adaptation_gaps=[0.8, 0.6], adaptation_gaps_paper=[0.7, 0.6])]))
    assert list(rows) == ["ours, encoder", "ours, no context", "ours, turn context", "ours, empty context"]
    turn = rows["ours, turn context"]
    assert turn[R2] == Cell(0.9, 0.01, 2, PAPER)  # the paper's probe, not the other one
    assert turn[TOP1] == Cell(0.7, 0.01, 2, PAPER)
    assert turn[LOGISTIC].mean == 0.75
    assert turn[GAP] == Cell(statistics.fmean([0.8, 0.6]), statistics.stdev([0.8, 0.6]), 2)
    assert rows["ours, empty context"][R2].mean == 0.1
    assert GAP not in rows["ours, encoder"]
    assert GAP not in rows["ours, no context"]


def test_where_tokens_carry_no_action_all_contexts_are_one() -> None:
    table = methods_table([probed(ROWS, "simclr+")])
    assert list(rows_of(table)) == ["ours, encoder", "ours, no context", "ours, with context"]


def test_a_model_without_a_context_is_read_from_its_encoder() -> None:
    rows = rows_of(methods_table([probed(ROWS[:2], "simclr")]))
    assert {label: {column: cell.mean for column, cell in line.items()} for label, line in rows.items()} == {
        "ours": {R2: 0.5, TOP1: 0.8}
    }


def test_lengths_have_a_row_each_and_labels_name_the_model_if_there_are_several() -> None:
    points = [probed(ROWS), probed(ROWS[:2], "simclr", "plain"), probed(ROWS, "simclr+", "plus")]
    one = rows_of(lengths_table(points))
    assert one["turn context, 4 tokens"][TableColumn("mrr")].mean == 0.3
    assert len(one) == 4
    two = rows_of(lengths_table([probed(ROWS), probed(ROWS, label="other")]))
    assert "other, empty context, 0 tokens" in two
    assert len(two) == 8


def test_the_ranks_of_methods_without_a_context_come_after_the_lengths() -> None:
    theirs = [*ROWS[:2], row("encoder", 0, "mrr", "view", 0.2, OTHER), row("encoder", 0, "h@5", "view", 0.25, OTHER)]
    points = [probed(theirs, "sen", "sen, given turn"), probed(ROWS), probed(ROWS[:2], "simclr", "plain")]
    table = lengths_table(points)
    rows = rows_of(table)
    assert list(rows)[-1] == "sen, given turn"
    assert len(rows) == 5
    assert rows["sen, given turn"] == {
        TableColumn("mrr"): Cell(0.2, 0.01, 2, OTHER),
        TableColumn("h@5"): Cell(0.25, 0.01, 2, OTHER),
    }
    assert f"MRR, H@5: {OTHER}" in table.by()


def test_a_sweep_names_the_context_of_every_figure() -> None:
    line = rows_of(sweep_table([probed(ROWS, adaptation_gaps=[0.8], adaptation_gaps_paper=[0.8])]))["ours"]
    assert line[TableColumn("r2", "turn", "turn context")].mean == 0.9
    assert line[TableColumn("r2", "turn", "empty context")].mean == 0.1
    assert line[TableColumn("top1", "class", "encoder")].mean == 0.8
    assert TableColumn("r2", "turn", "encoder") not in line
    assert rows_of(sweep_table([probed(ROWS[:2], "simclr")]))["ours"][TableColumn("r2", "turn", "encoder")].mean == 0.5


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
    income = TableColumn("accuracy", "income")
    first, second = map(rows_of, fairness_tables([probed(rows)]))
    assert {label: list(line) for label, line in first.items()} == {"ours, turn context": [income]}
    assert first["ours, turn context"][income].mean == 0.8
    assert list(second) == ["raw columns without sex", "ours, turn context"]
    assert second["ours, turn context"][TableColumn("equalized_odds_difference", "income by sex")].mean == 0.2
    assert list(rows_of(methods_table([probed(rows)]))["ours, turn context"]) == [R2]


def test_published_figures_come_after_ours_and_none_is_lost() -> None:
    table = ResultTable(
        "t", ("model",), {("ours",): {R2: Cell(0.5, 0.1, 3), GAP: Cell(1.25)}}, "methods",
        {("ours",): {R2: 0.744}, ("theirs",): {R2: 0.6, TOP1: 0.8044}}, ["there"],
    )  # fmt: skip
    text = table.text()
    assert text.header == ["model", "turn R2", "turn R2, published", "gap", "top-1 %", "top-1 %, published"]
    assert text.rows == [
        ["ours", "0.500 ± 0.100", "0.744", "1.250", "", ""],
        ["theirs", "", "0.600", "", "", "80.4"],
    ]


def test_heads_differ_where_columns_do() -> None:
    columns = [
        TableColumn(metric, target, environment, probe)
        for metric in MEASURES
        if not metric.startswith("r2_") and metric != "context_label_top1"
        for target in ("a", "b")
        for environment in ("", "turn context")
        for probe in ("", "ridge")
    ]
    assert len(set(heads(columns))) == len(columns)


def test_a_metric_without_a_measure_is_still_shown() -> None:
    line = {TableColumn("novel", "x"): Cell(0.25)}
    assert ResultTable("t", ("model",), {("ours",): line}).text().rows == [["ours", "0.250"]]


COLUMNS = st.builds(TableColumn, st.sampled_from([*MEASURES, "other"]), st.text(max_size=4), st.text(max_size=4))
LABELS = st.tuples(st.text(max_size=5))
CELLS = st.builds(Cell, st.floats(-2, 2), st.floats(0, 1), st.integers(1, 5), st.text(max_size=4))


@given(
    st.dictionaries(LABELS, st.dictionaries(COLUMNS, CELLS, max_size=3), max_size=3),
    st.dictionaries(LABELS, st.dictionaries(COLUMNS, st.floats(-2, 2), max_size=2), max_size=2),
)
def test_a_table_of_a_result_file_is_the_one_that_was_written(
    rows: dict[tuple[str, ...], Line], published: dict[tuple[str, ...], dict[TableColumn, float]]
) -> None:
    table = ResultTable("title", ("model",), rows, "methods", published, ["a source"])
    assert ResultTable.from_dict(json.loads(json.dumps(table.as_dict()))) == table
