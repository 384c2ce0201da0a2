"""Unknown names, values and files of settings: exit code 2 with a suggestion, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command, Made


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (("no data set 'digts'", "did you mean 'digits'?"), ["prepare", "digts"]),
        (("no data set 'digts'", "did you mean 'digits'?"), ["pretrain", "--plugin", "digts-rotation"]),
        (("no action type 'rotatoin'", "did you mean 'rotation'?"), ["pretrain", "--plugin", "digits-rotatoin"]),
        (("'digits' names no action type", "digits-"), ["pretrain", "--plugin", "digits"]),
        (("names an action type twice",), ["pretrain", "--plugin", "digits-color-color"]),
        (("'gender' works on table data", "digits is image data", "color"), ["pretrain", "--plugin", "digits-gender"]),
        (("--plugin",), ["pretrain"]),
        (("ships inside scikit-learn",), ["prepare", "digits", "--source", ".", "--out", "d.h5"]),
        (("no key 'stpes'", "did you mean 'steps'?"), ["pretrain", "--plugin", "digits-color", "--set", "stpes=3"]),
        (("model.widht", "model.width"), ["pretrain", "--plugin", "digits-color", "--set", "model.widht=3"]),
        (("--set steps", "key=value"), ["pretrain", "--plugin", "digits-color", "--set", "steps"]),
        (("lr", "greater than 0"), ["pretrain", "--plugin", "digits-color", "--lr", "-1"]),
        (("batch_size 100", "multiple of the 64 pairs"),
         ["pretrain", "--plugin", "digits-color", "--batch-size", "100"]),
        (("no preset 'papr'", "paper"), ["pretrain", "--plugin", "digits-color", "--preset", "papr"]),
        (("--seeds a,b", "whole numbers", "0,1,2"), ["demo", "--seeds", "a,b"]),
        (("No such command",), ["adpat"]),
        (("--contxt",), ["adapt", "--contxt", "ctx.h5"]),
        (("--steps",), ["pretrain", "--plugin", "digits-color", "--steps", "many"]),
    ],
)  # fmt: skip
def test_unknown_names_and_values(fails: Command, words: tuple[str, ...], arguments: list[str]) -> None:
    fails(2, words, *arguments)


def test_modality_is_checked_before_the_data(fails: Command) -> None:
    fails(2, ("'rotation' works on image data", "adult is table data"), "pretrain", "--plugin", "adult-rotation")


@pytest.mark.parametrize("setting", ["model.encoder=mlp", "model.width=15", "model.block_size=4096"])
def test_a_model_that_cannot_be_built_leaves_no_run(fails: Command, setting: str) -> None:
    batch = ["--batch-size", "2048"] if "block_size" in setting else []
    fails(2, "", "pretrain", "--plugin", "digits-color", *TINY, "--set", setting, *batch)
    for flags in (["--out", "run"], ["--dry-run"]):
        fails(2, "", "pretrain", "--plugin", "digits-color", *TINY, "--set", setting, *batch, *flags)


def test_a_model_that_cannot_be_built_keeps_the_old_run(fails: Command, own_run: Path) -> None:
    fails(2, "mlp", "pretrain", "--plugin", "digits-color", "--set", "model.encoder=mlp", "--out", own_run, "--force")
    assert list((own_run / "checkpoint").iterdir())


@pytest.mark.parametrize("command", ["pretrain", "probe", "adapt"])
def test_a_device_that_is_not_there(fails: Command, made: Made, command: str) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    arguments = {
        "pretrain": ["--plugin", "digits-color", "--out", "run", *TINY],
        "probe": ["--run", made.run, "--out", "probe"],
        "adapt": ["--context", made.context],
    }[command]
    fails(2, ("--device cuda", "--device auto"), command, *arguments, "--device", "cuda")
    fails(2, ("--device tpu", "auto, cpu, cuda or mps"), command, *arguments, "--device", "tpu")


def test_a_missing_device_keeps_the_old_run(fails: Command, own_run: Path) -> None:
    fails(2, "tpu", "pretrain", "--plugin", "digits-color", *TINY, "--device", "tpu", "--out", own_run, "--force")
    assert list((own_run / "checkpoint").iterdir())


@pytest.mark.parametrize(
    ("code", "words", "text"),
    [
        (2, ("no key 'learning_rate'",), "learning_rate = 1"),
        (2, ("no key 'model.depth'",), "[model]\ndepth = 1"),
        (2, ("steps",), "steps = 'many'"),
        (4, ("bad.toml is not valid TOML", "line 1"), "steps = = 3"),
    ],
)
def test_a_bad_toml_file(fails: Command, code: int, words: tuple[str, ...], text: str) -> None:
    Path("bad.toml").write_text(text)
    fails(code, words, "pretrain", "--plugin", "digits-color", "--config", "bad.toml")


def test_a_toml_file_that_is_not_text(fails: Command) -> None:
    Path("bad.toml").write_bytes(b"\xff\xfe")
    fails(4, "bad.toml", "pretrain", "--plugin", "digits-color", "--config", "bad.toml")


def test_a_missing_toml_file(fails: Command) -> None:
    fails(3, "none.toml", "pretrain", "--plugin", "digits-color", "--config", "none.toml")


def test_an_unknown_variable(fails: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTEXTSSL_STPES", "3")
    fails(2, ("stpes", "did you mean 'steps'?"), "pretrain", "--plugin", "digits-color")


def test_a_variable_with_a_bad_value(fails: Command, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTEXTSSL_SEED", "first")
    fails(2, "CONTEXTSSL_SEED", "probe", "--run", made.run)
    fails(2, "seed", "pretrain", "--plugin", "digits-color")


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (("name the active action types", "--action none"), []),
        (("no action type 'colour'", "did you mean 'color'?"), ["--action", "colour"]),
        (("--action none",), ["--action", "none", "--action", "color"]),
        (("--pairs 0", "1 to 1437"), ["--action", "color", "--pairs", "0"]),
        (("--pairs 9999", "1 to 1437"), ["--action", "color", "--pairs", "9999"]),
        (("--from-pairs",), ["--from-pairs", "pairs.npz", "--pairs", "2"]),
    ],
)
def test_a_context_that_cannot_be_made(fails: Command, made: Made, words: tuple[str, ...], flags: list[str]) -> None:
    fails(2, words, "context", "create", "--run", made.run, *flags)
