"""``contextssl sweep`` as a user meets it: a table over a grid, stopped and gone on with, and what it refuses."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.evaluation.stored import read_results
from contextssl_cli.experiments import execute
from contextssl_cli.experiments.sweep import parse_vary
from contextssl_cli.report.html.commands import sweep_command
from contextssl_cli.store.dataset import Split, Store, create_store
from contextssl_cli.store.samples import Samples
from contextssl_cli.training.progress import Progress
from contextssl_cli.training.run import Run
from tests.cli.conftest import TINY, Command
from tests.pages import Page

SIZES = ["--steps", "3", "--set", "batch_size=8", *TINY[4:]]
MORE = [*SIZES, "--lengths", "0,2", "--metrics", "r2,top1", "--probes", "none"]
SWEEP = ["sweep", "--plugin", "digits-rotation-color", *MORE]
MASKS = ["--vary", "context-mask=0,0.9"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sweep of this module stands; the first test that asks for it makes it."""
    return tmp_path_factory.mktemp("swept") / "sweep"


@pytest.fixture
def done(swept: Path, cli: Command) -> Path:
    if not swept.exists():
        outcome = cli(*SWEEP, *MASKS, "--seeds", "0,1", "--out", swept)
        assert outcome.code == 0, outcome.err
    return swept


def stop_at(step: int) -> Callable[[str], object]:
    """A display that behaves as Ctrl-C when ``step`` of a run is done."""

    @contextmanager
    def progress(label: str) -> Iterator[Callable[[Progress], None]]:
        def stop(progress: Progress) -> None:
            if progress.step == step:
                raise KeyboardInterrupt

        yield stop

    return progress


def sweep_rows(found: Any) -> dict[str, dict[tuple[str, str, str], Any]]:
    """The rows of the table by label; their cells by metric, target and environment."""
    keys = [(column["metric"], column["target"], column["environment"]) for column in found["table"]["columns"]]
    return {
        row["labels"][0]: {key: cell for key, cell in zip(keys, row["cells"], strict=True) if cell}
        for row in found["table"]["rows"]
    }


