"""``contextssl prepare``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from contextssl_cli.cli import options


def prepare_main(
    context: typer.Context,
    dataset: Annotated[
        str | None, typer.Argument(help="Name of the data set; contextssl plugins lists them.", show_default=False)
    ] = None,
    source: options.Source = None,
    out: options.Out = None,
    force: options.Force = False,
    dry_run: options.DryRun = False,
    show_help: Annotated[bool, typer.Option("--help", help="Show this message, and the data set's options.")] = False,
) -> None:
    """Turn a data set into one store. A data set may have options of its own: contextssl prepare NAME --help."""
    from contextssl_cli.report.terminal import terminal

    if show_help or dataset is None:
        for line in _help(context, dataset):
            terminal.result(line)
        return
    _prepare(dataset, source, out, context.args, force=force, dry_run=dry_run)


def _prepare(
    name: str, source: Path | None, out: Path | None, arguments: Sequence[str], *, force: bool, dry_run: bool
) -> None:
    from contextssl_cli import files, paths
    from contextssl_cli.cli.dataset_options import parse_options
    from contextssl_cli.data.prepare import prepare as write_store
    from contextssl_cli.plugin.registry import registry
    from contextssl_cli.report.progress import parts_progress
    from contextssl_cli.report.terminal import terminal

    plugin = registry().dataset(name)
    asked = parse_options(plugin, arguments)
    path = files.check_output(out or paths.store_path(plugin.name), source)
    if dry_run:
        if source:
            files.check_source(source)
        terminal.result(f"would prepare {plugin.name} from {source or 'its own source'} into {path}")
        return
    kept = path.exists() and not force
    with parts_progress(plugin.name) as report:
        store = write_store(plugin, source, path, options=asked, force=force, report=report)
    if kept:
        terminal.note(f"{plugin.name} was prepared before; --force prepares it again")
    for note in prepared_notes(store.provenance):
        terminal.note(note)
    terminal.result(f"{store.path}: {len(store.train)} training and {len(store.test)} test samples")


def prepared_notes(provenance: Mapping[str, Any]) -> list[str]:
    """What a user should know of how a store was made."""
    notes = [f"{name}: {value}" for name, value in provenance.get("notes", {}).items()]
    if provenance.get("skipped"):
        notes.append(f"skipped: {provenance['skipped']} (first: {provenance['skipped_sources'][0]})")
    return notes


def _help(context: typer.Context, name: str | None) -> list[str]:
    from contextssl_cli.cli.dataset_options import option_flags
    from contextssl_cli.plugin.registry import registry

    text = context.get_help().split("\n")
    if name is None:
        return text
    plugin = registry().dataset(name)
    lines = [f"  {flag}  {description}" for flag, description in option_flags(plugin).items()]
    return [*text, "", f"{name}: {plugin.summary}", f"Options of {name}:", *(lines or ["  none"])]
