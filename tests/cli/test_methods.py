"""Every method through the commands, on images and on a table: train, resume, probe, compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contextssl_cli.config.methods import CONTEXTUAL, EQUIVARIANT, OPTIONS
from contextssl_cli.methods.base import StepLoss
from contextssl_cli.plugin.registry import registry
from contextssl_cli.training.checkpoint import OPTIMIZER_FILE
from contextssl_cli.training.run import Run
from contextssl_cli.training.trainer import Trainer
from tests.cli.conftest import QUICK_PROBES, TINY, Command, Made
from tests.places import built_in
from tests.tiny import CLOCK, logged

OTHERS = [name for name in OPTIONS if name != "contextssl"]
FEATURES_ONLY = [name for name in OTHERS if name not in CONTEXTUAL]
QUICK = ("sie", "vicreg+")
"""One method without a context and one with; the others are walked in the slow suite."""
DIGITS = ["--plugin", "digits-rotation-color", *TINY]
STEPS = ["--steps", "2", "--set", "checkpoint_every=1"]


def in_turn(names: list[str]) -> list[Any]:
    """The methods as parameters, all but the quick ones marked as slow."""
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names]


@pytest.fixture(scope="module")
def table(cli_home: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The arguments of ``pretrain`` for a small table, which the real commands prepared."""
    from contextssl_cli.cli.app import run

    built_in("table", "attribute")
    folder = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(0)
    rows = [
        f"{rng.integers(18, 80)},{rng.choice(['female', 'male'])},{rng.choice(['low', 'high'])}" for _ in range(120)
    ]
    (folder / "people.csv").write_text("\n".join(["age,sex,income", *rows]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTEXTSSL_HOME", str(cli_home))
        flags = ["--source", str(folder / "people.csv"), "--label", "income", "--sensitive", "sex"]
        assert run(["prepare", "table", *flags, "--out", str(folder / "people.h5"), "-q"]) == 0
    return ["--plugin", "table-attribute", "--store", str(folder / "people.h5")]


@pytest.fixture(params=["digits-rotation-color", "table-attribute"])
def task(request: pytest.FixtureRequest, made: Made, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments of ``pretrain`` for images, and for a table."""
    if request.param == "table-attribute":
        kind = type(registry().dataset("table"))
        monkeypatch.setattr(kind, "probing", {**kind.probing, **QUICK_PROBES})
        return list(request.getfixturevalue("table"))
    return ["--plugin", request.param]


def metrics(run: Run) -> list[dict[str, Any]]:
    """The lines of the metrics, less what depends on the clock."""
    found = logged(run)
    return [{key: value for key, value in line.items() if key not in CLOCK} for line in found]


@pytest.mark.parametrize("method", in_turn(OTHERS))
def test_every_method_trains_resumes_identically_and_probes(
    method: str, task: list[str], cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["pretrain", *task, *TINY, *STEPS, "--method", method]
    assert cli(*arguments, "--out", "whole").code == 0
    true_step = Trainer._train_step

    def dies(trainer: Trainer) -> StepLoss:
        if trainer.step == 1:
            raise RuntimeError("as if it were killed")
        return true_step(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_step", dies)
        assert cli(*arguments, "--out", "cut").code == 1
    whole, cut = Run(Path("whole")), Run(Path("cut"))
    assert [line["step"] for line in metrics(cut)] == [1]
    resumed = cli("pretrain", "--resume", "--out", "cut")
    assert resumed.code == 0, resumed.err
    assert cut.fingerprint() == whole.fingerprint()
    assert metrics(cut) == metrics(whole)
    states = [(run.newest(Path) / OPTIMIZER_FILE).read_bytes() for run in (cut, whole)]
    assert states[0] == states[1]

    probed = cli("probe", "--run", "whole", "--json")
    assert probed.code == 0, probed.err
    rows = probed.json["results"]
    environments = {row["environment"] for row in rows if not row["environment"].startswith("raw columns")}
    if method in CONTEXTUAL:
        assert "encoder" in environments
        assert set(probed.json["environments"]) < environments
        assert isinstance(probed.json["adaptation_gap"], float)
    else:
        assert environments == {"encoder"}
        assert probed.json["adaptation_gap"] is None
        assert probed.json["context_lengths"] == []
    assert {row["metric"] for row in rows} >= {"r2", "knn"}
    assert probed.json["protocol"]["runs"][0]["config"]["method"] == method


@pytest.mark.parametrize("method", in_turn(FEATURES_ONLY))
def test_a_run_without_a_context_shows_no_gap_and_takes_no_context(
    method: str, cli: Command, fails: Command, made: Made
) -> None:
    trained = cli("pretrain", *DIGITS, "--method", method, "--out", "run")
    assert trained.code == 0
    assert "gap" not in trained.out + trained.err
    assert not any("held_out_gap_ridge" in line for line in metrics(Run(Path("run"))))
    assert cli("info", "run", "--json").json["method"] == method
    probed = cli("probe", "--run", "run")
    assert f"{method}" in probed.out
    assert "no context, so no adaptation gap" in probed.out
    words = (f"was trained with {method}", "no world model", "contextssl probe", "--method contextssl")
    fails(2, words, "context", "create", "--run", "run", "--action", "rotation")
    fails(2, words, "adapt", "--run", "run", "--context", made.context)


def test_adapt_without_a_run_passes_over_runs_without_a_context(cli: Command, made: Made) -> None:
    assert cli("pretrain", *DIGITS, "--method", "simclr", "--out", "newest").code == 0
    outcome = cli("adapt", "--context", made.context, "--dry-run")
    assert outcome.code == 0
    assert f"run: {made.run}" in outcome.err


def test_plus_has_contexts_like_contextssl(cli: Command, made: Made) -> None:
    assert cli("pretrain", *DIGITS, "--method", "simclr+", "--out", "run").code == 0
    assert cli("context", "create", "--run", "run", "--action", "color").code == 0
    outcome = cli("adapt", "--run", "run", "--context", "ctx.h5", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["environment"] == "color"


def test_what_a_baseline_was_told_is_kept_and_all_is_the_default(cli: Command, made: Made) -> None:
    base = ["pretrain", *DIGITS, "--method", "sie"]
    for flags, told in (([], ["rotation", "color"]), (["--equivariant", "color"], ["color"])):
        assert cli(*base, *flags, "--dry-run", "--json").json["config"]["equivariant"] == told
        assert cli(*base, *flags, "--out", "run", "--force").code == 0
        assert json.loads(Path("run", "run.json").read_text())["config"]["equivariant"] == told
    assert cli("info", "run", "--json").json["equivariant to"] == "color"
    options = json.loads(Path("run", "run.json").read_text())["config"]["method_options"]
    assert options == OPTIONS["sie"]().model_dump()


def test_a_changed_method_is_refused_on_resume(cli: Command, fails: Command, made: Made) -> None:
    arguments = [
        "--plugin",
        "digits-rotation-color",
        *TINY,
        "--method",
        "sie",
        "--equivariant",
        "color",
        "--out",
        "run",
    ]
    assert cli("pretrain", *arguments).code == 0
    resume = ["pretrain", "--resume", "--out", "run"]
    fails(2, ("method", "sie", "sen"), *resume, "--method", "sen")
    fails(2, ("equivariant", "color", "rotation"), *resume, "--equivariant", "rotation")
    fails(2, "method_options.share was 0.5, is now 0.25", *resume, "--set", "method_options.share=0.25")
    assert cli(*resume, "--method", "sie", "--equivariant", "color").code == 0


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ("method", ["--method", "byol"]),
        (("no action type 'colour'", "did you mean 'color'"), ["--method", "sie", "--equivariant", "colour"]),
        (("equivariant", "simclr"), ["--method", "simclr", "--equivariant", "color"]),
        (("equivariant", "contextssl"), ["--equivariant", "color"]),
        ("equivariant", ["--method", "sen", "--equivariant", "color", "--equivariant", "color"]),
        (("no option 'tempreture'", "temperature"), ["--method", "simclr", "--set", "method_options.tempreture=1"]),
        (("contextssl", "temperature"), ["--set", "method_options.temperature=1"]),
        ("greater than 0", ["--method", "simclr", "--set", "method_options.temperature=0"]),
        (("temperature", "method_options.temperature"), ["--method", "simclr", "--set", "temperature=1"]),
        ("context_mask has no effect", ["--method", "vicreg", "--set", "context_mask=0.5"]),
        ("aux_weight has no effect", ["--method", "simclr+", "--set", "aux_weight=1"]),
    ],
)
def test_methods_and_settings_of_no_sense(
    words: str | tuple[str, ...], flags: list[str], fails: Command, made: Made
) -> None:
    fails(2, words, "pretrain", *DIGITS, "--out", "x", *flags)


def trained(cli: Command, method: str, told: str, seed: int, out: str, task: str = "digits-rotation-color") -> None:
    flags = ["--equivariant", told] if told else []
    flags += ["--seed", str(seed), "--out", out]
    assert cli("pretrain", "--plugin", task, *TINY, "--method", method, *flags).code == 0


@pytest.mark.slow
def test_the_gap_between_runs_told_different_action_types(cli: Command, fails: Command, made: Made) -> None:
    assert set(EQUIVARIANT) == {"equimod", "sie", "sen"}
    for seed in (0, 1):
        for told in ("rotation", "color"):
            trained(cli, "sie", told, seed, f"{told}{seed}")
    trained(cli, "sen", "color", 0, "sen")
    r2: dict[str, dict[str, float]] = {}
    for name in ("rotation0", "color0", "rotation1", "color1"):
        rows = cli("probe", "--run", name, "--probes", "none", "--json").json["results"]
        r2[name] = {row["target"]: row["mean"] for row in rows if row["metric"] == "r2"}
    by_hand = [
        r2[f"rotation{seed}"]["rotation"] - r2[f"color{seed}"]["rotation"]
        + r2[f"color{seed}"]["color"] - r2[f"rotation{seed}"]["color"]
        for seed in (0, 1)
    ]  # fmt: skip
    one = cli("probe", "--run", "rotation0", "--run", "color0", "--compare", "--json")
    assert one.code == 0, one.err
    assert one.json["adaptation_gap_paper"] == pytest.approx(by_hand[0])
    runs = [flag for name in r2 for flag in ("--run", name)]
    found = cli("probe", *runs, "--compare", "--json").json
    assert found["adaptation_gaps_paper"] == pytest.approx(by_hand)
    assert found["adaptation_gap_paper"] == pytest.approx(np.mean(by_hand))
    clipped = [found["adaptation_gap"], found["adaptation_gap_std"]]
    assert clipped == pytest.approx([np.mean(found["adaptation_gaps"]), np.std(found["adaptation_gaps"], ddof=1)])
    assert json.loads(Path(found["paths"][0]).read_text())["adaptation_gaps"] == found["adaptation_gaps"]
    text = cli("probe", *runs, "--compare").out
    assert "adaptation gap between the models" in text
    fails(2, "add r2", "probe", *runs, "--compare", "--metrics", "top1")
    fails(2, "cannot be averaged", "probe", "--run", "rotation0", "--run", "color0")
    fails(2, "--compare", "probe", "--run", "rotation0", "--run", "rotation1", "--compare")
    fails(2, "runs of one method", "probe", "--run", "rotation0", "--run", "sen", "--compare")


def test_with_one_action_type_a_method_that_is_told_nothing_stands_against_it(cli: Command, made: Made) -> None:
    trained(cli, "equimod", "", 0, "told", "digits-rotation")
    trained(cli, "simclr", "", 0, "none", "digits-rotation")
    r2 = {}
    for name in ("told", "none"):
        rows = cli("probe", "--run", name, "--probes", "none", "--json").json["results"]
        (r2[name],) = [row["mean"] for row in rows if row["metric"] == "r2"]
    found = cli("probe", "--run", "told", "--run", "none", "--compare", "--json").json
    assert found["adaptation_gap_paper"] == pytest.approx(r2["told"] - r2["none"])
