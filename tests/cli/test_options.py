"""What means the same in every command: streams, verbosity, dry runs, variables, interruption, quick starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.config.resolve import flat_settings
from contextssl_cli.report import progress
from tests.cli.conftest import TINY, Command, Made, listing

PRETRAIN = ["pretrain", "--plugin", "digits-rotation-color", *TINY]


def python(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ | variables
    )


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], ["torch", "h5py", "numpy", "contextssl_digits"]),
        (["pretrain", "--help"], ["torch", "h5py", "numpy"]),
        ([], ["torch", "h5py", "numpy", "contextssl_digits"]),
        (["plugins"], ["torch", "h5py", "sklearn", "matplotlib", "polars"]),
        (["prepare", "digits", "--dry-run"], ["torch", "matplotlib"]),
        (["--version"], ["torch", "h5py", "numpy"]),
    ],
)
def test_quick_commands_import_nothing_heavy(arguments: list[str], heavy: list[str]) -> None:
    done = python(
        "import sys\nfrom contextssl_cli.cli.app import run\n"
        f"code = run({arguments!r})\nprint(code, *[name for name in {heavy!r} if name in sys.modules])"
    )
    assert done.stdout.splitlines()[-1] == "0", done.stderr


@pytest.mark.parametrize(
    ("command", "result"),
    [
        (["prepare", "digits", "--out", "new.h5"], "would prepare digits"),
        ([*PRETRAIN, "--out", "new"], "would train digits-rotation-color"),
        (["pretrain", "--resume", "--out", "RUN"], "would continue"),
        (["probe", "--run", "RUN"], "would probe"),
        (["context", "create", "--run", "RUN", "--action", "color"], "would write ctx.h5: 3 pairs"),
        (["adapt", "--context", "CONTEXT"], "would embed the test split"),
        (["demo"], "would train digits-rotation-color"),
    ],
)
def test_a_dry_run_writes_nothing(
    cli: Command, made: Made, cli_home: Path, command: list[str], result: str, workplace: Path
) -> None:
    names = {"RUN": str(made.run), "CONTEXT": str(made.context)}
    before = [listing(folder) for folder in (workplace, cli_home, made.run)]
    outcome = cli(*(names.get(part, part) for part in command), "--dry-run")
    assert outcome.code == 0, outcome.err
    assert result in outcome.out
    assert [listing(folder) for folder in (workplace, cli_home, made.run)] == before


@pytest.mark.parametrize(
    "command", [["probe", "--run", "RUN"], ["report", "RUN"], ["adapt", "--context", "CONTEXT"], ["demo"]]
)
def test_a_dry_run_as_json_is_one_object(cli: Command, made: Made, command: list[str]) -> None:
    names = {"RUN": str(made.run), "CONTEXT": str(made.context)}
    outcome = cli(*(names.get(part, part) for part in command), "--dry-run", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["dry_run"].startswith("would ")


def test_quiet_says_nothing_but_the_result(cli: Command, made: Made) -> None:
    outcome = cli(*PRETRAIN, "--out", "run", "-q")
    assert outcome.err == ""
    assert outcome.out.startswith("run: 3 steps, adaptation gap")
    assert "(ridge probe, ceiling 2" in outcome.out
    failed = cli("prepare", "digts", "-q")
    assert failed.err.startswith("error[E200]: ")


def test_progress_tells_step_loss_speed_time_and_gap(cli: Command) -> None:
    outcome = cli(*PRETRAIN, "--out", "run")
    last = next(line for line in outcome.err.splitlines() if "step 3/3" in line)
    assert all(part in last for part in ("pairs/s", " left", "gap "))
    assert "loss" not in last


@pytest.mark.parametrize(("flags", "shown"), [([], False), (["-v"], False), (["-vv"], True), (["-v", "-v"], True)])
def test_a_traceback_is_shown_with_vv_alone(cli: Command, flags: list[str], shown: bool) -> None:
    outcome = cli("prepare", "digts", *flags)
    assert outcome.code == 2
    assert ("Traceback" in outcome.err) is shown


def test_a_mistake_of_ours_is_one_line(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contextssl_cli.data.prepare.prepare", lambda *_, **__: 1 / 0)
    outcome = cli("prepare", "digits", "--out", "new.h5")
    assert outcome.code == 1
    assert outcome.error_code == "E101"
    assert len(outcome.err.splitlines()) == 1


def test_an_interruption_is_130(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("contextssl_cli.data.prepare.prepare", stopped)
    outcome = cli("prepare", "digits", "--out", "new.h5")
    assert outcome.code == 130
    assert outcome.error_code == "E130"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_saved_and_goes_on(
    cli: Command, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    @contextmanager
    def interrupting(label: str) -> Iterator[Callable[[Any], None]]:
        yield lambda state: os.kill(os.getpid(), number) if state.step == 2 else None

    with monkeypatch.context() as patch:
        patch.setattr(progress, "training_progress", interrupting)
        outcome = cli(*PRETRAIN, "--out", "run")
    assert outcome.code == 130
    assert "saved in run" in outcome.message
    assert "contextssl pretrain --resume --out run" in outcome.message
    steps = cli("info", "run", "--json").json["step"]
    assert steps in (2, 3)
    assert cli("pretrain", "--resume", "--out", "run").code == 0
    assert cli("info", "run", "--json").json["step"] == 3


def test_variables_stand_over_the_file_and_under_the_flags(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("run.toml").write_text("steps = 5\nseed = 5\nlr = 0.5\n[model]\nwidth = 8\nheads = 1\n")
    monkeypatch.setenv("CONTEXTSSL_SEED", "7")
    monkeypatch.setenv("CONTEXTSSL_STEPS", "4")
    monkeypatch.setenv("CONTEXTSSL_MODEL_LAYERS", "2")
    outcome = cli("pretrain", "--plugin", "digits-color", "--config", "run.toml", "--steps", "2", "--dry-run", "--json")
    config = outcome.json["config"]
    assert [config[key] for key in ("steps", "seed", "lr")] == [2, 7, 0.5]
    assert [config["model"][key] for key in ("width", "layers", "encoder")] == [8, 2, "convnet"]


def test_a_seed_and_steps_from_variables_reach_the_run(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTEXTSSL_SEED", "7")
    monkeypatch.setenv("CONTEXTSSL_STEPS", "2")
    monkeypatch.setenv("CONTEXTSSL_DEVICE", "cpu")
    assert cli("pretrain", "--plugin", "digits-color", *TINY[2:], "--out", "run").code == 0
    facts = cli("info", "run", "--json").json
    assert (facts["seed"], facts["step"]) == (7, 2)
    assert json.loads(Path("run/run.json").read_text())["versions"].keys() >= {"torch", "contextssl", "python"}


def test_the_paper_preset_is_the_papers(cli: Command) -> None:
    config = cli("pretrain", "--plugin", "digits-rotation-color", "--preset", "paper", "--dry-run", "--json").json[
        "config"
    ]
    found = [config[key] for key in ("temperature", "aux_weight", "epochs", "batch_size", "environments_per_step")]
    assert found == [0.1, 5.0, 1000, 512, "one"]
    assert [config["model"][key] for key in ("encoder", "width")] == ["resnet18", 2048]


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color_is_honoured(variables: dict[str, str], coloured: bool) -> None:
    done = python(
        "from contextssl_cli.cli.app import main; main(['prepare', 'digts'])",
        FORCE_COLOR="1", TERM="xterm-256color", **variables,
    )  # fmt: skip
    assert done.returncode == 2
    assert ("\x1b[31m" in done.stderr) is coloured


def test_results_go_to_stdout_and_the_way_to_stderr(cli: Command, made: Made) -> None:
    outcome = cli("adapt", "--context", made.context, "--json")
    assert json.loads(outcome.out)["out"] == "embeddings.h5"
    assert str(made.run) in outcome.err


@pytest.mark.parametrize(("group", "command"), [([], "pretrain"), (["context"], "inspect")])
def test_no_command_shows_the_help(cli: Command, group: list[str], command: str) -> None:
    outcome = cli(*group)
    assert outcome.code == 0
    assert outcome.out == cli(*group, "--help").out
    assert f"\n  {command} " in outcome.out


def test_a_dry_run_of_pretrain_lists_every_setting_with_its_origin(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTEXTSSL_LR", "0.5")
    monkeypatch.setenv("CONTEXTSSL_MODEL_HEADS", "8")
    Path("settings.toml").write_text("warmup = 0.25\nlr = 0.1\n[model]\nlayers = 1")
    asked = ["pretrain", "--plugin", "adult-gender", "--config", "settings.toml", "--steps", "9", "--dry-run"]
    plan = cli(*asked, "--json").json
    expected = {
        "steps": "flag", "epochs": "flag", "lr": "CONTEXTSSL_LR", "warmup": "--config",
        "model.heads": "CONTEXTSSL_MODEL_HEADS",
        "model.layers": "--config", "model.encoder": "data set adult", "actions.gender.pairing": "data set adult",
        "beta2": "default", "equivariant": "not used by contextssl",
    }  # fmt: skip
    assert {key: plan["origins"][key] for key in expected} == expected
    assert set(plan["origins"]) == set(flat_settings(plan["config"]))
    lines = cli(*asked).out.splitlines()[1:]
    assert max(map(len, lines)) <= 80
    shown = {line.partition("=")[0]: line.split("  ")[-1].strip() for line in lines}
    assert shown == plan["origins"]


def test_what_a_dry_run_lists_can_be_set(cli: Command) -> None:
    task = ["pretrain", "--plugin", "adult-gender", "--dry-run"]
    lines = [line for line in cli(*task).out.splitlines()[1:] if "not used" not in line and "epochs=" not in line]
    flags = [part for line in lines for part in ("--set", line.split("  ")[0])]
    plain, again = (cli(*task, *more, "--json").json for more in ([], flags))
    assert again["config"] == plain["config"]
    assert again["origins"]["beta2"] == "flag"


def test_the_list_of_plugins_fits_80_columns(cli: Command) -> None:
    lines = cli("plugins").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert {line.split()[0] for line in lines if line.startswith("  ")} >= {"digits", "color", "figure3"}


@pytest.mark.parametrize(
    ("words", "number", "proposed"),
    [("contextssl pret", 1, ["pretrain"]), ("contextssl probe --see", 2, ["--seed", "--seeds"])],
)
def test_the_shell_completes_commands_and_options(words: str, number: int, proposed: list[str]) -> None:
    program = "from contextssl_cli.cli.app import main; main([])"
    variables = {"_CONTEXTSSL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    done = python(program, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.split()) == proposed


def test_the_script_for_completion_is_printed() -> None:
    done = python("from contextssl_cli.cli.app import main; main(['--show-completion', 'bash'])")
    assert (done.returncode, done.stderr) == (0, "")
    assert "complete_bash" in done.stdout


@pytest.mark.parametrize("command", [["demo", "--dry-run"], ["probe"], [*PRETRAIN, "--dry-run"]])
@pytest.mark.parametrize("value", ["x", "-1", "1.5"])
def test_an_error_names_the_variable(
    cli: Command, command: list[str], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTEXTSSL_SEED", value)
    outcome = cli(*command)
    assert outcome.code == 2
    assert "CONTEXTSSL_SEED" in outcome.err


def test_plugins_as_json(cli: Command) -> None:
    rows = cli("plugins", "--json").json
    assert {(row["kind"], row["name"]) for row in rows} >= {
        ("data set", "digits"), ("data set", "adult"), ("action type", "rotation"), ("action type", "color"),
        ("action type", "gender"),
    }  # fmt: skip
    assert {row["owner"] for row in rows if row["name"] in ("digits", "rotation")} == {"contextssl"}
    assert not [row for row in rows if row["kind"] == "failed"]
