"""Whatever a plugin's code raises, wherever it is called, is that plugin's error."""

from __future__ import annotations

import errno
import functools
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import field_validator
from torch import Tensor

from contextssl_cli.cli import app
from contextssl_cli.data.parts import make_parts
from contextssl_cli.data.prepare import prepare
from contextssl_cli.errors import ContextSSLError, DataMissingError, PluginError, UsageError
from contextssl_cli.plugin import ActionType, Dataset, Options, Prepared, Samples, Schema
from contextssl_cli.plugin.registry import Registry, registry
from contextssl_cli.plugin.task import Task
from contextssl_cli.testing import example_inputs, example_schema


class Panic(BaseException):
    """As the Rust extensions' of pyo3."""


class Silent(Exception):  # noqa: N818 - a stranger's
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Escapes(Exception):  # noqa: N818 - a stranger's
    """An exception whose text acts on a terminal."""

    def __str__(self) -> str:
        return "\x1b[2J\nerror[E100]: forged"


RAISED = [ValueError("x"), SystemExit(0), GeneratorExit(), Panic("rust"), Silent(), Escapes(), StopIteration(),
          EOFError(), AttributeError("y"), RecursionError(), OSError("no file named")]  # fmt: skip
PASSED = [UsageError("x"), DataMissingError("x"), KeyboardInterrupt(), MemoryError(), FileNotFoundError(2, "gone", "a")]

raising: list[BaseException] = []
"""What the plugins below raise."""


def fail() -> Any:
    raise raising[-1]


class Moods(Options):
    mood: str = "good"

    @field_validator("mood")
    @classmethod
    def _check(cls, value: str) -> str:
        if value == "bad":
            fail()
        return value


class Broken(ActionType):
    name = "broken"
    summary = "fails"
    modality = "image"
    options = Moods

    @property
    def order(self) -> int:  # type: ignore[override]
        return int(fail())

    @functools.cached_property
    def probe(self) -> str:  # type: ignore[override]
        return str(fail())

    def width(self, schema: Schema) -> int:
        return int(fail())

    def sample(self, inputs: Tensor, schema: Schema, generator: torch.Generator) -> Tensor:
        return torch.as_tensor(self._hidden())

    def _hidden(self) -> Any:
        return fail()

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        return torch.as_tensor(fail())

    def partners(self, inputs: Tensor, schema: Schema) -> Tensor:
        return torch.as_tensor(fail())

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.as_tensor(fail())


class BrokenSet(Dataset):
    name = "brokenset"
    summary = "fails"
    modality = "image"
    licence = "none"
    needs_source = False
    options = Moods

    def prepare(self, source: Path | None, options: Any) -> Prepared:
        fail()
        return Prepared(example_schema(Broken()))

    def digests(self, source: Path, options: Any) -> dict[str, str]:
        return dict(fail())

    def augment(self, inputs: Tensor, schema: Schema, generator: torch.Generator) -> Tensor:
        return torch.as_tensor(fail())

    def augment_view(self, inputs: Tensor, schema: Schema, generator: torch.Generator) -> Tensor:
        return torch.as_tensor(fail())


SCHEMA = example_schema(Broken())
INPUTS = example_inputs(SCHEMA)
CALLS = {
    "width": lambda: Broken().width(SCHEMA),
    "sample": lambda: Broken().sample(INPUTS, SCHEMA, torch.Generator()),
    "apply": lambda: Broken().apply(INPUTS, INPUTS, SCHEMA),
    "partners": lambda: Broken().partners(INPUTS, SCHEMA),
    "relative": lambda: Broken().relative(INPUTS, INPUTS),
    "a property": lambda: Broken().order,
    "a cached property": lambda: Broken().probe,
    "an option": lambda: Broken().configured({"mood": "bad"}),
    "prepare": lambda: BrokenSet().prepare(None, Moods()),
    "digests": lambda: BrokenSet().digests(Path(), Moods()),
    "augment": lambda: BrokenSet().augment(INPUTS, SCHEMA, torch.Generator()),
    "augment_view": lambda: BrokenSet().augment_view(INPUTS, SCHEMA, torch.Generator()),
}


