"""The printed commands give back the configuration, through the command line's own reading of them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.cli.app import run
from contextssl_cli.config.resolve import Settled, settle
from contextssl_cli.evaluation.protocol import probe_config
from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.plugin.task import resolve_task
from contextssl_cli.report.html.commands import reproducing_commands
from tests.places import built_in

TASK = "digits-rotation-color"


def report(settled: Settled, **probes: Any) -> ProbeReport:
    about = {
        "folder": "/gone/my run", "fingerprint": "0", "config": settled.config.model_dump(mode="json"),
        "asked": settled.asked.model_dump(mode="json"), "versions": {},
    }  # fmt: skip
    probing = probe_config(settled.task.dataset).model_dump(mode="json") | probes
    protocol = {"probes": probing, "runs": [about], "store_hash": "0", "versions": {}}
    return ProbeReport(settled.task.name, [], [], [], [], [], [], protocol)


@pytest.mark.parametrize(
    ("preset", "flags", "length"),
    [
        ("default", {}, 6),
        ("default", {"seed": 3, "steps": 7, "lr": 1e-4, "batch_size": 512}, 14),
        ("default", {"epochs": 2, "grad_clip": None, "context_contrast": False}, 12),
        ("default", {"steps": None, "epochs": 2}, 10),
        ("default", {"model.width": 32, "model.encoder": "resnet18", "model.feature_dim": 512}, 12),
        ("paper", {}, 8),
        ("paper", {"steps": 12, "seed": 1}, 12),
        ("default", {"method": "simclr", "method_options.temperature": 0.3}, 10),
        ("default", {"method": "sie"}, 8),
        ("default", {"method": "equimod", "equivariant": ("color",)}, 10),
    ],
)
def test_the_command_gives_back_the_configuration(
    preset: str, flags: dict[str, Any], length: int, capsys: pytest.CaptureFixture[str]
) -> None:
    built_in("digits", "rotation", "color")
    settled = settle(TASK, preset=preset, flags=flags, environ={})
    line = reproducing_commands(report(settled), resolve_task(TASK), ["my run"])[1]
    words = shlex.split(line)
    assert words[-2:] == ["--out", "my run"]
    assert len(words) <= length
    assert run([*words[1:], "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"] == settled.config.model_dump(mode="json")


def test_options_of_action_types_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    built_in("adult", "gender")
    settled = settle("adult-gender", flags={"actions.gender.pairing": "matched"}, environ={})
    words = shlex.split(reproducing_commands(report(settled), resolve_task("adult-gender"), ["run"])[1])
    assert words[4:6] == ["--set", "actions.gender.pairing=matched"]
    assert run([*words[1:], "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"] == settled.config.model_dump(mode="json")


def test_the_probe_names_what_is_not_the_default() -> None:
    built_in("digits", "rotation", "color")
    asked = report(settle(TASK, environ={}), metrics=["r2"], action_probes=[], seed=4)
    line = reproducing_commands(asked, resolve_task(TASK), ["a"])[-1]
    assert line == "contextssl probe --run a --metrics r2 --probes none --seed 4 --out results"


def test_a_file_and_variables_are_named_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built_in("digits", "rotation", "color")
    (tmp_path / "settings.toml").write_text("lr = 0.5\n[model]\nwidth = 32\n")
    settled = settle(TASK, file=tmp_path / "settings.toml", environ={"CONTEXTSSL_WARMUP": "0.2"})
    words = shlex.split(reproducing_commands(report(settled), resolve_task(TASK), ["run"])[1])
    assert run([*words[1:], "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"] == settled.config.model_dump(mode="json")


@pytest.mark.parametrize("asked", [None, {"preset": 3}, {"newer": 1}])
def test_without_what_was_asked_for_there_are_no_reproducing_commands(asked: object) -> None:
    built_in("digits", "rotation", "color")
    found = report(settle(TASK, environ={}))
    found.protocol["runs"][0]["asked"] = asked
    assert reproducing_commands(found, resolve_task(TASK), ["a"]) == []
    del found.protocol["runs"][0]["asked"]
    assert reproducing_commands(found, resolve_task(TASK), ["a"]) == []


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
    about = {"folder": out, "fingerprint": made.fingerprint(), "asked": made.record.asked.model_dump(mode="json")}
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
