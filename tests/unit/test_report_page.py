"""The page of a report: what it prints is what the results say, whatever they are called, and nothing is fetched."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.config.probe import ProbeConfig
from contextssl_cli.errors import CorruptFileError
from contextssl_cli.evaluation.comparison import Comparison
from contextssl_cli.evaluation.results import ProbeReport, Row
from contextssl_cli.evaluation.stored import read_results
from contextssl_cli.plugin.task import resolve_task
from contextssl_cli.report.figures import draw_training, read_losses
from contextssl_cli.report.html.commands import probe_command, settings_without_flags
from contextssl_cli.report.html.page import render
from contextssl_cli.report.studies import studies_of
from contextssl_cli.report.summary import comparison_sentence, print_page
from contextssl_cli.training.log import MetricsLog
from tests.pages import Page

RESULTS = Path(__file__).parents[2] / "docs" / "results"
HOSTILE = """</td><script>alert("x")</script>&amp;<'"""


def stored(name: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return values


@pytest.mark.parametrize("name", ["digits", "adult", "cifar10-color"])
def test_the_tables_hold_the_figures_of_the_file(name: str) -> None:
    values = stored(name)
    page = Page(render([ProbeReport.from_dict(values)]))
    table = page.table("R2 of the relative action, from the embeddings of two views")
    several = len(values["protocol"]["runs"]) > 1
    headings = {column.split(" (")[0]: column for column in table.rows[0]}
    checked = 0
    for row in values["results"]:
        if row["metric"] == "r2" and row["probe"].split(" (")[0] != "ridge":
            expected = f"{row['mean']:.3f}" + (f" ± {row['std']:.3f}" if several else "")
            heading = headings[f"{row['target']} R2"]
            assert table.cell(heading, row["environment"], str(row["context_length"])) == expected
            checked += 1
    assert checked > len(values["context_lengths"])
    assert f"{values['adaptation_gap']:.3f}" in " ".join(page.text)


def test_fairness_stands_in_the_page_of_a_table() -> None:
    values = stored("adult")
    page = Page(render([ProbeReport.from_dict(values)]))
    rows = [row for row in values["results"] if row["metric"] == "equalized_odds_difference"]
    cells = {cell for table in page.tables for line in table.rows for cell in line}
    assert rows
    assert {f"{row['mean']:.3f} ± {row['std']:.3f}" for row in rows} <= cells


def test_the_fairness_table_of_a_reproduction_stands_in_its_page() -> None:
    path = RESULTS / "fairness-adult.json"
    page = Page(render(read_results(path), studies_of([path])))
    rows = [row for row in stored("fairness-adult")["parts"][0]["fairness"]["rows"] if row["target"] == "income"]
    table = page.table("income, by gender")
    assert rows
    for row in rows:
        column = f"income: {row['metric'].replace('_', ' ')}"
        assert table.cell(column, row["representation"]) == f"{row['mean']:.3f} ± {row['std']:.3f}"
    text = render(read_results(path), studies_of([path]))
    assert '<li><a href="#study1">' in text
    assert '<section id="study1">' in text
    assert text.count('class="first"') == 1
    assert text.index('<section id="study1">') < text.index("Gap and features of each model")


def test_a_damaged_fairness_table_is_refused(tmp_path: Path) -> None:
    values = stored("fairness-adult")
    values["parts"][0]["fairness"]["rows"][0]["mean"] = "high"
    path = tmp_path / "results.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(CorruptFileError, match=r"results.json is damaged: .*mean"):
        studies_of([path])


def test_the_tables_of_a_reproduction_stand_in_its_page_with_the_published_figures() -> None:
    path = RESULTS / "figure3.json"
    text = render(read_results(path), studies_of([path]))
    page = Page(text)
    (table, *_) = [one for one in page.tables if "adaptation gap of each model" in one.caption]
    rows = stored("figure3")["parts"][0]["points"][0]["report"]["results"]
    key = {"environment": "color", "context_length": 126, "metric": "r2", "target": "color"}
    row = next(row for row in rows if key.items() <= row.items())
    assert table.cell("color R2", "contextssl, color context") == f"{row['mean']:.3f} ± {row['std']:.3f}"
    assert table.cell("color R2, published", "contextssl, color context") == "0.986"
    for words in ("digits", "shapes3d", "cifar10-crop-color --source cifar10=DIR"):
        assert f"contextssl reproduce figure3 --scale demo --only {words}</pre>" in text
    assert f"What differs from the paper: {stored('figure3')['parts'][0]['study']['differs']}" in " ".join(page.text)


def test_the_lines_of_a_page_tell_the_results_apart(capsys: pytest.CaptureFixture[str]) -> None:
    print_page(read_results(RESULTS / "figure3.json"), Path("report.html"), as_json=False)
    gaps = [line.partition(": ")[0] for line in capsys.readouterr().out.splitlines() if "gap at 126 tokens" in line]
    assert gaps[:3] == [f"digits-rotation-color, {method}" for method in ("contextssl", "simclr+", "vicreg+")]
    assert len(set(gaps)) == len(gaps) == 9


def test_what_a_reproduction_left_out_is_told(tmp_path: Path) -> None:
    values = stored("figure3")
    values["parts"][0] |= {"left_out": ["simclr (seed 2)"], "not_trained": ["sie (seed 1)"]}
    path = tmp_path / "results.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    text = render(read_results(path), studies_of([path, path]))
    assert "Left out by --limit-seeds: simclr (seed 2)." in text
    assert "Not trained yet: sie (seed 1)." in text
    assert "figure3 --scale demo: digits (2)</h2>" in text


@pytest.mark.parametrize(("key", "value"), [("std", -0.5), ("runs", 0), ("mean", float("nan")), ("mean", "high")])
def test_a_damaged_table_is_refused(key: str, value: object, tmp_path: Path) -> None:
    values = stored("figure3")
    values["parts"][0]["tables"][0]["rows"][4]["cells"][2][key] = value
    path = tmp_path / "results.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(CorruptFileError, match=r"results\.json"):
        studies_of([path])


def test_damaged_gaps_of_a_reproduction_are_refused(tmp_path: Path) -> None:
    values = stored("figure3")
    values["parts"][0]["points"][-1]["adaptation_gaps"] = ["x"]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(CorruptFileError, match="adaptation_gaps"):
        read_results(path)


def test_what_the_commands_cannot_set_is_told() -> None:
    digits, shapes3d, _ = stored("figure3")["parts"]
    told = "action_epochs = 50"
    for part, expected in ((digits, False), (shapes3d, True)):
        report = part["points"][0]["report"]
        for run in report["protocol"]["runs"]:
            run["asked"] = {}
        page = render([ProbeReport.from_dict(report)])
        assert (f"measured with {told}" in " ".join(page.split())) is expected


def test_a_setting_of_the_probes_that_a_result_leaves_out_has_its_default() -> None:
    report = ProbeReport.from_dict(stored("digits"))
    task = resolve_task(report.task)
    settings = ProbeConfig().model_dump(mode="json")
    report.protocol["probes"] = settings
    whole = probe_command(report, ["run"], "results"), settings_without_flags(report, task)
    assert whole[0].startswith("contextssl probe --run run")
    for key in settings:
        report.protocol["probes"] = {name: value for name, value in settings.items() if name != key}
        assert (probe_command(report, ["run"], "results"), settings_without_flags(report, task)) == whole, key


def test_several_reports_have_figures_of_their_own_and_an_overview() -> None:
    page = Page(render([ProbeReport.from_dict(stored(name)) for name in ("digits", "digits", "adult")]))
    assert [line[0] for line in page.table("Gap and features of each model").rows[1:]] == [
        "digits-rotation-color",
        "digits-rotation-color",
        "adult-gender",
    ]
    assert "svg" in page.tags
    assert "script" not in page.tags


def test_a_comparison_tells_its_gap() -> None:
    report = ProbeReport.from_dict(stored("digits"))
    page = render([Comparison([report, report], [0.5, 0.75], [0.25, 0.5])])
    assert "0.625 ± 0.177 over 2 seeds (as in the paper 0.375)" in page


def test_models_of_a_reproduction_that_were_told_apart_are_compared() -> None:
    found = read_results(RESULTS / "figure3.json")
    compared = {(one.reports[0].task, one.reports[0].method): one for one in found if isinstance(one, Comparison)}
    digits = stored("figure3")["parts"][0]["points"]
    for method in ("equimod", "sie", "sen"):
        models = [point for point in digits if point["report"]["protocol"]["runs"][0]["config"]["method"] == method]
        comparison = compared["digits-rotation-color", method]
        assert [report.conditioned_on for report in comparison.reports] == [("rotation",), ("color",)]
        assert comparison.gaps == models[0]["adaptation_gaps"] == models[1]["adaptation_gaps"]
    assert all(not report.gaps for one in compared.values() for report in one.reports)
    page = render(found)
    assert all(comparison_sentence(one) in page for one in compared.values())


def test_hostile_names_are_text() -> None:
    values = copy.deepcopy(stored("digits"))
    values["task"] = HOSTILE
    values["environments"][0] = values["actions"][0] = HOSTILE
    for row in values["results"]:
        for key in ("environment", "target"):
            row[key] = HOSTILE if row[key] == "rotation" else row[key]
    for run in values["protocol"]["runs"]:
        run["folder"] = f"/runs/{HOSTILE}"
        run["config"][HOSTILE] = HOSTILE
    page = Page(render([ProbeReport.from_dict(values)]))
    assert "script" not in page.tags
    assert HOSTILE in " ".join(page.text)
    assert page.table("R2 of the relative action, from the embeddings of two views").rows[-1][0] == "color"


def test_mrr_is_drawn() -> None:
    report = ProbeReport.from_dict(stored("digits"))
    ranks = [
        Row(environment, length, "mrr", "view", "cosine", 0.25 + length / 1000, 0.01, [0, 1, 2])
        for environment in report.environments
        for length in report.lengths
    ]
    report.rows.extend(ranks)
    page = Page(render([report]))
    assert "Mean reciprocal rank by context length" in page.text


def test_metrics_of_a_killed_run(tmp_path: Path) -> None:
    lines = [
        '{"step": 1, "terms": {"contrast": {"a": 2.0}}}', "7", '{"step": 2, "terms": {"contrast": {"a": 1.5}}}',
        '{"step": 3, "te',
    ]  # fmt: skip
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert [line["step"] for line in read_losses(MetricsLog(tmp_path / "metrics.jsonl"))] == [1, 2]
    assert read_losses(MetricsLog(tmp_path / "none.jsonl")) == []


def test_the_curve_has_the_steps_before_the_world_model(tmp_path: Path) -> None:
    early = {"step": 10, "terms": {"features": {"*": 5.0}}}
    late = {"step": 20, "terms": {"contrast": {"a": 2.0}, "auxiliary": {"a": 1.0}, "features": {"*": 4.0}}}
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, (early, late))))
    lines = read_losses(MetricsLog(tmp_path / "metrics.jsonl"))
    assert [line["loss"] for line in lines] == [{"features": 5.0}, {"a": 2.0, "features": 4.0}]
    for shown, curves in ((lines, {"a", "features"}), (lines[:1], {"features"})):
        assert {line.get_label() for line in draw_training(shown).axes[0].lines} == curves
