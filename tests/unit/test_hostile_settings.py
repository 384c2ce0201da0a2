"""JSON, TOML and settings that are deep, long, double or not finite: refused in words, never a crash."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextssl_cli import files
from contextssl_cli.config.resolve import ask, parse_setting, resolve_config
from contextssl_cli.errors import CorruptFileError, UsageError
from contextssl_cli.evaluation.cache import read_tensors, read_values
from contextssl_cli.experiments.recipe import read_recipe
from contextssl_cli.parsing import parse_json
from contextssl_cli.plugin.registry import registry
from contextssl_cli.report.figures import draw_training, read_losses
from contextssl_cli.training.log import MetricsLog

DIGITS = "9" * 5000
TOML = {
    "deep lists": "lr = " + "[" * 5000,
    "deep lists that end": "lr = " + "[" * 200 + "]" * 200,
    "deep tables": "lr = " + "{a = " * 5000,
    "dotted": ".".join(["a"] * 5000) + " = 1",
    "dotted, not too deep for the parser": ".".join(["a"] * 150) + " = 1",
    "dotted header": "[" + ".".join(["a"] * 5000) + "]",
    "long number": f"steps = {DIGITS}",
    "long number in a list": f"steps = [1, -{DIGITS}]",
    "long hexadecimal": "steps = 0x" + "f" * 5000,
    "double key": "lr = 1\nlr = 2",
    "double table": "[model]\n[model]",
    "surrogate": 'lr = "\\ud800"',
}
JSON = {
    "deep lists": "[" * 100_000,
    "deep lists that end": '{"a": ' + "[" * 200 + "]" * 200 + "}",
    "deep objects": '{"a":' * 50_000,
    "long number": f'{{"a": {DIGITS}}}',
    "NaN": '{"a": NaN}',
    "Infinity": '{"a": [-Infinity]}',
    "too large": '{"a": 1e999}',
    "double key": '{"a": 1, "a": 2}',
    "double key inside": '{"b": {"a": 1, "a": 1}}',
    "a list": "[1]",
    "a number": "7",
    "nothing": "",
}


@pytest.mark.parametrize("read", [files.read_toml, read_recipe, lambda path: ask(file=path, environ={})])
@pytest.mark.parametrize("name", TOML)
def test_toml_that_is_refused(name: str, read: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(TOML[name])
    with pytest.raises((CorruptFileError, UsageError)):
        read(path)


@pytest.mark.parametrize("name", JSON)
def test_json_that_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text(JSON[name])
    with pytest.raises(CorruptFileError, match=r"file\.json"):
        files.read_json(path)
    assert read_values(path) is None
    assert read_tensors(path) is None


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.recursive(
        st.none() | st.booleans() | NUMBERS | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_that_is_written_is_read_back(value: object) -> None:
    assert parse_json(json.dumps(value, allow_nan=False)) == value


def digits() -> object:
    return registry().dataset("digits")


SETTINGS = [
    f"steps={DIGITS}",
    f"steps=[{DIGITS}]",
    "lr=" + "[" * 5000,
    "lr=" + "{a=" * 5000,
    ".".join(["a"] * 10_000) + "=1",
    "model." + ".".join(["width"] * 100) + "=1",
    "." * 10_000 + "=1",
    "=1",
    "lr=1e999",
    "lr=nan",
    "lr=-inf",
    "lr=",
    "lr=''",
    "steps=5\nseed=3",
    "steps=5\n[model]\nwidth=3",
    "seed=-1",
    "lr=\ud800",
    "\x1b[2J=1",
    os.fsdecode(b"\xff=1"),
]


@pytest.mark.parametrize("text", SETTINGS, ids=lambda text: ascii(text[:20]))
def test_a_setting_that_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        resolve_config(digits(), ask(flags=dict([parse_setting(text)]), environ={}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("variable", "text"),
    [("STEPS", DIGITS), ("LR", "[" * 5000), ("LR", "1e999"), ("SEED", "1\nsteps = 2"), ("A" * 5000, "1"),
     ("MODEL_" + "_".join("A" * 999), "1"), ("NO.SUCH.KEY" * 99, "1"), ("LR", "\ud800")],
)  # fmt: skip
def test_a_variable_that_is_refused(variable: str, text: str) -> None:
    with pytest.raises(UsageError):
        resolve_config(digits(), ask(environ={f"CONTEXTSSL_{variable}": text}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line",
    ["[" * 100_000, DIGITS, '{"step": ' + DIGITS + "}", '{"step": "1"}', "[]", "null", "\udcff", '{"step": NaN}'],
)
def test_a_metrics_log_leaves_out_lines_that_it_did_not_write(line: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n'.encode("utf-8", "surrogateescape"))
    assert [entry["step"] for entry in MetricsLog(path).lines()] == [1, 2]


@pytest.mark.parametrize("keys", [("version", "task"), ("version",)])
@pytest.mark.parametrize(
    ("text", "ours"),
    [
        (json.dumps({"version": 1, "task": "t"}, indent=2), True),
        (json.dumps({"task": "t", "version": 1}), True),
        (json.dumps({"version": 1, "task": "t"}, indent=2)[:17], True),  # cut off
        (json.dumps({"mine": 1}), False),
        (json.dumps({"mine": 1}, indent=2)[:8], False),
        ("[1]", False),
        ("", False),
        ("\x00\xff", False),
    ],
)
def test_whose_a_json_file_is(text: str, ours: bool, keys: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(text.encode("latin-1"))
    assert files.is_own_json(path, *keys) is ours


@pytest.mark.parametrize("loss", ["7", "[1]", '"x"', '{"a": "b"}', '{"a": null}', '{"a": {"b": 1}}', "null", "9" * 400])
def test_a_training_curve_draws_numbers_alone(loss: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [
        f'{{"step": 1, "terms": {loss}, "held_out_gap_ridge": {loss}}}',
        f'{{"step": 1, "terms": {{"contrast": {loss}, "features": {loss}}}}}',
        '{"step": 2, "terms": {"contrast": {"a": 1}}}',
    ]
    path.write_text("\n".join(lines) + "\n")
    found = read_losses(MetricsLog(path))
    assert found[-1] == {"step": 2, "loss": {"a": 1.0}, "held_out_gap_ridge": None}
    draw_training(found)
