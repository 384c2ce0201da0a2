"""The printed commands give back the configuration, through the command line's own reading of them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.cli.app import run
from contextssl_cli.config.resolve import resolve_config
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.evaluation.protocol import probe_config
from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.plugin.task import resolve_task
from contextssl_cli.report.html.commands import reproducing_commands
from contextssl_cli.training.start import with_equivariant
from tests.places import built_in

TASK = "digits-rotation-color"


def report(config: TrainConfig, task: str = TASK, **probes: Any) -> ProbeReport:
    about = {"folder": "/gone/my run", "fingerprint": "0", "config": config.model_dump(mode="json"), "versions": {}}
    probing = probe_config(resolve_task(task).dataset).model_dump(mode="json") | probes
    protocol = {"probes": probing, "runs": [about], "store_hash": "0", "versions": {}}
    return ProbeReport(task, [], [], [], [], [], [], protocol)


@pytest.mark.parametrize(
    ("preset", "flags", "length"),
    [
        ("default", {}, 6),
        ("default", {"seed": 3, "steps": 7, "lr": 1e-4, "batch_size": 512}, 14),
        ("default", {"epochs": 2, "grad_clip": None, "context_contrast": False}, 12),
        ("default", {"model.width": 32, "model.encoder": "resnet18", "model.feature_dim": 512}, 12),
        ("paper", {}, 8),
        ("paper", {"steps": 12, "seed": 1}, 12),
        ("default", {"method": "simclr", "method_options.temperature": 0.3}, 10),
        ("default", {"method": "sie"}, 12),  # told both types, which the command names
        ("default", {"method": "equimod", "equivariant": ("color",)}, 10),
    ],
)
def test_the_command_gives_back_the_configuration(
    preset: str, flags: dict[str, Any], length: int, capsys: pytest.CaptureFixture[str]
) -> None:
    built_in("digits", "rotation", "color")
    task = resolve_task(TASK)
    asked = resolve_config(task.dataset, preset=preset, flags=flags, environ={})
    task = resolve_task(TASK, options=asked.actions)
    config = with_equivariant(asked.model_copy(update={"actions": task.options}), task)
    line = reproducing_commands(report(config), resolve_task(TASK), ["my run"])[1]
    words = shlex.split(line)
    assert words[-2:] == ["--out", "my run"]
    assert len(words) <= length
    assert run([*words[1:], "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["config"] == config.model_dump(mode="json")


def test_options_of_action_types_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    built_in("adult", "gender")
    options = {"gender": {"pairing": "matched"}}
    task = resolve_task("adult-gender", options=options)
    config = resolve_config(task.dataset, environ={}).model_copy(update={"actions": task.options})
    words = shlex.split(
        reproducing_commands(report(config, task="adult-gender"), resolve_task("adult-gender"), ["run"])[1]
    )
    assert words[4:6] == ["--set", "actions.gender.pairing=matched"]
    assert run([*words[1:], "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["config"] == config.model_dump(mode="json")


def test_the_probe_names_what_is_not_the_default() -> None:
    built_in("digits", "rotation", "color")
    config = resolve_config(resolve_task(TASK).dataset, environ={})
    asked = report(config, metrics=["r2"], readers=[], seed=4)
    line = reproducing_commands(asked, resolve_task(TASK), ["a"])[-1]
    assert line == "contextssl probe --run a --metrics r2 --probes none --seed 4 --out results"


def test_a_configuration_with_unknown_keys_has_no_commands() -> None:
    built_in("digits", "rotation", "color")
    task = resolve_task(TASK)
    found = report(resolve_config(task.dataset, environ={}))
    found.protocol["runs"][0]["config"]["newer"] = 1
    assert reproducing_commands(found, task, ["a"]) == []


def test_a_store_that_stands_tells_its_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built_in("table", "attribute")
    rows = [f"{20 + n % 40},{'fm'[n % 2]},{'lh'[n % 3 == 0]}" for n in range(60)]
    (tmp_path / "people.csv").write_text("\n".join(["age,sex,income", *rows]) + "\n")
    flags = ["--label", "income", "--sensitive", "sex"]
    store, out = str(tmp_path / "people.h5"), str(tmp_path / "run")
    assert run(["prepare", "table", "--source", str(tmp_path / "people.csv"), *flags, "--out", store]) == 0
    small = ["--steps", "1", "--batch-size", "8", "--set", "model.block_size=8"]
    assert run(["pretrain", "--plugin", "table-attribute", "--store", store, "--out", out, *small]) == 0
    from contextssl_cli.training.run import Run

    made = Run(tmp_path / "run")
    about = {"folder": out, "fingerprint": made.fingerprint(), "config": made.record.config.model_dump(mode="json")}
    probing = probe_config(resolve_task(made.record.task).dataset).model_dump(mode="json")
    protocol = {"probes": probing, "runs": [about], "store_hash": made.record.store_hash}
    found = ProbeReport(made.record.task, [], [], [], [], [], [], protocol)
    words, trained, _ = map(shlex.split, reproducing_commands(found, resolve_task(made.record.task), ["run"]))
    assert words[:5] == ["contextssl", "prepare", "table", "--source", str((tmp_path / "people.csv").resolve())]
    assert words[-2:] == ["--out", "people.h5"]
    assert trained[trained.index("--store") + 1] == "people.h5"
    capsys.readouterr()
    assert run([*words[1:-1], str(tmp_path / "again.h5"), "-q"]) == 0
    from contextssl_cli.store.dataset import Store

    assert Store(tmp_path / "again.h5").content_hash == made.record.store_hash
