"""Damaged, foreign and unfitting files: exit code 4, or 3 where there is none, and nothing is written."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from contextssl_cli.files import file_hash
from contextssl_cli.store.context import Context
from contextssl_cli.store.embeddings import Embeddings
from tests.cli.conftest import TINY, Command, Made

BIAS = "world.read_in.bias"


def adapt(context: str | Path, made: Made, *more: str | Path) -> list[str | Path]:
    return ["adapt", "--context", context, "--run", made.run, *more]


class Malicious:
    """Unpickling it leaves a mark."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


@pytest.fixture
def damaged(made: Made) -> Callable[[str], Path]:
    """A copy of the store or the context, damaged in one way."""

    def damage(way: str, source: Path = made.context) -> Path:
        path = Path("bad.h5")
        shutil.copy(source, path)
        data = path.read_bytes()
        if way == "truncated":
            path.write_bytes(data[: len(data) // 2])
        elif way == "empty":
            path.write_bytes(b"")
        elif way == "text":
            path.write_text("no HDF5")
        else:
            with h5py.File(path, "a") as file:
                edit(file, way)
        return path

    return damage


def edit(file: h5py.File, way: str) -> None:
    changes: dict[str, dict[str, Any]] = {
        "foreign": {"format": "another"},
        "newer": {"version": 99},
        "unversioned": {"version": "one"},
        "incomplete": {"complete": False},
        "no schema": {"schema": "{}"},
        "no header": {"format": None},
        "no split": {},
    }
    for key, value in changes[way].items():
        del file.attrs[key]
        if value is not None:
            file.attrs[key] = value
    if way == "no split":
        del file["test"]


WAYS = [
    ("truncated", "cut off"),
    ("empty", "HDF5"),
    ("text", "HDF5"),
    ("foreign", "'another'"),
    ("no header", "'unknown'"),
    ("newer", "upgrade contextssl"),
    ("unversioned", "version"),
    ("incomplete", "write it again"),
]


@pytest.mark.parametrize(("way", "words"), WAYS)
def test_a_damaged_context(fails: Command, made: Made, damaged: Callable[..., Path], way: str, words: str) -> None:
    fails(4, ("bad.h5", words), *adapt(damaged(way), made))


@pytest.mark.parametrize(("way", "words"), [*WAYS, ("no schema", "prepare it again"), ("no split", "'test'")])
def test_a_damaged_store(fails: Command, made: Made, damaged: Callable[..., Path], way: str, words: str) -> None:
    path = damaged(way, made.store)
    fails(4, ("bad.h5", words), "pretrain", "--plugin", "digits-color", "--store", path, "--out", "run", *TINY)
    advice = "another file" if way in ("text", "foreign", "no header") else "--force"  # --force replaces stores alone
    fails(4, ("bad.h5", words, advice), "prepare", "digits", "--out", path)
    if way not in ("foreign", "no header"):
        fails(4, ("bad.h5", words), *adapt(made.context, made, "--input", path))


def test_a_damaged_chunk_of_a_store(fails: Command, made: Made) -> None:
    shutil.copy(made.store, "bad.h5")
    with h5py.File("bad.h5", "a") as file:
        data = file["train/objects"][:]
        del file["train/objects"]
        file.create_dataset("train/objects", data=data, fletcher32=True)
        place = file["train/objects"].id.get_chunk_info(0).byte_offset
    with Path("bad.h5").open("r+b") as stream:
        stream.seek(place)
        stream.write(b"damage")
    fails(4, ("bad.h5", "damaged"), "pretrain", "--plugin", "digits-color", "--store", "bad.h5",
          "--out", "run", *TINY)  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        ["adapt", "--context", "none.h5"],
        ["info", "none.h5"],
        ["probe", "--run", "none"],
        ["context", "create", "--run", "none", "--action", "color"],
        ["pretrain", "--resume", "--out", "none"],
        ["import-official", "none.pt"],
    ],
)
def test_a_missing_file(fails: Command, command: list[str]) -> None:
    assert "errno" not in fails(3, "none", *command).message


