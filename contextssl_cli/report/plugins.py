"""The table of plugins."""

from __future__ import annotations

from contextssl_cli.plugin.registry import PluginRow, Registry
from contextssl_cli.report.terminal import terminal


def print_plugins(registry: Registry, *, as_json: bool) -> None:
    """One row per data set and action type, and one per plugin that failed, with the reason."""
    rows = [line for row in registry.rows for line in _lines(row)]
    header = ["kind", "name", "modality", "plugin", "owner", "what"]
    if as_json:
        terminal.json([dict(zip(header, row, strict=True)) for row in rows])
        return
    terminal.table("Plugins", header, rows)
    terminal.note("pretrain --plugin <data set>-<action type>[-<action type>], of one modality")


def _lines(row: PluginRow) -> list[list[str]]:
    lines = [["data set", d.name, d.modality, row.name, row.owner, d.summary] for d in row.datasets]
    own = [(action, f"{action.summary} (only for {d.name})") for d in row.datasets for action in d.actions]
    shared = [(action, action.summary) for action in row.actions]
    lines += [["action type", a.name, a.modality, row.name, row.owner, what] for a, what in own + shared]
    if row.error:
        lines.append(["failed", "", "", row.name, row.owner, row.error])
    return lines
