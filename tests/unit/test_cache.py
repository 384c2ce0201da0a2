"""The cache of a run: keyed by the code that computes it, and computed again whatever is wrong with an entry."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from contextssl_cli.evaluation import cache
from contextssl_cli.evaluation.cache import keep_tensors, keep_values, read_tensors, read_values
from contextssl_cli.plugin.code import source_hash

PACKAGE = Path(cache.__file__).parents[1]
TENSORS = {"x": torch.arange(12.0).view(4, 3), "keys": torch.arange(4, dtype=torch.uint8)}
OTHER = {"x": torch.arange(12.0).view(4, 3) + 1, "keys": torch.arange(4, dtype=torch.uint8)}
VALUES = {("r2", "turn", "ridge"): 0.25, ("r2", "tint", "ridge"): 0.75}


# --- damage -------------------------------------------------------------------------------------------------------

Damage = Callable[[Path], object]


def write(content: bytes) -> Damage:
    return lambda path: path.write_bytes(content)


def cut(share: float) -> Damage:
    return lambda path: path.write_bytes(path.read_bytes()[: int(len(path.read_bytes()) * share)])


def flip(place: float) -> Damage:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int((len(content) - 1) * place)] ^= 1
        path.write_bytes(content)

    return damage


def replaced(make: Callable[[Path], object]) -> Damage:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


def another(path: Path) -> Path:
    """A whole entry of another name, next to the first."""
    other = path.with_name(f"other-{path.name}")
    keep_tensors(other, OTHER) if path.suffix == ".safetensors" else keep_values(other, {("r2", "turn", "mlp"): 0.5})
    return other


ANY: dict[str, Damage] = {
    "empty": write(b""),
    "garbage": write(os.urandom(200)),
    "zeros": write(bytes(200)),
    "a header that is too long": write(b"\xff" * 8 + b"{}"),
    "a nested header": write((60_000).to_bytes(8, "little") + b'{"a":' * 12_000),
    "JSON of another kind": write(b'[{"values": 1}]'),
    "cut at the end": cut(0.95),
    "cut in the middle": cut(0.5),
    "cut at the beginning": cut(0.02),
    "a bit of the content": flip(0.9),
    "a bit in the middle": flip(0.6),
    "a bit of the beginning": flip(0.0),
    "appended": lambda path: path.write_bytes(path.read_bytes() + b"\n{}"),
    "another entry": lambda path: shutil.copy(another(path), path),
    "a folder": replaced(Path.mkdir),
    "a link to nothing": replaced(lambda path: path.symlink_to("nowhere")),
    "a link to itself": replaced(lambda path: path.symlink_to(path)),
    "a link to another entry": replaced(lambda path: path.symlink_to(another(path))),
    "a FIFO": replaced(os.mkfifo),
}


def tensors(change: Callable[[dict[str, Tensor]], object], **metadata: str | None) -> Damage:
    """Rewrite the file with changed tensors, and the digest that it had."""

    def damage(path: Path) -> None:
        with safe_open(path, "pt") as file:
            kept = file.metadata() | metadata
        found = {name: tensor.clone() for name, tensor in load_file(path).items()}
        change(found)
        save_file(found, path, {key: value for key, value in kept.items() if value is not None})

    return damage


TENSOR_DAMAGE: dict[str, Damage] = ANY | {
    "another name": tensors(lambda found: found.update(z=found.pop("x"))),
    "one tensor less": tensors(lambda found: found.pop("keys")),
    "one tensor more": tensors(lambda found: found.update(z=torch.zeros(2))),
    "another shape": tensors(lambda found: found.update(x=found["x"].reshape(3, 4))),
    "fewer rows": tensors(lambda found: found.update(x=found["x"][:2])),
    "no rows": tensors(lambda found: found.update(x=found["x"][:0])),
    "another dtype": tensors(lambda found: found.update(x=found["x"].double())),
    "another reading of the same bytes": tensors(lambda found: found.update(x=found["x"].view(torch.int32))),
    "NaN": tensors(lambda found: found["x"].__setitem__((1, 1), torch.nan)),
    "another value": tensors(lambda found: found["x"].mul_(1.0001)),
    "tensors swapped": tensors(lambda found: found.update(x=found["keys"], keys=found["x"])),
    "another digest": tensors(lambda found: None, sha256="0" * 64),
    "no digest": tensors(lambda found: None, sha256=None, more="x"),
}


def lines(change: Callable[[Any], object]) -> Damage:
    """Rewrite the file with changed values, and the digest that it had."""

    def damage(path: Path) -> None:
        found = json.loads(path.read_text())
        change(found)
        path.write_text(json.dumps(found))

    return damage


VALUE_DAMAGE: dict[str, Damage] = ANY | {
    "one value less": lines(lambda found: found["values"].pop()),
    "another value": lines(lambda found: found["values"][0].update(value=0.5)),
    "NaN": lines(lambda found: found["values"][0].update(value=float("nan"))),
    "text for a value": lines(lambda found: found["values"][0].update(value="0.25")),
    "another target": lines(lambda found: found["values"][0].update(target="size")),
    "a number for a target": lines(lambda found: found["values"][1].update(target=7)),
    "no target": lines(lambda found: found["values"][1].pop("target")),
    "values of another type": lines(lambda found: found.update(values=7)),
    "no values": lines(lambda found: found.pop("values")),
    "no digest": lines(lambda found: found.pop("sha256")),
}


@pytest.mark.parametrize("damage", TENSOR_DAMAGE)
def test_damaged_tensors_are_not_read(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "entry.safetensors"
    keep_tensors(path, TENSORS)
    found = read_tensors(path)
    assert found is not None
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())
    del found  # it maps the file, which is about to be cut
    TENSOR_DAMAGE[damage](path)
    assert read_tensors(path) is None
    keep_tensors(path, TENSORS)  # writes the entry again, or leaves alone what is no regular file
    again = read_tensors(path)
    assert (again is not None) == (path.is_file() and not path.is_symlink())
    assert again is None or torch.equal(again["x"], TENSORS["x"])


@pytest.mark.parametrize("damage", VALUE_DAMAGE)
def test_damaged_values_are_not_read(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "entry.json"
    keep_values(path, VALUES)
    assert read_values(path) == VALUES
    VALUE_DAMAGE[damage](path)
    assert read_values(path) is None
    keep_values(path, VALUES)
    assert read_values(path) == (VALUES if path.is_file() and not path.is_symlink() else None)


def test_values_that_are_not_finite_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "entry.json"
    keep_values(path, VALUES | {("r2", "still", "ridge"): float("nan")})
    assert not path.exists()


# --- the key ------------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    """A package with the layers of this one, of one module each."""
    for layer in cache.LAYERS:
        (tmp_path / layer).mkdir()
        (tmp_path / layer / "module.py").write_text("PENALTY = 0.01  # per sample\n")
    yield tmp_path
    forget()


def forget() -> None:
    """A process reads the code once."""
    cache.code_key.cache_clear()
    source_hash.cache_clear()


def key(package: Path) -> str:
    forget()
    return cache.code_key(package)


@pytest.mark.parametrize("layer", cache.LAYERS)
def test_an_edit_of_any_layer_changes_the_key(layer: str, package: Path) -> None:
    before = key(package)
    module = package / layer / "module.py"
    module.write_text("# another comment\nPENALTY = 0.01\n")
    assert key(package) == before
    module.write_text("PENALTY = 0.001\n")
    edited = key(package)
    (package / layer / "new.py").write_text("X = 1\n")
    assert len({before, edited, key(package)}) == 3


@pytest.mark.parametrize("name", ["torch", "torchvision", "scikit-learn", "numpy", "fairlearn"])
def test_another_version_of_a_package_changes_the_key(
    name: str, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, version = key(package), cache.metadata.version
    monkeypatch.setattr(cache.metadata, "version", lambda asked: "0.0.test" if asked == name else version(asked))
    assert key(package) != before


def test_the_key_covers_all_that_evaluation_may_import() -> None:
    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    layers = next(c["layers"] for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    below = layers[layers.index("evaluation") :]
    assert set(cache.LAYERS) == {layer for layer in below if (PACKAGE / layer).is_dir()}