def test_a_sweep_gives_a_row_for_each_value_with_mean_and_spread(done: Path) -> None:
    found = json.loads((done / "sweep.json").read_text())
    assert found["vary"] == {"context_mask": [0, 0.9]}
    assert found["seeds"] == [0, 1]
    rows = sweep_rows(found)
    assert list(rows) == ["context_mask 0", "context_mask 0.9"]
    for point, mask in zip(found["points"], (0, 0.9), strict=True):
        configs = [run["config"] for run in point["report"]["protocol"]["runs"]]
        assert [(config["context_mask"], config["seed"]) for config in configs] == [(mask, 0), (mask, 1)]
        assert all(seconds > 0 for seconds in point["seconds"])
        line = rows[point["label"]]
        assert line["adaptation_gap", "", ""]["mean"] == pytest.approx(sum(point["adaptation_gaps"]) / 2)
        assert line["adaptation_gap", "", ""]["std"] == pytest.approx(point["adaptation_gap_std"])
        for row in point["report"]["results"]:
            if row["environment"] == "color" and row["context_length"] == 2 and row["target"] == "rotation":
                assert line["r2", "rotation", "color context"]["mean"] == row["mean"]
    with (done / "sweep.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == sum(len(point["report"]["results"]) for point in found["points"])
    assert {row["context_mask"] for row in rows} == {"0", "0.9"}
    for kind in ("png", "svg"):
        assert (done / f"sweep.{kind}").stat().st_size > 1000


def test_a_finished_sweep_trains_and_encodes_nothing_again(done: Path, cli: Command) -> None:
    before = {path: path.stat().st_mtime_ns for path in done.rglob("metrics.jsonl")}
    outcome = cli(*SWEEP, *MASKS, "--seeds", "0,1", "--out", done, "--json")
    assert outcome.code == 0
    assert outcome.err.count("done before") == 4
    assert "encoding" not in outcome.err
    assert "reading" not in outcome.err
    assert {path: path.stat().st_mtime_ns for path in done.rglob("metrics.jsonl")} == before
    assert outcome.json["points"] == json.loads((done / "sweep.json").read_text())["points"]


def test_a_sweep_may_grow_by_values_and_seeds(done: Path, cli: Command) -> None:
    outcome = cli(*SWEEP, "--vary", "context_mask=0.9,0.5", "--seeds", "1,2", "--out", done, "--dry-run", "--json")
    assert [(row["point"], row["seed"], row["state"]) for row in outcome.json["runs"]] == [
        ("context_mask 0.9", 1, "done"),
        ("context_mask 0.9", 2, "missing"),
        ("context_mask 0.5", 1, "missing"),
        ("context_mask 0.5", 2, "missing"),
    ]


def test_a_table_of_a_part_says_what_it_leaves_out(done: Path, cli: Command, tmp_path: Path) -> None:
    copy = tmp_path / "part"
    shutil.copytree(done, copy)
    outcome = cli(*SWEEP, "--vary", "context_mask=0.9", "--seeds", "0,1", "--out", copy)
    assert outcome.code == 0, outcome.err
    assert f"2 runs in {copy}" in outcome.err
    assert len(json.loads((copy / "sweep.json").read_text())["points"]) == 1


def test_a_page_of_a_sweep_has_a_part_for_each_point(done: Path, cli: Command, tmp_path: Path) -> None:
    outcome = cli("report", done, "--out", tmp_path / "sweep.html", "--json")
    assert outcome.code == 0, outcome.err
    points = json.loads((done / "sweep.json").read_text())["points"]
    assert [one["results"] for one in outcome.json["results"]] == [p["report"]["results"] for p in points]


def test_a_page_of_a_sweep_has_its_table_its_plot_and_its_command(done: Path, cli: Command, tmp_path: Path) -> None:
    assert cli("report", done, "--out", tmp_path / "sweep.html").code == 0
    text = (tmp_path / "sweep.html").read_text(encoding="utf-8")
    page = Page(text)
    rows = sweep_rows(json.loads((done / "sweep.json").read_text()))
    table = page.table("By setting, at the longest context")
    for label, line in rows.items():
        gap = line["adaptation_gap", "", ""]
        assert table.cell("gap", label) == f"{gap['mean']:.3f} ± {gap['std']:.3f}"
    assert "Figures by context_mask" in text
    (command,) = [line for line in "".join(page.text).splitlines() if line.startswith("contextssl sweep ")]
    again = cli(*shlex.split(command)[1:], "--out", done, "--dry-run", "--json")
    assert again.code == 0, again.err
    assert {run["state"] for run in again.json["runs"]} == {"done"}
    assert len(again.json["runs"]) == 4


@pytest.mark.parametrize(
    ("key", "value"),
    [("points", []), ("vary", {}), ("seeds", ["x"]), ("store", 7), ("table", {}), ("points", [{"label": "a"}])],
)
def test_a_damaged_sweep_has_no_page(done: Path, fails: Command, tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "damaged.json"
    path.write_text(json.dumps(json.loads((done / "sweep.json").read_text()) | {key: value}))
    fails(4, "damaged.json", "report", path, "--out", tmp_path / "page.html")


@pytest.mark.parametrize(
    "grid",
    [
        {"actions.attribute.sensitive": ["a, b", "c"]},
        {"actions.attribute.sensitive": ["", "x"]},
        {"model": [{"width": 32}, {"width": 64}]},
        {"warmup": [0.1, 0.2], "instance_objective": ["ntxent", "vicreg"]},
        {"equivariant": [["rotation"], ["rotation", "color"]]},
        {"epochs": [None, 3]},
    ],
)
def test_the_command_of_a_sweep_varies_what_was_varied(grid: dict[str, list[object]], done: Path) -> None:
    (report, *_) = read_results(done / "sweep.json")
    assert isinstance(report, ProbeReport)
    words = shlex.split(sweep_command(report, grid, [0, 2], Path("other.h5")))
    flags = [words[place + 1] for place, word in enumerate(words) if word == "--vary"]
    assert parse_vary(flags) == grid
    settings = [words[place + 1].partition("=")[0] for place, word in enumerate(words) if word == "--set"]
    assert not [key for key in settings if key.partition(".")[0] in grid]
    assert words[words.index("--store") + 1] == "other.h5"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--plugin", "digits-rotation-color", *MASKS, "--set", "lr=0.5"], ("lr = 0.003, not 0.5", "another --out")),
        (["--plugin", "digits-rotation-color", "--vary", "lr=0.1,0.2"], ("context_mask = 0.0, not 0.9",)),
        (["--plugin", "digits-rotation", *MASKS], ("trains digits-rotation-color, not digits-rotation",)),
    ],
)
def test_the_folder_of_another_sweep_is_refused(
    done: Path, fails: Command, arguments: list[str], words: tuple[str, ...]
) -> None:
    fails(2, words, "sweep", *arguments, *MORE, "--out", done)


