"""``contextssl report``: the page of runs and results, and every kind of bad input."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from contextssl_cli.evaluation.evaluator import Evaluator
from tests.cli.conftest import TINY, Command, Made
from tests.pages import Page

CAPTION = "R2 of the relative action, from the embeddings of two views"


def commands(page: Path, name: str) -> list[list[str]]:
    """The commands of a page that begin with ``contextssl NAME``, as words."""
    text = " ".join(Page(page.read_text(encoding="utf-8")).text)
    lines = [line.strip() for line in text.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(f"contextssl {name} ")]


def test_a_run_is_probed_once(cli: Command, made: Made, own_run: Path) -> None:
    first = cli("report", own_run)
    assert first.code == 0, first.err
    assert "probing" in first.err
    page = own_run / "report.html"
    assert f"wrote {page}" in first.out
    results = json.loads((own_run / "probe" / "results.json").read_text())
    table = Page(page.read_text(encoding="utf-8")).table(CAPTION)
    for row in results["results"]:
        if row["metric"] == "r2" and not row["probe"].startswith("ridge"):
            column = next(name for name in table.rows[0] if name.startswith(f"{row['target']} R2 "))
            assert table.cell(column, row["environment"], str(row["context_length"])) == f"{row['mean']:.3f}"
    assert results["protocol"]["store_hash"] in page.read_text(encoding="utf-8")

    written = page.read_bytes()
    again = cli("report", own_run, "--json")
    assert "probing" not in again.err
    assert page.read_bytes() == written
    assert again.json["results"][0]["adaptation_gap"] == results["adaptation_gap"]


def test_its_commands_make_the_same_configuration(cli: Command, own_run: Path) -> None:
    assert cli("report", own_run, "--out", "report.html").code == 0
    (words,) = commands(Path("report.html"), "pretrain")
    planned = cli(*words[1:], "--dry-run", "--json").json
    assert planned["config"] == json.loads((own_run / "run.json").read_text())["config"]
    assert planned["task"] == "digits-rotation-color"
    (prepare,) = commands(Path("report.html"), "prepare")
    assert prepare == ["contextssl", "prepare", "digits"]
    (probe,) = commands(Path("report.html"), "probe")
    assert probe[-2:] == ["--out", "results"]


def test_another_weight_is_probed_again(cli: Command, own_run: Path) -> None:
    (own_run / "probe").mkdir()
    assert cli("probe", "--run", own_run).code == 0
    path = own_run / "probe" / "results.json"
    results = json.loads(path.read_text())
    results["protocol"]["runs"][0]["fingerprint"] = "0" * 64
    path.write_text(json.dumps(results))
    outcome = cli("report", own_run, "--out", "report.html")
    assert outcome.code == 0, outcome.err
    assert "is of other weights: probing again" in outcome.err
    assert json.loads(path.read_text())["protocol"]["runs"][0]["fingerprint"] != "0" * 64


def test_runs_told_different_types_are_compared(cli: Command) -> None:
    told = ["rotation", "color"]
    for name in told:
        flags = ["--plugin", "digits-rotation-color", "--method", "equimod", "--equivariant", name, "--out", name]
        assert cli("pretrain", *flags, *TINY).code == 0
    outcome = cli("report", *told, "--out", "both.html")
    assert outcome.code == 0, outcome.err
    gap = json.loads(Path("rotation", "comparison", "comparison.json").read_text())["adaptation_gap"]
    page = Page(Path("both.html").read_text(encoding="utf-8"))
    assert f"adaptation gap between the models: {gap:.3f}" in " ".join(page.text)
    head, *lines = page.table("Gap and features of each model").rows
    assert [line[head.index("conditioned on")] for line in lines] == told
    *single, compare = sorted(commands(Path("both.html"), "probe"), key=lambda words: "--compare" in words)
    trained = [words[words.index("--out") + 1] for words in commands(Path("both.html"), "pretrain")]
    assert trained == ["1-rotation", "2-color"]
    assert [words[words.index("--run") + 1] for words in single] == trained
    assert len({words[words.index("--out") + 1] for words in (*single, compare)}) == 3
    assert [word for word in compare if word in trained] == trained
    for words, name in zip(commands(Path("both.html"), "pretrain"), told, strict=True):
        planned = cli(*words[1:], "--dry-run", "--json").json["config"]
        assert planned == json.loads(Path(name, "run.json").read_text())["config"]


def test_a_comparison_stands_beside_the_run_of_another_method(cli: Command, own_run: Path) -> None:
    for name in ("rotation", "color"):
        flags = ["--plugin", "digits-rotation-color", "--method", "sen", "--equivariant", name, "--out", name]
        assert cli("pretrain", *flags, *TINY).code == 0
    compared, alone = cli("report", "rotation", own_run, "color", "--out", "all.html", "--json").json["results"]
    alone_compared = cli("probe", "--run", "rotation", "--run", "color", "--compare", "--json").json
    assert compared["adaptation_gap"] == alone_compared["adaptation_gap"]
    assert len(compared["reports"]) == 2
    assert alone["protocol"]["runs"][0]["config"]["method"] == "contextssl"


def test_seeds_are_averaged_and_others_stand_apart(cli: Command, made: Made, own_run: Path) -> None:
    assert cli("pretrain", "--plugin", "digits-rotation-color", "--out", "second", "--seed", "1", *TINY).code == 0
    outcome = cli("report", own_run, "second", made.newer, "--out", "all.html", "--json")
    assert outcome.code == 0, outcome.err
    first, other = outcome.json["results"]
    assert first["results"][0]["seeds"] == [0, 1]
    assert other["task"] == "digits-rotation"
    assert (own_run / "probe-2-runs" / "results.json").is_file()


def test_a_folder_stands_for_the_runs_below_it(cli: Command, made: Made, own_run: Path, workplace: Path) -> None:
    (workplace / "many" / "deep").mkdir(parents=True)
    shutil.move(own_run, workplace / "many" / "deep" / "run")
    outcome = cli("report", "many", "--out", "many.html", "--json")
    assert outcome.code == 0, outcome.err
    (found,) = outcome.json["results"]
    assert Path(found["protocol"]["runs"][0]["folder"]).name == "run"
    (workplace / "empty").mkdir()
    assert "holds none" in cli("report", "empty").err


def test_results_are_read_as_they_are(cli: Command, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("probe", "--run", made.run, "--out", "found").code == 0
    monkeypatch.setattr(Evaluator, "__init__", lambda *given, **named: pytest.fail("probed again"))
    assert cli("report", "found").code == 0
    assert Path("found", "report.html").is_file()
    assert cli("report", Path("found", "results.json"), "--out", "same.html").code == 0
    assert Path("same.html").read_bytes() == Path("found", "report.html").read_bytes()


def test_a_dry_run_writes_nothing(cli: Command, own_run: Path) -> None:
    outcome = cli("report", own_run, "--dry-run")
    assert "would write" in outcome.out
    assert not (own_run / "report.html").exists()
    assert not (own_run / "probe").exists()


def test_bad_input(fails: Command, made: Made, workplace: Path) -> None:
    fails(3, "missing does not exist", "report", "missing")
    fails(2, "expected the name of a page", "report", made.run, "--out", "results.json")
    fails(2, "named twice", "report", made.run, made.run)
    (workplace / "folder.html").mkdir()
    fails(2, "is a folder", "report", made.run, "--out", "folder.html")
    (workplace / "file").write_text("")
    fails(3, ("cannot", "file"), "report", made.run, "--out", "file/report.html")
    Path("results.json").write_text('{"task": "digits-rot')
    fails(4, ("results.json", "not valid JSON"), "report", "results.json")
    Path("results.json").write_text('{"task": "digits-rotation"}')
    fails(4, ("results.json", "is not a result of contextssl, or is damaged"), "report", "results.json")
