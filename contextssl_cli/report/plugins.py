"""The list of plugins, and the findings of their check."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from contextssl_cli.errors import ContextSSLError
from contextssl_cli.files import read_toml
from contextssl_cli.plugin.registry import PluginRow, Registry
from contextssl_cli.report.terminal import terminal
from contextssl_cli.text import reason

_WIDTH = 80
_TITLES = {
    "data set": "Data sets",
    "action type": "Action types",
    "recipe": "Recipes, for contextssl reproduce",
    "failed": "Plugins that failed",
}


def print_plugins(registry: Registry, *, as_json: bool) -> None:
    """List data sets, action types and recipes, then plugins that failed, with the reason.

    The text fits 80 columns, and names the plugin of what is not built in. The JSON names the plugin and the
    distribution of everything.
    """
    rows = [line for row in registry.rows for line in _lines(row)]
    if as_json:
        header = ["kind", "name", "modality", "plugin", "owner", "what"]
        terminal.json([dict(zip(header, row, strict=True)) for row in rows])
        return
    for kind, title in _TITLES.items():
        found = sorted(row for row in rows if row[0] == kind)
        if found:
            terminal.result(title)
        for _, name, modality, plugin, owner, what in found:
            head = f"{plugin} of {owner}: " if kind == "failed" else f"{name:<13} {modality:<6} "
            indent = " " * 23 if kind != "failed" else "    "
            origin = "" if kind == "failed" or owner == "contextssl" else f" [{plugin}]"
            for line in textwrap.wrap(f"  {head}{what}{origin}", _WIDTH, subsequent_indent=indent):
                terminal.result(line)
    terminal.note("To train: contextssl pretrain --plugin digits-rotation-color")


def print_findings(findings: Sequence[Mapping[str, str]], *, as_json: bool) -> None:
    """Print one line per rule: its result, where it applies, and for a broken rule what was found and what to do."""
    if as_json:
        terminal.json(list(findings))
        return
    for found in findings:
        place = f"{found['result']:8} {found['subject']}: {found['rule']}"
        terminal.result(f"{place}: {found['text']}" if found["text"] else place)


def _lines(row: PluginRow) -> list[list[str]]:
    lines = [["data set", d.name, d.modality, row.name, row.owner, d.summary] for d in row.datasets]
    own = [(action, f"{action.summary} (only for {d.name})") for d in row.datasets for action in d.actions]
    shared = [(action, action.summary) for action in row.actions]
    lines += [["action type", a.name, a.modality, row.name, row.owner, what] for a, what in own + shared]
    lines += [["recipe", path.stem, "", row.name, row.owner, _recipe_title(path)] for path in row.recipes]
    if row.error:
        lines.append(["failed", "", "", row.name, row.owner, row.error])
    return lines


def _recipe_title(path: Path) -> str:
    try:
        return str(read_toml(path)["title"])
    except (ContextSSLError, KeyError) as error:  # the list must not fail because of one recipe
        return reason(error)