@pytest.mark.parametrize("error", RAISED, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("call", CALLS)
def test_the_plugin_is_named(call: str, error: BaseException) -> None:
    if call == "an option" and isinstance(error, ValueError):
        pytest.skip("a validator's way to say that a value does not fit")
    raising.append(error)
    with pytest.raises(PluginError, match="broken") as caught:
        CALLS[call]()
    assert caught.value.exit_code == 5
    assert caught.value.__cause__ is error
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("error", PASSED, ids=lambda e: type(e).__name__)
def test_what_is_not_the_plugins_fault_passes(error: BaseException) -> None:
    raising.append(error)
    with pytest.raises(type(error)) as caught:
        BrokenSet().prepare(None, Moods())
    assert caught.value is error


@pytest.mark.parametrize("error", RAISED, ids=lambda e: type(e).__name__)
def test_a_generator_of_samples_and_a_part(error: BaseException, tmp_path: Path) -> None:
    class Late(BrokenSet):
        def prepare(self, source: Path | None, options: Any) -> Prepared:
            return Prepared(SCHEMA, samples())

    def samples() -> Iterator[Samples]:
        yield Samples("train", np.zeros((1, *SCHEMA.shape), np.uint8), {"class": np.zeros(1, np.int64)})
        raise error

    with pytest.raises((PluginError, RuntimeError)) as caught:
        prepare(Late(), None, tmp_path / "store.h5")
    assert isinstance(caught.value, PluginError)
    assert list(tmp_path.iterdir()) == []


def part() -> Samples:
    raise SystemExit(0)


@pytest.mark.slow
def test_a_part_that_ends_its_process(tmp_path: Path) -> None:
    with pytest.raises(PluginError):
        list(make_parts(tmp_path / "store.h5", SCHEMA, [part], {}, lambda done, total: None))


@pytest.mark.parametrize("given", [5, None, "store", {}])
def test_a_data_set_that_gives_something_else(given: object, tmp_path: Path) -> None:
    class Odd(BrokenSet):
        def prepare(self, source: Path | None, options: Any) -> Prepared:
            return given  # type: ignore[return-value]

    with pytest.raises(PluginError, match="brokenset"):
        prepare(Odd(), None, tmp_path / "store.h5")


@pytest.mark.parametrize(
    "changed",
    [
        {"schema": None},
        {"schema": {}},
        {"sources": ["a"]},
        {"sources": None},
        {"notes": [1]},
        {"parts": 5},
        {"samples": None},
        {"samples": 5},
        {"sources": {"a": object()}},
        {"notes": {"a": b"bytes"}},
        {"notes": {"a": float("nan")}},
        {"notes": {"a": 10**5000}},
        {"notes": {"a": functools.reduce(lambda inner, _: [inner], range(200), [])}},
        {"notes": {"a": functools.reduce(lambda inner, _: [inner], range(5000), [])}},
    ],
)
def test_a_field_of_what_it_gives_is_something_else(changed: dict[str, Any], tmp_path: Path) -> None:
    class Odd(BrokenSet):
        def prepare(self, source: Path | None, options: Any) -> Prepared:
            made = [
                Samples(split, np.zeros((1, *SCHEMA.shape), np.uint8), {"class": np.zeros(1, np.int64)})
                for split in ("train", "test")
            ]
            return Prepared(**{"schema": SCHEMA, "samples": made, **changed})

    with pytest.raises(PluginError):
        prepare(Odd(), None, tmp_path / "store.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("width", [0, -1, "two", 1.5])
def test_a_width_that_is_none(width: object) -> None:
    from contextssl_cli.data.actions import ActionSpace

    class Wide(Broken):
        def width(self, schema: Schema) -> int:
            return width  # type: ignore[return-value]

    with pytest.raises(PluginError, match="width"):
        ActionSpace.of(Task(BrokenSet(), (Wide(),)), SCHEMA)


class Point:
    """An entry point that gives a module made here."""

    def __init__(self, name: str, load: Any) -> None:
        self.name, self.dist, self.load = name, None, load


def registered(load: Any) -> Registry:
    good = next(point for point in metadata.entry_points(group="contextssl") if point.name == "contextssl_digits")
    return Registry([Point("stranger", load), good])  # type: ignore[list-item]


def module(**attributes: object) -> Any:
    """A loader of a plugin with one data set that has these attributes."""
    from types import ModuleType

    from contextssl_cli.plugin import hookimpl

    kind = type("Stranger", (BrokenSet,), {"name": "stranger", **attributes})
    made = ModuleType("stranger")

    @hookimpl
    def contextssl_datasets() -> list[Any]:
        return [kind()]

    made.contextssl_datasets = contextssl_datasets  # type: ignore[attr-defined]
    return lambda: made


@pytest.mark.parametrize("error", RAISED, ids=lambda e: type(e).__name__)
def test_a_failure_at_import_costs_nobody_else_anything(error: BaseException) -> None:
    raising.append(error)
    found = registered(fail)
    assert "digits" in found.datasets
    (row,) = [row for row in found.rows if row.error]
    assert row.name == "stranger"
    with pytest.raises(PluginError, match="stranger"):
        found.dataset("stranger")


def getattribute(self: object, name: str) -> object:
    if name == "summary":
        fail()
    return object.__getattribute__(self, name)


@pytest.mark.parametrize(
    "attributes",
    [
        {"summary": property(lambda self: fail())},
        {"training": property(lambda self: fail())},
        {"__getattribute__": getattribute},
        {"training": 5},
        {"training": {3: 4}},
        {"trial": {None: 1}},
        {"probing": ["a"]},
        {"options": dict},
        {"name": 7},
        {"name": 7, "__repr__": lambda self: fail()},
        {"actions": (5,)},
        {"licence": None},
    ],
)
def test_a_definition_that_fails_is_a_row(attributes: dict[str, object]) -> None:
    raising.append(Panic("rust"))
    found = registered(module(**attributes))
    assert "digits" in found.datasets
    assert [row.name for row in found.rows if row.error] == ["stranger"]
    assert found.rows[-1].error.isprintable()


def test_a_command_ends_with_the_plugins_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = registered(module())
    monkeypatch.setattr("contextssl_cli.plugin.registry.registry", lambda: found)
    for error in (SystemExit(0), Escapes(), Panic("rust"), EOFError(), BrokenPipeError(errno.EPIPE, "Broken pipe")):
        raising.append(error)
        assert app.run(["prepare", "stranger", "--out", str(tmp_path / "store.h5")]) == 5
        err = capsys.readouterr().err
        assert err.startswith("error[E500]: ")
        assert "stranger" in err
        assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
    registry.cache_clear()


def test_our_own_plugins_keep_their_errors() -> None:
    digits = registry().dataset("digits")
    with pytest.raises(ContextSSLError):
        registry().action(digits, "rotation").configured({"nothing": 1})
