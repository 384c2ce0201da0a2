"""``adapt`` builds one model, reads and hashes the weights once, encodes no input twice; ``info`` does none of it."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from torch import Tensor

from contextssl_cli import files
from contextssl_cli.evaluation import measures
from contextssl_cli.model.encoders import EncoderModel
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.checkpoint import MODEL_FILE
from tests.cli.conftest import Command, Made
from tests.cli.test_options import python


class Counts(Counter[str]):
    """Models that were built; reads and hashes of the weights; encoded inputs, and those of them that were repeated."""


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    found, seen = Counts(), set()
    build, encode, read, sha256 = EncoderModel.__init__, EncoderModel.encode, files.read_bytes, hashlib.sha256

    def counted_build(model: EncoderModel, *args: Any, **kwargs: Any) -> None:
        found["models"] += 1
        build(model, *args, **kwargs)

    def counted_encode(model: EncoderModel, inputs: Tensor) -> Tensor:
        for row in inputs:
            key = row.numpy().tobytes()
            found["encoded"] += 1
            found["repeated"] += key in seen
            seen.add(key)
        return encode(model, inputs)

    weights: list[bytes] = []

    def counted_read(path: Path, size: int = -1) -> bytes:
        data = read(path, size)
        if Path(path).name == MODEL_FILE:
            found["reads"] += 1
            weights.append(data)
        return data

    def counted_sha256(data: bytes = b"", **kwargs: Any) -> Any:
        found["hashes"] += any(data is one or len(data) == len(one) for one in weights)
        return sha256(data, **kwargs)

    monkeypatch.setattr(EncoderModel, "__init__", counted_build)
    monkeypatch.setattr(EncoderModel, "encode", counted_encode)
    monkeypatch.setattr(files, "read_bytes", counted_read)
    monkeypatch.setattr(hashlib, "sha256", counted_sha256)
    return found


@pytest.fixture
def fresh(own_run: Path) -> Path:
    """A run without a cache."""
    shutil.rmtree(own_run / "cache", ignore_errors=True)
    return own_run


def array(made: Made) -> Path:
    with h5py.File(made.store) as file:
        np.save("mine.npy", file["test/inputs"][:7])
    return Path("mine.npy")


def labels(made: Made) -> Path:
    digits = Store(made.store).test.labels("digit")
    rows = [int(row) for digit in (0, 1) for row in np.flatnonzero(digits == digit)[:5]]
    Path("few.csv").write_text("row,label\n" + "".join(f"{row},{digits[row]}\n" for row in rows))
    return Path("few.csv")


WAYS: dict[str, Callable[[Made], list[str | Path]]] = {
    "a context": lambda made: [],
    "own inputs": lambda made: ["--input", array(made)],
    "a guard": lambda made: ["--guard", "color"],
    "no profile": lambda made: ["--no-profile"],
    "own inputs, no profile": lambda made: ["--no-profile", "--input", array(made)],
}


@pytest.mark.parametrize("way", WAYS)
def test_adapt_does_everything_once(cli: Command, made: Made, fresh: Path, way: str, counts: Counts) -> None:
    outcome = cli("adapt", "--context", made.context, "--run", fresh, *WAYS[way](made))
    assert outcome.code == 0, outcome.err
    assert (counts["models"], counts["reads"], counts["hashes"]) == (1, 1, 1)
    assert counts["encoded"] > 0
    assert counts["repeated"] == 0


def test_a_choice_among_contexts_reads_the_weights_once(cli: Command, made: Made, fresh: Path, counts: Counts) -> None:
    few = ["--labels", labels(made), "--candidates", "all", "--no-profile"]
    outcome = cli("adapt", "--run", fresh, *few)
    assert outcome.code == 0, outcome.err
    assert (counts["models"], counts["reads"], counts["hashes"]) == (1, 1, 1)
    assert counts["repeated"] == 10  # the labelled inputs are among those that are embedded in the end


def test_a_second_context_encodes_only_its_own_pairs(cli: Command, made: Made, fresh: Path, counts: Counts) -> None:
    assert cli("context", "create", "--run", fresh, "--action", "color", "--seed", "3", "--out", "color.h5").code == 0
    assert not +counts
    assert cli("adapt", "--context", made.context, "--run", fresh).code == 0
    before = counts["encoded"]
    assert cli("adapt", "--context", "color.h5", "--run", fresh).code == 0
    assert 0 < counts["encoded"] - before <= 6


def test_without_a_profile_nothing_is_probed(
    cli: Command, made: Made, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(measures, "measure", never)
    outcome = cli("adapt", "--context", made.context, "--run", fresh, "--guard", "color", "--no-profile", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["profile"] == []
    assert outcome.json["guard"]["profile"] == []
    assert outcome.json["guard"]["pairs"] == 3


@pytest.mark.parametrize("thing", ["store", "run", "context", "embeddings"])
def test_info_imports_no_torch(cli: Command, made: Made, thing: str) -> None:
    assert cli("adapt", "--context", made.context, "--no-profile").code == 0
    paths = {"store": made.store, "run": made.run, "context": made.context, "embeddings": Path("embeddings.h5")}
    program = f"""
import sys
from contextssl_cli.cli.app import run
code = run(["info", {str(paths[thing])!r}])
print(code, *[name for name in ("torch", "sklearn", "matplotlib") if name in sys.modules])
"""
    assert python(program).stdout.splitlines()[-1] == "0"


def test_info_of_a_run_reads_no_weights(cli: Command, own_run: Path, counts: Counts) -> None:
    (path,) = own_run.glob(f"checkpoint/*/{MODEL_FILE}")
    path.unlink()
    assert cli("info", own_run).code == 0
    assert not +counts
