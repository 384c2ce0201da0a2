"""Finding plugins: the built-ins as strangers are found, and a broken one costs nobody else anything."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import contextssl_cli
from contextssl_cli.cli.app import run
from contextssl_cli.errors import PluginError, UsageError
from contextssl_cli.plugin.registry import Registry, registry
from contextssl_cli.plugin.task import resolve_task
from tests.plugins.conftest import Install

HEAD = """
from contextssl_cli.plugin import ActionType, Dataset, hookimpl

class Bluer(ActionType):
    name, summary, modality = "bluer", "how blue", "image"
    def width(self, schema): return 1
    def relative(self, first, second): return second - first

class Leaves(Dataset):
    name, summary, modality, licence = "leaves", "of trees", "image", "CC0"
    def prepare(self, source, options): raise NotImplementedError
"""
ACTIONS = HEAD + "@hookimpl\ndef contextssl_action_types():\n    return [Bluer()]\n"
DATASETS = HEAD + "@hookimpl\ndef contextssl_datasets():\n    return [Leaves()]\n"

BROKEN = {
    "an import error": ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
    "a syntax error": ("def", "SyntaxError"),
    "an exit on import": ("raise SystemExit(3)", "SystemExit: 3"),
    "a misspelt hook": (ACTIONS.replace("contextssl_action_types", "contextssl_action_type"), "contextssl_action_type"),
    "an unmarked hook": (ACTIONS.replace("@hookimpl", ""), "contextssl_action_types is not marked with @hookimpl"),
    "a hook with a parameter": (ACTIONS.replace("types():", "types(config):"), "config"),
    "a hook that raises": (ACTIONS.replace("[Bluer()]", "1 / 0"), "ZeroDivisionError: division by zero"),
    "a hook that gives nothing": (ACTIONS.replace("return [Bluer()]", "pass"), "provides no"),
    "a hook that gives no list": (ACTIONS.replace("[Bluer()]", "3"), "TypeError"),
    "no hook": (HEAD, "provides no"),
    "a class for an instance": (ACTIONS.replace("Bluer()]", "Bluer]"), "expected instances of ActionType"),
    "another kind": (ACTIONS.replace("Bluer()]", "Leaves()]"), "expected instances of ActionType"),
    "a bad name": (ACTIONS.replace('"bluer"', '"blu-er"'), "a-z, 0-9 and _"),
    "no summary": (ACTIONS.replace("name, summary, modality = ", "name, x, modality = "), "no text 'summary'"),
    "no modality": (ACTIONS.replace("name, summary, modality = ", "name, summary, x = "), "no text 'modality'"),
    "no licence": (DATASETS.replace("modality, licence = ", "modality, x = "), "no text 'licence'"),
    "actions of no kind": (DATASETS.replace("    def prepare", "    actions = [3]\n    def prepare"), "ActionType"),
    "no name": (ACTIONS.replace("name, summary, modality = ", "summary, modality, x = "), "a-z, 0-9 and _"),
}  # fmt: skip


def rows() -> list[dict[str, str]]:
    """The rows of ``contextssl plugins`` for the distribution ``foo``."""
    return [row for row in listed() if row["owner"] == "foo"]


def listed() -> list[dict[str, str]]:
    header = ("kind", "name", "plugin", "owner", "what")
    found = []
    for row in registry().rows:
        found += [("data set", item.name, row.name, row.owner, item.summary) for item in row.datasets]
        found += [("action type", item.name, row.name, row.owner, item.summary) for item in row.actions]
        found += [("failed", "", row.name, row.owner, row.error)] if row.error else []
    return [dict(zip(header, values, strict=True)) for values in found]


@pytest.mark.parametrize(("code", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_a_row_and_no_more(
    install: Install, capsys: pytest.CaptureFixture[str], code: str, reason: str
) -> None:
    install("foo", code)
    assert run(["plugins", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (row,) = [row for row in found if row["owner"] == "foo"]
    assert row["kind"] == "failed"
    assert reason in row["what"]
    assert {"digits", "adult", "rotation", "color", "gender"} <= {row["name"] for row in found}
    assert run(["plugins"]) == 0
    assert reason in re.sub(r"[\s│]+", " ", capsys.readouterr().out)  # the table breaks long lines
    assert run(["prepare", "digits", "--dry-run"]) == 0
    assert run(["pretrain", "--plugin", "digits-rotation-color", "--dry-run"]) == 0
    capsys.readouterr()
    for arguments in (
        ["prepare", "foo"],
        ["pretrain", "--plugin", "foo-color"],
        ["pretrain", "--plugin", "digits-foo"],
    ):
        assert run(arguments) == 5
        message = capsys.readouterr().err
        assert "the plugin foo of foo failed" in message
        assert reason in message
        assert len(message.splitlines()) <= 2


def test_a_good_plugin_is_found(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("foo", ACTIONS)
    install("bar", DATASETS)
    assert [(row["kind"], row["name"], row["what"]) for row in rows()] == [("action type", "bluer", "how blue")]
    assert resolve_task("leaves-bluer-rotation").environments == (("bluer",), ("rotation",))
    assert run(["plugins"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if "[foo]" in line] == [["bluer", "image", "how", "blue", "[foo]"]]
    assert not [line for line in lines if "[contextssl" in line]


def test_a_failed_plugin_is_named_by_its_prefix_too(install: Install) -> None:
    install("foo", "1 / 0", point="contextssl_foo")
    with pytest.raises(PluginError, match="the plugin contextssl_foo of foo failed"):
        registry().dataset("foo")


def test_a_duplicate_entry_point_names_both_owners(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("foo", DATASETS, point="contextssl_digits")
    assert run(["plugins", "--json"]) == 0
    (row,) = [row for row in json.loads(capsys.readouterr().out) if row["owner"] == "foo"]
    assert row["kind"] == "failed"
    assert row["what"].startswith("duplicate: contextssl and foo ")
    assert "'contextssl_digits'" in row["what"]
    assert type(registry().dataset("digits")).__module__ == "contextssl_digits.digits"
    assert "leaves" not in registry().datasets


def test_a_duplicate_data_set_names_both_owners(install: Install) -> None:
    install("foo", DATASETS.replace('"leaves"', '"digits"'))
    (row,) = rows()
    assert row["kind"] == "failed"
    assert row["what"].startswith("duplicate: contextssl (contextssl_digits) and foo (foo) ")
    assert "the data set 'digits'" in row["what"]
    assert type(registry().dataset("digits")).__module__ == "contextssl_digits.digits"


def test_a_duplicate_action_type_costs_only_itself(install: Install) -> None:
    both = ACTIONS.replace("[Bluer()]", "[Bluer(), type('Other', (Bluer,), {'name': 'color'})()]")
    install("foo", both)
    assert {(row["kind"], row["name"]) for row in rows()} == {("action type", "bluer"), ("failed", "")}
    assert type(registry().actions["color"]).__module__ == "contextssl_color.color"


@pytest.mark.parametrize("order", [("aaa", "zzz"), ("zzz", "aaa")])
def test_who_wins_does_not_depend_on_the_order_of_installation(install: Install, order: tuple[str, str]) -> None:
    for name in order:
        install(name, DATASETS)
    assert type(registry().dataset("leaves")).__module__ == "stranger_aaa"


def test_a_data_sets_own_action_type_shadows_the_applied_one(install: Install) -> None:
    own = "    actions = (type('Own', (Bluer,), {'name': 'rotation', 'recorded': True})(),)\n"
    install("foo", DATASETS.replace("    def prepare", own + "    def prepare", 1))
    assert resolve_task("leaves-rotation").actions[0].recorded
    assert not resolve_task("digits-rotation").actions[0].recorded


def test_built_ins_come_through_entry_points_only() -> None:
    empty = Registry([])
    assert empty.datasets == {}
    assert empty.actions == {}
    with pytest.raises(UsageError, match="none are known"):
        empty.dataset("digits")


def test_the_core_imports_no_plugin() -> None:
    plugins = {row.name for row in registry().rows if row.owner == "contextssl"}
    assert len(plugins) >= 5
    imported: set[str] = set()
    sources = list(Path(contextssl_cli.__file__).parent.rglob("*.py"))
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                imported |= {node.value} & plugins
    assert "contextssl_cli" in imported
    assert not imported & plugins


def test_an_installed_stranger_end_to_end(install: Install, tmp_path: Path) -> None:
    folder = install("foo", "import not_there")
    install("bar", ACTIONS)
    environment = os.environ | {"PYTHONPATH": str(folder), "CONTEXTSSL_HOME": str(tmp_path / "home")}

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = "import sys; from contextssl_cli.cli.app import main; main(sys.argv[1:])"
        return subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False, env=environment
        )

    plugins = command("plugins", "--json")
    assert plugins.returncode == 0, plugins.stderr
    found = {(row["owner"], row["kind"], row["name"]) for row in json.loads(plugins.stdout)}
    assert {("bar", "action type", "bluer"), ("foo", "failed", ""), ("contextssl", "data set", "digits")} <= found
    assert command("prepare", "digits", "--dry-run").returncode == 0
    failed = command("prepare", "foo")
    assert failed.returncode == 5
    assert failed.stderr.startswith("error[E500]: the plugin foo of foo failed: ModuleNotFoundError")