def test_a_missing_input(fails: Command, made: Made) -> None:
    fails(3, "none.npy", *adapt(made.context, made, "--input", "none.npy"))


@pytest.mark.parametrize(
    ("words", "change"),
    [
        (("'rotaton'", "did you mean 'rotation'?"), {"blocks": {"rotaton": 1}}),
        (("'rotation' has the width 2", "is 1"), {"blocks": {"rotation": 2}}),
        (("(8, 8, 3)", "(16, 16, 3)"), {"shape": (8, 8, 3)}),
        (("at least one pair",), {"pairs": 0}),
        (("'x'", "NaN"), {"nan": "x"}),
        (("'y'", "NaN"), {"nan": "y"}),
        (("'rotation'", "NaN"), {"nan": "actions/rotation"}),
        (("one row per pair",), {"rows": 2}),
        (("no dataset /y",), {"without": "y"}),
        (("images are uint8 0..255 or float 0..1",), {"scale": 255}),
    ],
)
def test_a_context_that_does_not_fit(
    fails: Command, made: Made, words: tuple[str, ...], change: dict[str, Any]
) -> None:
    arrays = pairs(**change)
    with h5py.File("mine.h5", "w") as file:
        file.attrs.update(format="contextssl-context", version=1)
        for name, array in arrays.items():
            file[name] = array
    fails(4, words, *adapt("mine.h5", made))
    fails(4, (*words, "mine.h5"), "adapt", "--context", "mine.h5")
    np.savez("mine.npz", **arrays)
    in_npz = ("no array 'y'",) if "without" in change else words
    fails(4, (*in_npz, "mine.npz"), "context", "create", "--run", made.run, "--from-pairs", "mine.npz")


