"""The generated pages are fresh, and what they are made of is complete."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from contextssl_cli import plugin
from contextssl_cli.cli.app import run
from contextssl_cli.plugin import spec
from contextssl_cli.plugin.registry import registry
from tests.docs.conftest import DOCS
from tests.places import built_in


def test_no_generated_page_is_stale(generate: ModuleType) -> None:
    assert generate.stale() == [], "run python docs/generate.py"


def test_the_command_page_has_the_options_of_every_help(
    generate: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in generate.commands():
        assert run([*command.name.split(), "--help"]) == 0
        listed = capsys.readouterr().out.split("Options:\n")[1]
        told = re.findall(r"^  (?:(-\w), )?(--[\w-]+)", listed, re.MULTILINE)
        assert {name for names in told for name in names if name} == set(command.options), command.name


def test_every_help_names_its_values_and_fits_80_columns(
    generate: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in generate.commands():
        assert run([*command.name.split(), "--help"]) == 0
        shown = capsys.readouterr().out
        assert max(map(len, shown.splitlines())) <= 80, command.name
        options = shown.split("Options:\n")[1]
        assert re.findall(r"^  .*--[\w-]+ <(?:str|int|float|path)", options, re.MULTILINE) == [], command.name


@pytest.mark.parametrize("name", ["digits", "imagefolder", "shapes3d", "table"])
def test_the_help_of_a_data_set_fits_80_columns(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    built_in(name)
    assert run(["prepare", name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for key, field in registry().dataset(name).options.model_fields.items():
        assert f"--{key.replace('_', '-')}" in shown
        assert field.default in (None, False, ()) or f"[default: {field.default}]" in shown


def test_every_top_level_command_is_on_the_page(generate: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    run(["--help"])
    listed = capsys.readouterr().out.split("Commands:\n")[1]
    told = {line.split()[0] for line in listed.splitlines() if re.match(r"  \S", line)}
    assert told == {command.name.split()[0] for command in generate.commands()}


def test_every_setting_has_a_line(generate: ModuleType) -> None:
    from contextssl_cli.config.model import ModelConfig
    from contextssl_cli.config.probe import ProbeConfig
    from contextssl_cli.config.train import TrainConfig

    page = (DOCS / "configuration.md").read_text()
    names = {*TrainConfig.model_fields, *ModelConfig.model_fields, *ProbeConfig.model_fields} - {"model"}
    assert [name for name in sorted(names) if f"\n| `{name}` |" not in page] == []


def test_every_public_module_is_in_the_reference(generate: ModuleType) -> None:
    reference = "\n".join(path.read_text() for path in (DOCS / "api").glob("*.md"))
    assert [name for name in generate.modules() if f".. automodule:: {name}\n" not in reference] == []


def test_every_page_of_the_reference_is_linked() -> None:
    index = (DOCS / "api" / "index.md").read_text()
    pages = [path.stem for path in (DOCS / "api").glob("*.md") if path.stem != "index"]
    assert [page for page in pages if not re.search(rf"^{page}$", index, re.MULTILINE)] == []


def test_every_hook_and_every_name_for_authors_is_in_the_guide() -> None:
    guide = (DOCS / "plugins.md").read_text()
    hooks = [name for name in vars(spec) if name.startswith("contextssl_")]
    assert hooks
    assert [name for name in [*hooks, *plugin.__all__] if name not in guide] == []


def test_every_method_of_a_plugin_is_in_the_guide() -> None:
    guide = (DOCS / "plugins.md").read_text()
    members = {name for kind in (plugin.Dataset, plugin.ActionType) for name in vars(kind) if not name.startswith("_")}
    declared = {name for kind in (plugin.Dataset, plugin.ActionType) for name in kind.__annotations__}
    assert [name for name in sorted(members | declared) if f"`{name}" not in guide] == []