def test_a_store_of_other_data_is_refused(done: Path, fails: Command, tmp_path: Path) -> None:
    own = Store(Path(json.loads((done / "sweep.json").read_text())["store"]))
    other = tmp_path / "other.h5"
    with create_store(other, own.schema, {}) as writer:
        for split in (own.train, own.test):
            writer.append(_samples(split))
    fails(2, "other data", *SWEEP, *MASKS, "--store", other, "--out", done)


def _samples(split: Split) -> Samples:
    """All of a split but its last sample."""
    rows = slice(0, len(split) - 1)
    return Samples(
        split.name, split.inputs(rows), {"digit": split.labels("digit")[rows]}, objects=split.objects()[rows]
    )


def test_a_stopped_sweep_goes_on_where_it_was(cli: Command, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*SWEEP, "--vary", "lr=0.01,0.001", "--set", "checkpoint_every=1"]
    assert cli(*command, "--out", "whole").code == 0
    with monkeypatch.context() as patch:
        patch.setattr(execute, "training_progress", stop_at(2))
        assert cli(*command, "--out", "stopped").code == 130
    assert not (workplace / "stopped" / "sweep.json").exists()
    states = [row["state"] for row in cli(*command, "--out", "stopped", "--dry-run", "--json").json["runs"]]
    assert states == ["half done", "missing"]
    outcome = cli(*command, "--out", "stopped")
    assert "at step 2" in outcome.err
    for point in ("lr=0.01", "lr=0.001"):
        prints = [Run(workplace / out / "runs" / point / "seed-0").fingerprint() for out in ("whole", "stopped")]
        assert prints[0] == prints[1]
    assert (workplace / "whole" / "sweep.csv").read_text() == (workplace / "stopped" / "sweep.csv").read_text()


def test_methods_are_swept_like_any_setting(cli: Command, workplace: Path) -> None:
    outcome = cli(*SWEEP, "--vary", "method=contextssl,simclr", "--out", "methods", "--json")
    assert outcome.code == 0, outcome.err
    rows = sweep_rows(outcome.json)
    assert ("adaptation_gap", "", "") in rows["method contextssl"]
    assert ("adaptation_gap", "", "") not in rows["method simclr"]
    assert ("r2", "rotation", "encoder") in rows["method simclr"]


def test_that_nothing_is_drawn_is_said(done: Path, cli: Command) -> None:
    outcome = cli(*SWEEP, *MASKS, "--metrics", "knn", "--out", done)
    assert outcome.code == 0, outcome.err
    assert "no plot" in outcome.err
    assert not any(line.endswith((".png", ".svg")) for line in outcome.out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--vary", "contxt-mask=0,1"], ("contxt_mask", "did you mean 'context_mask'?")),
        (["--vary", "context-mask=0,2"], "context_mask"),
        (["--vary", "context-mask=0,0.0"], "are the same"),
        (["--vary", "context-mask=half"], "context_mask"),
        (["--vary", "actions.rotation.pairing=alone"], "has no option 'pairing'"),
        (["--vary", "seed=0,1"], "--seeds"),
        (["--vary", "lr"], "expected KEY=V1,V2"),
        ([*MASKS, "--seeds", "0,0"], "expected different numbers"),
        ([*MASKS, "--seeds", "a"], "expected whole numbers"),
        ([*MASKS, "--lengths", "4000"], "reads 6 tokens at most"),
        ([*MASKS, "--lengths", "3"], "expected even numbers"),
        ([*MASKS, "--metrics", "mrr"], "mrr"),
        (["--vary", "method=vicreg", "--metrics", "mrr"], "vicreg"),
        (["--vary", "method=sie", "--metrics", "context-labels"], "sie"),
        ([*MASKS, "--set", "holdout=0.0001"], "hold out"),
        ([*MASKS, "--plugin", "digit-rotation"], "did you mean 'digits'?"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_is_trained(
    fails: Command, arguments: list[str], words: str | tuple[str, ...]
) -> None:
    fails(2, words, *SWEEP, *arguments)


def test_missing_data_and_foreign_folders_are_told(fails: Command, workplace: Path) -> None:
    for flags in ([], ["--dry-run"]):
        fails(3, "is not prepared", *SWEEP, *MASKS, "--store", "none.h5", *flags)
    fails(3, "adult", "sweep", "--plugin", "adult-gender", *MASKS)
    (workplace / "letters").mkdir()
    (workplace / "letters" / "a.txt").touch()
    fails(2, "holds something else", *SWEEP, *MASKS, "--out", "letters")
