"""The table of plugins, and what their check found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contextssl_cli.plugin.registry import PluginRow, Registry
from contextssl_cli.report.terminal import terminal


def print_plugins(registry: Registry, *, as_json: bool) -> None:
    """One row per data set, action type and recipe, and one per plugin that failed, with the reason."""
    rows = [line for row in registry.rows for line in _lines(row)]
    header = ["kind", "name", "modality", "plugin", "owner", "what"]
    if as_json:
        terminal.json([dict(zip(header, row, strict=True)) for row in rows])
        return
    terminal.table("Plugins", header, rows)
    terminal.note("pretrain --plugin <data set>-<action type>[-<action type>], of one modality")


def print_findings(findings: Sequence[Mapping[str, str]], *, as_json: bool) -> None:
    """One line per rule: what became of it, where, and for a broken one what was found and what to do."""
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
    lines += [
        ["recipe", path.stem, "", row.name, row.owner, f"contextssl reproduce {path.stem}"] for path in row.recipes
    ]
    if row.error:
        lines.append(["failed", "", "", row.name, row.owner, row.error])
    return lines