def pairs(
    *, blocks: dict[str, int] | None = None, shape: tuple[int, ...] = (16, 16, 3), pairs: int = 3,
    rows: int | None = None, nan: str = "", without: str = "", scale: float = 1,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Three pairs under the rotation context, wrong in the named way."""
    arrays = {name: np.full((pairs, *shape), scale * 0.5, np.float32) for name in ("x", "y")}
    for name, width in (blocks or {"rotation": 1}).items():
        arrays[f"actions/{name}"] = np.zeros((pairs if rows is None else rows, width), np.float32)
    if nan:
        arrays[nan].flat[0] = np.nan
    arrays.pop(without, None)
    return arrays


@pytest.mark.parametrize(
    ("words", "arrays"),
    [
        (("'z' that is not understood",), {"z": np.zeros(3)}),
        (("cannot be read as NumPy arrays", "pickled objects are refused"), {"x": np.array([{}, {}, {}])}),
        (("expected numbers",), {"x": np.full((3, 16, 16, 3), "a")}),
    ],
)
def test_own_pairs_that_make_no_sense(
    fails: Command, made: Made, words: tuple[str, ...], arrays: dict[str, np.ndarray]
) -> None:
    np.savez("mine.npz", **(pairs() | arrays))
    fails(4, words, "context", "create", "--run", made.run, "--from-pairs", "mine.npz")


def test_an_action_without_a_block(fails: Command, made: Made) -> None:
    np.savez("mine.npz", **pairs())
    fails(2, ("mine.npz", "actions/color"), "context", "create", "--run", made.run, "--from-pairs", "mine.npz",
          "--action", "color")  # fmt: skip


@pytest.mark.filterwarnings("default::contextssl_cli.evaluation.open_run.ContextTooLongWarning")
def test_a_context_that_is_too_long_is_cut_with_a_warning(cli: Command, made: Made) -> None:
    short = Context.load(made.context)
    twice = {name: np.concatenate([part, part]) for name, part in {"x": short.x, "y": short.y, **short.actions}.items()}
    Context(twice.pop("x"), twice.pop("y"), twice, short.fingerprint).save(Path("long.h5"))
    outcome = cli("adapt", "--context", "long.h5", "--json")
    assert outcome.code == 0
    warning = "warning: the context has 6 pairs, the model was trained to read 3: the first 3 are used"
    assert outcome.err.count(warning) == 1
    assert outcome.json["context_length"] == 6
    asked = cli("context", "create", "--run", made.run, "--action", "color", "--pairs", "6")
    assert asked.code == 0
    assert warning in asked.err


@pytest.mark.parametrize(
    ("words", "array"),
    [
        (("NaN",), np.full((2, 16, 16, 3), np.nan)),
        (("(8, 8, 3)", "(16, 16, 3)"), np.zeros((2, 8, 8, 3))),
        (("images are uint8 0..255 or float 0..1",), np.full((2, 16, 16, 3), 255.0)),
        (("expected numbers",), np.full((2, 16, 16, 3), "a")),
        (("pickled objects are refused",), np.array([{}])),
    ],
)
def test_an_input_that_does_not_fit(fails: Command, made: Made, words: tuple[str, ...], array: np.ndarray) -> None:
    np.save("mine.npy", array)
    fails(4, words, *adapt(made.context, made, "--input", "mine.npy"))


def test_inputs_of_an_unknown_kind(fails: Command, made: Made) -> None:
    Path("mine.csv").write_text("1,2")
    fails(4, ("mine.csv", ".npy"), *adapt(made.context, made, "--input", "mine.csv"))
    np.savez("mine.npz", a=np.zeros(2), b=np.zeros(2))
    fails(4, ("mine.npz", "named x"), *adapt(made.context, made, "--input", "mine.npz"))
    Path("mine.npz").write_bytes(Path("mine.npz").read_bytes()[:100])
    fails(4, "mine.npz", *adapt(made.context, made, "--input", "mine.npz"))
    fails(4, "mine.npz", "info", "mine.npz")


def test_folders_of_images(fails: Command, made: Made) -> None:
    Path("photos").mkdir()
    fails(3, "photos holds no image", *adapt(made.context, made, "--input", "photos"))
    Image.new("RGB", (64, 64)).save("photos/a.png")
    Path("photos/b.png").write_bytes(Path("photos/a.png").read_bytes()[:60])
    fails(4, "photos/b.png", *adapt(made.context, made, "--input", "photos"))
    Path("photos/b.png").write_text("no image")
    fails(4, "photos/b.png", *adapt(made.context, made, "--input", "photos"))
    fails(2, "--skip-corrupt", *adapt(made.context, made, "--skip-corrupt"))


def test_images_that_cannot_be_read_are_left_out(cli: Command, made: Made) -> None:
    Path("photos").mkdir()
    for number, name in enumerate("abc"):
        Image.new("RGB", (64, 64), (90 * number, 0, 0)).save(f"photos/{name}.png")
    whole = cli(*adapt(made.context, made, "--input", "photos", "--out", "whole.h5"))
    assert whole.code == 0, whole.err
    Path("photos/aa.png").write_text("no image")
    os.mkfifo("photos/bb.png")
    outcome = cli(*adapt(made.context, made, "--input", "photos", "--skip-corrupt", "--json"))
    assert outcome.code == 0, outcome.err
    assert "2 images cannot be read" in outcome.err
    assert outcome.json["skipped"] == 2
    assert [Path(text.split()[0]).name for text in outcome.json["skipped_sources"]] == ["aa.png", "bb.png"]
    found, expected = Embeddings.load(Path("embeddings.h5")), Embeddings.load(Path("whole.h5"))
    assert found.names == expected.names == ("a.png", "b.png", "c.png")
    np.testing.assert_array_equal(found.values, expected.values)
    Path("few.csv").write_text("name,label\naa.png,one\nb.png,two\n")
    refused = cli(*adapt(made.context, made, "--input", "photos", "--skip-corrupt", "--labels", "few.csv"))
    assert (refused.code, "aa.png" in refused.err) == (4, True)


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("lacks the tensor 'world.read_in.bias'", lambda t: t.pop(BIAS)),
        ("'world.read_in.bias' has the shape (3,), expected (16,)", lambda t: t.update({BIAS: torch.ones(3)})),
        ("unknown tensor 'extra'", lambda t: t.update(extra=torch.ones(3))),
    ],
)  # fmt: skip
def test_a_checkpoint_of_other_tensors(
    fails: Command, made: Made, own_run: Path, words: str, change: Callable[[dict[str, torch.Tensor]], Any]
) -> None:
    path = next(own_run.glob("checkpoint/*/model.safetensors"))
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    record_fingerprint(path)
    for command in (["probe"], ["adapt", "--context", made.context], ["pretrain", "--resume"]):
        flag = "--out" if command[-1] == "--resume" else "--run"
        fails(4, ("model.safetensors", words), *command, flag, own_run)


def record_fingerprint(path: Path) -> None:
    """Let a checkpoint say that its weights are those in the file."""
    state = path.with_name("checkpoint.json")
    state.write_text(json.dumps(json.loads(state.read_text()) | {"fingerprint": file_hash(path)}))


@pytest.mark.parametrize("how", ["edited", "of another run", "recorded otherwise"])
def test_weights_that_are_not_those_that_were_saved(fails: Command, made: Made, own_run: Path, how: str) -> None:
    path = next(own_run.glob("checkpoint/*/model.safetensors"))
    if how == "edited":
        save_file({name: tensor + 1 for name, tensor in load_file(path).items()}, path)
    elif how == "of another run":
        shutil.copy(next(made.newer.glob("checkpoint/*/model.safetensors")), path)
    else:
        state = path.with_name("checkpoint.json")
        state.write_text(json.dumps(json.loads(state.read_text()) | {"fingerprint": "0" * 64}))
    for command in (["probe", "--run"], ["info", "--verify"], ["pretrain", "--resume", "--out"]):
        assert fails(4, "model.safetensors", *command, own_run).error_code == "E400"


@pytest.mark.parametrize(
    "change", [{"fingerprint": None}, {"fingerprint": "f"}, {"step": -1}, {"steps": None}, {"x": 1}]
)
def test_a_checkpoint_whose_state_is_damaged(fails: Command, own_run: Path, change: dict[str, Any]) -> None:
    path = next(own_run.glob("checkpoint/*/checkpoint.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    for command in (["probe", "--run"], ["info"]):
        fails(4, ("checkpoint.json", *change), *command, own_run)


@pytest.mark.parametrize("content", ["pickle", "torch", "half", "empty"])
def test_a_checkpoint_of_another_kind(fails: Command, own_run: Path, content: str) -> None:
    path = next(own_run.glob("checkpoint/*/model.safetensors"))
    if content == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif content == "empty":
        path.write_bytes(b"")
    else:
        write_pickle(path, content)
    fails(4, ("model.safetensors", "not a safetensors file"), "probe", "--run", own_run)


def test_an_optimiser_of_another_model(fails: Command, own_run: Path) -> None:
    path = next(own_run.glob("checkpoint/*/optimizer.safetensors"))
    tensors = load_file(path)
    tensors.pop("0.exp_avg")
    save_file(tensors, path)
    fails(4, "optimizer.safetensors", "pretrain", "--resume", "--out", own_run)


def test_a_checkpoint_without_its_model(fails: Command, own_run: Path) -> None:
    next(own_run.glob("checkpoint/*/model.safetensors")).unlink()
    fails(3, ("model.safetensors", "incomplete"), "probe", "--run", own_run)


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_pickle_is_never_executed(fails: Command, made: Made, how: str) -> None:
    write_pickle(Path("evil.pt"), how)
    fails(4, ("evil.pt", "pickled objects are refused"), "import-official", "evil.pt")
    fails(4, ("evil.pt", "import-official"), "probe", "--run", "evil.pt")
    fails(4, "evil.pt", "info", "evil.pt")
    fails(4, "evil.pt", *adapt("evil.pt", made))
    Path("evil.pt").rename("evil.npy")
    fails(4, "evil.npy", *adapt(made.context, made, "--input", "evil.npy"))
    assert not Path("executed").exists()


def write_pickle(path: Path, how: str) -> None:
    if how == "torch":
        torch.save({"enc.conv1.weight": Malicious()}, path)
    else:
        path.write_bytes(pickle.dumps(Malicious()))


@pytest.mark.parametrize(
    ("words", "content"),
    [
        ("state_dict", {"step": 3}),
        ("'head.weight'", {"head.weight": torch.ones(2)}),
        ("lacks a tensor", {"enc.conv1.weight": torch.ones(64, 3, 7, 7)}),
    ],
)
def test_a_foreign_official_checkpoint(fails: Command, words: str, content: dict[str, Any]) -> None:
    torch.save(content, "foreign.pt")
    fails(4, ("foreign.pt", words), "import-official", "foreign.pt")


@pytest.mark.parametrize(
    ("code", "words", "change"),
    [
        (4, "not valid JSON", lambda text: text[: len(text) // 2]),
        (4, "expected a JSON object", lambda text: "[]"),
        (4, "is damaged", lambda text: text.replace('"task"', '"tusk"')),
        (4, "is damaged", lambda text: text.replace('"seed": 0', '"seed": "x"')),
        (4, "upgrade contextssl", lambda text: text.replace('"version": 1', '"version": 99')),
        (4, "not valid JSON", lambda text: ""),
    ],
)
def test_a_damaged_run(fails: Command, own_run: Path, code: int, words: str, change: Callable[[str], str]) -> None:
    path = own_run / "run.json"
    path.write_text(change(path.read_text()))
    for command in (["probe", "--run"], ["info"], ["pretrain", "--resume", "--out"]):
        fails(code, (str(own_run), words), *command, own_run)


def test_a_run_without_a_checkpoint(fails: Command, own_run: Path) -> None:
    shutil.rmtree(own_run / "checkpoint")
    fails(3, ("no checkpoint yet", "--resume"), "probe", "--run", own_run)


def test_a_run_whose_store_is_gone_or_changed(fails: Command, made: Made, own_run: Path) -> None:
    record = json.loads((own_run / "run.json").read_text())
    (own_run / "run.json").write_text(json.dumps(record | {"store": "/nowhere/digits.h5"}))
    fails(3, "/nowhere/digits.h5", "probe", "--run", own_run)
    (own_run / "run.json").write_text(json.dumps(record | {"store_hash": "0" * 64}))
    fails(4, ("is not the data that", "000000000000"), "probe", "--run", own_run)


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (("seed was 0, is now 1",), ["--seed", "1"]),
        (("steps was 3, is now 9",), ["--steps", "9"]),
        (("model.width was 16, is now 32",), ["--set", "model.width=32"]),
        (("trains digits-rotation-color, not digits-color",), ["--plugin", "digits-color"]),
    ],
)
def test_resume_with_something_changed(fails: Command, own_run: Path, words: tuple[str, ...], flags: list[str]) -> None:
    fails(2, words, "pretrain", "--resume", "--out", own_run, *flags)


def test_resume_of_no_run(fails: Command) -> None:
    Path("photos").mkdir()
    fails(3, "photos is not a run", "pretrain", "--resume", "--out", "photos")


def test_no_run_at_all(fails: Command, workplace: Path, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTEXTSSL_HOME", str(workplace / "nothing"))
    for command in (["probe"], ["context", "create", "--action", "color"], ["pretrain", "--resume"]):
        fails(3, "contextssl pretrain makes one", *command)
    nobodys = Context.load(made.context)
    Context(nobodys.x, nobodys.y, nobodys.actions).save(Path("nobodys.h5"))
    fails(3, "contextssl pretrain makes one", "adapt", "--context", "nobodys.h5")


def test_runs_of_different_tasks(fails: Command, made: Made) -> None:
    fails(2, ("digits-rotation", "digits-rotation-color"), "probe", "--run", made.run, "--run", made.newer)


def test_the_store_of_another_data_set(fails: Command, made: Made) -> None:
    fails(2, ("the store of digits", "not of adult"), "pretrain", "--plugin", "adult-gender", "--store", made.store)
    plan = ["--plugin", "adult-gender", "--store", made.store, "--dry-run"]
    fails(2, ("the store of digits", "not of adult"), "pretrain", *plan)
