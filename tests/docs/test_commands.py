"""Every command that the documentation writes down exists, with its options, data sets, tasks and settings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from contextssl_cli.config.model import ModelConfig
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.plugin.registry import registry
from contextssl_cli.plugin.task import resolve_task
from tests.docs.conftest import EXAMPLE, PAGES, ROOT, blocks


def written(page: Path) -> Iterator[str]:
    """The commands of a page: lines of console blocks, and code between single backticks."""
    for block in blocks(page, "console"):
        for line in block.replace("\\\n", " ").splitlines():
            yield from (part.strip().removeprefix("$ ") for part in line.split("&&"))
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`(contextssl [^`]*)`", prose)


def found() -> list[Any]:
    pages = [page for page in PAGES if EXAMPLE not in page.parents]  # its commands are run by test_example_plugin
    lines = [(page, line) for page in pages for line in written(page) if line.startswith("contextssl ")]
    return [pytest.param(line, id=f"{page.relative_to(ROOT)}: {line[:60]}") for page, line in lines]


@pytest.mark.parametrize("line", found())
def test_a_written_command_exists(line: str, generate: ModuleType) -> None:
    words = shlex.split(line, comments=True)[1:]
    if words in (["--help"], ["--version"], ["--install-completion"], ["--show-completion"]):
        return
    known = {tuple(command.name.split()): command for command in generate.commands()}
    name = next((name for name in (tuple(words[:2]), tuple(words[:1])) if name in known), None)
    assert name is not None, f"there is no command {words[0]!r}"
    options = known[name].options | own_options(name, words)
    rest = iter(words[len(name) :])
    plain = []
    for word in rest:
        if not word.startswith("-"):
            plain.append(word)
            continue
        assert word in options, f"contextssl {' '.join(name)} has no option {word}"
        if options[word]:
            check_value(word, next(rest, None))
    arguments = [p for p in known[name].parameters if p.argument]
    prose = line == f"contextssl {' '.join(name)}" or not plain
    repeatable = any("repeatable" in p.kind for p in arguments)
    fitting = len(plain) >= 1 if repeatable else len(plain) == len(arguments)
    assert fitting or (prose and not plain), f"arguments: {plain}"


def own_options(name: tuple[str, ...], words: list[str]) -> dict[str, bool]:
    """The options that a data set adds to ``prepare``, and whether a value follows; the data set has to exist."""
    if name != ("prepare",) or len(words) < 2 or words[1].startswith("-") or words[1] == "NAME":
        return {}
    fields = registry().dataset(words[1]).options.model_fields
    return {f"--{key.replace('_', '-')}": field.annotation is not bool for key, field in fields.items()}


def check_value(option: str, value: str | None) -> None:
    """The value of an option names something that exists."""
    if value is None or value.startswith("<"):  # in prose: the option alone, or a placeholder
        return
    if option == "--plugin":
        resolve_task(value)
    if option == "--set":
        check_setting(value.partition("=")[0])


def check_setting(key: str) -> None:
    first, *rest = key.split(".")
    if first == "actions":
        name, option = rest
        owners = [registry().actions, *({a.name: a for a in d.actions} for d in registry().datasets.values())]
        assert any(option in found[name].options.model_fields for found in owners if name in found), key
    else:
        assert key == "key" or (rest[0] in ModelConfig.model_fields if rest else first in TrainConfig.model_fields), key


def test_commands_are_found_at_all() -> None:
    assert len(found()) > 40
