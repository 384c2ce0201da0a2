"""Options with an empty value, and files of another kind than a command expects."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

from contextssl_cli.cli.app import app
from contextssl_cli.store.context import Context
from tests.cli.conftest import Command, Made


def options_with_values() -> Iterator[tuple[str, ...]]:
    """Every option of every command that takes a value."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(app))]
    while waiting:
        path, command = waiting.pop()
        for name, inner in getattr(command, "commands", {}).items():
            waiting.append(((*path, name), inner))
        for parameter in command.params:
            if parameter.param_type_name == "option" and not parameter.is_flag and not parameter.count:
                yield (*path, parameter.opts[0])


OPTIONS = sorted(options_with_values())


def test_the_options_of_all_commands_were_found() -> None:
    found = {option[-1] for option in OPTIONS}
    assert {"--seeds", "--input", "--preset", "--run", "--out", "--context", "--store", "--set"} <= found


@pytest.mark.parametrize("option", OPTIONS, ids=" ".join)
def test_an_empty_value_is_a_usage_error(fails: Command, option: tuple[str, ...]) -> None:
    assert fails(2, option[-1], *option, "").error_code == "E200"
    assert fails(2, option[-1], *option[:-1], f"{option[-1]}=").error_code == "E200"


def test_options_of_data_sets_and_arguments_take_no_empty_value_either(fails: Command) -> None:
    fails(2, "--source", "prepare", "digits", "--source", "")
    fails(2, "--size", "prepare", "imagefolder", "--size=")
    fails(2, "empty", "info", "")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--out", ["demo", "--out", "--dry-run"]),
        ("--context", ["adapt", "--context", "a.h5", "--context", "--json"]),
        ("--out", ["plugins", "new", "pictures", "--out", "--force"]),
        ("--out", ["prepare", "digits", "--out", "--force"]),
        ("--set", ["pretrain", "--plugin", "digits-rotation-color", "--set", "--resume"]),
    ],
)
def test_an_option_is_no_value_of_another(fails: Command, option: str, words: list[str]) -> None:
    assert fails(2, (option, words[-1]), *words).error_code == "E200"


@pytest.fixture
def things(cli: Command, made: Made) -> dict[str, Path]:
    """One file of each kind."""
    assert cli("adapt", "--context", made.context, "--out", "emb.h5", "--no-profile").code == 0
    pairs = Context.load(made.context)
    np.savez("pairs.npz", x=pairs.x, y=pairs.y)
    np.save("array.npy", pairs.x)
    Image.new("RGB", (16, 16)).save("photo.png")
    Path("text.csv").write_text("row,label\n0,a\n")
    shutil.copy(made.store, "store.h5")
    shutil.copy(made.context, "context.h5")
    names = {"store": "store.h5", "context": "context.h5", "embeddings": "emb.h5", "npz": "pairs.npz",
             "npy": "array.npy", "image": "photo.png", "text": "text.csv"}  # fmt: skip
    return {kind: Path(name) for kind, name in names.items()} | {"run": made.run}


WORDS = {
    "store": "a store", "context": "a context file", "embeddings": "an embeddings file", "npz": ".npz",
    "npy": ".npy", "image": "an image", "text": "a text file", "run": "the folder of a run",
}  # fmt: skip
EXPECTED = {
    "--input": ("a store", ["context", "embeddings", "image", "text", "run"]),
    "--context": ("a context file", ["store", "embeddings"]),
    "--from-pairs": ("arrays", ["store", "embeddings", "image", "text"]),
    "--labels": ("CSV", ["store", "context", "embeddings", "npz", "npy", "image"]),
    "--run": ("the folder of a run", ["store", "context", "embeddings", "npz", "image", "text"]),
    "--store": ("a store", ["context", "embeddings"]),
    "info": ("", ["npz", "npy", "image", "text"]),
}


@pytest.mark.parametrize(("option", "kind"), [(option, kind) for option in EXPECTED for kind in EXPECTED[option][1]])
def test_a_file_of_another_kind_is_named(
    fails: Command, made: Made, things: dict[str, Path], option: str, kind: str
) -> None:
    command: dict[str, list[str | Path]] = {
        "--input": ["adapt", "--context", made.context, "--run", made.run, "--out", "e.h5", "--input"],
        "--context": ["adapt", "--run", made.run, "--out", "e.h5", "--context"],
        "--from-pairs": ["context", "create", "--run", made.run, "--from-pairs"],
        "--labels": ["adapt", "--context", made.context, "--run", made.run, "--candidates", "all", "--out", "e.h5",
                     "--labels"],
        "--run": ["probe", "--run"],
        "--store": ["pretrain", "--plugin", "digits-color", "--out", "new", "--store"],
        "info": ["info"],
    }  # fmt: skip
    outcome = fails(4, (things[kind].name, WORDS[kind], EXPECTED[option][0]), *command[option], things[kind])
    assert outcome.error_code == "E400"


@pytest.mark.parametrize("option", ["--context", "--from-pairs"])
def test_arrays_and_other_files_are_no_context(
    fails: Command, made: Made, things: dict[str, Path], option: str
) -> None:
    for kind in ("npz", "npy", "image", "text") if option == "--context" else ("npy",):
        command = ["adapt"] if option == "--context" else ["context", "create"]
        fails(4, things[kind].name, *command, "--run", made.run, option, things[kind])
