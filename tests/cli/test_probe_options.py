"""What ``probe`` computes is a choice, and ``context inspect``."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import h5py
import pytest

from tests.cli.conftest import TINY, Command, Made


def test_metrics_probes_and_lengths_are_chosen(cli: Command, made: Made) -> None:
    flags = ["--metrics", "individual,context-labels", "--probes", "none", "--lengths", "2"]
    found = cli("probe", "--run", made.run, "--out", "probe", "--json", *flags).json
    assert {row["metric"] for row in found["results"]} == {"r2_individual", "context_label_top1"}
    assert found["context_lengths"] == [2]
    assert found["adaptation_gap"] is None
    assert {Path(path).name for path in found["paths"]} == {"results.json", "results.csv"}
    assert not any("ridge" in row["probe"] for row in found["results"])
    blind = [row["mean"] for row in found["results"] if row["environment"] == "input without context"]
    assert len(blind) == 1
    assert 0.5 < blind[0] < 1


def test_lengths_that_the_run_cannot_read_are_told(cli: Command, made: Made) -> None:
    outcome = cli("probe", "--run", made.run, "--lengths", "0,2,30,126", "--metrics", "knn")
    assert outcome.code == 0
    assert outcome.err.count("30, 126") == 1
    assert "126" not in cli("probe", "--run", made.run, "--lengths", "0,2", "--metrics", "knn").err


def test_runs_of_a_folder_are_picked_by_their_seeds(cli: Command, own_run: Path, fails: Command) -> None:
    folder = own_run.parent / "runs"
    for seed in (0, 1, 2):
        set_seed(Path(shutil.copytree(own_run, folder / f"seed-{seed}")), seed)
    few = ["--metrics", "knn", "--probes", "none", "--json"]
    found = cli("probe", "--run", folder, "--seeds", "2,0", *few)
    assert [run["config"]["seed"] for run in found.json["protocol"]["runs"]] == [2, 0]
    assert Path(found.json["paths"][0]) == folder / "seed-2" / "probe-2-runs" / "results.json"
    assert "earlier results" not in found.err
    assert "earlier results" in cli("probe", "--run", folder, "--seeds", "2,0", *few).err
    fails(2, ("one run of seed 7", "found none"), "probe", "--run", folder, "--seeds", "0,7")
    fails(2, ("--seeds", "seed-0"), "probe", "--run", folder / "seed-0", "--seeds", "0")
    fails(2, "expected different numbers", "probe", "--run", folder, "--seeds", "0,0")
    fails(2, "name the folder with --run", "probe", "--seeds", "0,1")
    set_seed(folder / "seed-2", 1)
    fails(2, ("one run of seed 1", "seed-1", "seed-2"), "probe", "--run", folder, "--seeds", "0,1")


def set_seed(run: Path, seed: int) -> None:
    """As if the run had been trained with another seed."""
    record = json.loads((run / "run.json").read_text())
    record["config"]["seed"] = seed
    (run / "run.json").write_text(json.dumps(record))


def test_runs_trained_to_different_steps_are_not_averaged(cli: Command, own_run: Path, fails: Command) -> None:
    shutil.copytree(own_run, own_run.with_name("shorter"))
    set_steps(own_run.with_name("shorter"), step=2)
    words = (f"{own_run} at step 3", "shorter at step 2")
    fails(2, words, "probe", "--run", own_run, "--run", own_run.with_name("shorter"))
    assert len(cli("report", own_run, own_run.with_name("shorter"), "--json").json["results"]) == 2


def test_a_run_trained_in_part_is_told(cli: Command, own_run: Path) -> None:
    set_steps(own_run, step=3, steps=9)
    outcome = cli("probe", "--run", own_run, "--metrics", "knn", "--probes", "none")
    assert outcome.err.count("warning: ") == 1
    assert outcome.err.count(f"contextssl pretrain --resume --out {own_run}") == 1
    (run,) = json.loads((own_run / "probe" / "results.json").read_text())["protocol"]["runs"]
    assert (run["step"], run["steps"]) == (3, 9)
    assert cli("report", own_run).code == 0
    assert "run at step 3 of 9" in (own_run / "report.html").read_text()


def set_steps(run: Path, **steps: int) -> None:
    """As if the training had come to another step, or were to come to another."""
    (path,) = run.glob("checkpoint/step-*/checkpoint.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | steps))


def test_a_figure_of_an_earlier_probe_does_not_stand_beside_other_results(cli: Command, made: Made) -> None:
    asked = ["probe", "--run", made.run, "--out", "found", "--metrics"]
    assert cli(*asked, "r2").code == 0
    assert Path("found", "r2-by-context-length.png").is_file()
    assert cli(*asked, "knn").code == 0
    assert sorted(path.name for path in Path("found").iterdir()) == ["results.csv", "results.json"]


def test_a_place_to_judge_on_that_is_none(fails: Command, made: Made) -> None:
    outcome = fails(2, ("'heldout' is not one of", "held-out"), "probe", "--run", made.run, "--judge-on", "heldout")
    assert "Value error" not in outcome.err


def test_probes_may_be_judged_on_what_the_run_held_out(cli: Command, made: Made) -> None:
    few = ["--metrics", "knn", "--lengths", "2"]
    held = cli("probe", "--run", made.run, *few, "--judge-on", "held-out")
    assert held.code == 0, held.err
    assert "judged on held-out" in held.err
    folder = made.run / "probe-held-out"
    protocol = json.loads((folder / "results.json").read_text())["protocol"]
    assert "judged on the training objects that it held out; the test split was not read" in protocol["splits"]
    page = cli("report", folder / "results.json", "--out", "page.html")
    assert page.code == 0, page.err
    html = Path("page.html").read_text()
    assert "--judge-on held-out" in html
    assert "the test split was not read" in html
    swept = cli("sweep", "--plugin", "digits-rotation-color", "--vary", "lr=0.01", "--steps", "2", "--set",
                "batch_size=8", "--set", "model.block_size=8", *few, "--judge-on", "held-out", "--json")  # fmt: skip
    assert swept.code == 0, swept.err
    assert swept.json["points"][0]["report"]["protocol"]["probes"]["judged_on"] == "held-out"
    assert swept.json["table"]["title"] == "By setting, at the longest context, judged on held-out training objects"
    assert {Path(path).name for path in swept.json["paths"]} >= {"sweep-held-out.json", "sweep-held-out.csv"}


@pytest.mark.parametrize("judged_on", ["test", "held-out"])
def test_what_is_retrieved_is_drawn(cli: Command, made: Made, judged_on: str) -> None:
    few = ["--metrics", "knn", "--lengths", "2", "--judge-on", judged_on, "--out", "drawn", "--json"]
    assert not any("retrieval" in path for path in cli("probe", "--run", made.run, *few).json["paths"])
    found = cli("probe", "--run", made.run, *few, "--retrieval")
    assert found.code == 0, found.err
    assert found.json["paths"][-1] == str(Path("drawn", "retrieval.png"))
    assert Path("drawn", "retrieval.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_retrieved_without_a_context(cli: Command, fails: Command) -> None:
    flags = ["--plugin", "digits-rotation-color", "--method", "sen", "--out", "sen"]
    assert cli("pretrain", *flags, *TINY).code == 0
    fails(2, "has no world model to read a context", "probe", "--run", "sen", "--retrieval")
    fails(2, "--retrieval", "probe", "--run", "sen", "--retrieval", "--compare")


def test_a_context_is_made_for_the_newest_run_that_reads_one(cli: Command, fails: Command) -> None:
    flags = ["--plugin", "digits-rotation-color", "--method", "sen", "--out", "sen"]
    assert cli("pretrain", *flags, *TINY).code == 0
    assert cli("context", "create", "--action", "rotation", "--out", "context.h5").code == 0
    fails(2, "has no world model to read a context", "context", "create", "--run", "sen", "--action", "rotation",
          "--out", "none.h5")  # fmt: skip


def test_a_report_does_not_read_the_test_split_unasked(cli: Command, made: Made, tmp_path: Path) -> None:
    run = shutil.copytree(made.run, tmp_path / "run")
    shutil.rmtree(run / "probe", ignore_errors=True)
    assert cli("probe", "--run", run, "--metrics", "r2", "--lengths", "2", "--judge-on", "held-out").code == 0
    outcome = cli("report", run, "--out", "page.html")
    assert outcome.code == 0, outcome.err
    assert "judged on held-out training objects" in outcome.out
    assert "contextssl, judged on held-out training objects</h2>" in Path("page.html").read_text()
    assert not (run / "probe").exists()


def test_tables_of_all_metrics(cli: Command, made: Made) -> None:
    outcome = cli("probe", "--run", made.run, "--out", "probe", "--metrics", "all", "--probes", "ridge,linear")
    assert outcome.code == 0, outcome.err
    for title in (
        "R2 of the relative action, from the embeddings of two views",
        "by ridge (closed form, standardised, penalty 0.01 N)",
        "R2 of the latents of one view, from its embedding",
        "Labels that depend on the context by linear",
        "Representation and embedding",
        "input without context",
    ):
        assert title in outcome.out


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (("'indvidual'", "did you mean 'individual'"), ["--metrics", "r2,indvidual"]),
        ("'forest'", ["--probes", "forest"]),
        ("--probes none,ridge", ["--probes", "none,ridge"]),
        ("whole numbers", ["--lengths", "2,two"]),
        ("even numbers", ["--lengths", "3"]),
        (("--lengths 500", "6 tokens"), ["--lengths", "500"]),
        ("mrr ranks the recorded views", ["--metrics", "mrr"]),
    ],
)
def test_choices_of_no_sense(cli: Command, made: Made, words: str | tuple[str, ...], flags: list[str]) -> None:
    outcome = cli("probe", "--run", made.run, "--out", "probe", *flags)
    assert outcome.code == 2, outcome.err
    for word in (words,) if isinstance(words, str) else words:
        assert word in outcome.message
    assert len(outcome.message.splitlines()) <= 2


@pytest.fixture
def long(cli: Command, made: Made) -> Path:
    """A context of 5 pairs, for a run that was trained to read 3."""
    flags = ["--action", "color", "--pairs", "5", "--out", "long.h5"]
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # it is longer than the model reads, and says so
        assert cli("context", "create", "--run", made.run, *flags).code == 0
    return Path("long.h5")


def test_inspect_says_what_a_context_brings(cli: Command, made: Made, long: Path) -> None:
    outcome = cli("context", "inspect", long)
    assert outcome.code == 0, outcome.err
    for words in ("Context color, by length", "longer than trained", "adapt reads the first 3"):
        assert words in outcome.out
    found = cli("context", "inspect", long, "--json").json
    assert [(r["pairs"], r["beyond"]) for r in found["profile"]] == [
        (0, False), (1, False), (2, False), (3, False), (4, True), (5, True),
    ]  # fmt: skip
    assert [one["pair"] for one in found["left_out"]] == [0, 1, 2]
    assert found["suffices"] in (0, 1, 2, 3)
    assert found["gain"] == pytest.approx(found["profile"][3]["score"] - found["profile"][0]["score"])
    gain = found["gain"]
    effect = f"raises the score by {gain:.3f}" if gain > 0.02 else f"lowers the score by {-gain:.3f}"
    assert ("changes nothing" if abs(gain) <= 0.02 else effect) in outcome.out
    assert ("pairs that suffice:" in outcome.out) == (found["gain"] > 0.02)
    assert found["judged"] == 144  # a tenth of the training split, which no step saw
    for reading in found["profile"]:
        r2 = {name: max(0.0, value) for name, value in reading["r2"].items()}
        if reading["draws"] == 1:
            assert reading["score"] == pytest.approx(r2["color"] - r2["rotation"])


def test_inspecting_needs_two_pairs(cli: Command, fails: Command, made: Made) -> None:
    cli("context", "create", "--run", made.run, "--action", "color", "--pairs", "1", "--out", "one.h5")
    fails(2, ("one pair", "at least 2"), "context", "inspect", "one.h5")


def test_a_context_of_another_run_is_refused_if_it_does_not_fit(
    cli: Command, fails: Command, made: Made, long: Path
) -> None:
    fails(4, ("long.h5", "does not fit the run", "color"), "context", "inspect", long, "--run", made.newer)
    other = [*TINY, "--seed", "4"]
    assert cli("pretrain", "--plugin", "digits-rotation-color", "--out", "other", *other).code == 0
    outcome = cli("context", "inspect", long, "--run", "other", "--json")
    assert outcome.code == 0
    assert "was made for another run" in outcome.err


@pytest.mark.parametrize(("code", "name"), [(3, "none.h5"), (4, "store")])
def test_inspecting_what_is_no_context(fails: Command, made: Made, code: int, name: str) -> None:
    path = made.store if name == "store" else Path(name)
    fails(code, str(path), "context", "inspect", path)


def test_inspecting_a_damaged_context(fails: Command, long: Path) -> None:
    with h5py.File(long, "r+") as file:
        file["x"][0] = float("nan")
    fails(4, "NaN", "context", "inspect", long)
