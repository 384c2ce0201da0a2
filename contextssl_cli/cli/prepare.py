"""``contextssl prepare``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from contextssl_cli.cli import options
from contextssl_cli.cli.options import option


def prepare_main(
    context: typer.Context,
    dataset: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Data set; contextssl plugins lists them.", show_default=False),
    ] = None,
    source: Annotated[
        Path | None,
        option(
            "--source PATH",
            "Source folder, or source file if the data set reads one.",
            "a download, where there is one",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        option("--out FILE", "Store to write.", "stores/NAME.h5 in CONTEXTSSL_HOME"),
    ] = None,
    force: options.Force = False,
    dry_run: options.DryRun = False,
    show_help: Annotated[
        bool, option("--help", "Show this message; with NAME, also the options of that data set.")
    ] = False,
) -> None:
    """Write a data set into one HDF5 store.

    Data sets have options of their own, which contextssl prepare NAME --help lists.
    """
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
        terminal.note(f"{path} already exists; --force prepares it again")
    for note in _notes(store.provenance):
        terminal.note(note)
    terminal.result(f"{store.path}: {len(store.train)} training and {len(store.test)} test samples")


def _notes(provenance: Mapping[str, Any]) -> list[str]:
    """What a user should know about the preparation of a store."""
    notes = [f"{name}: {value}" for name, value in provenance.get("notes", {}).items()]
    if provenance.get("skipped"):
        notes.append(f"skipped: {provenance['skipped']} (first: {provenance['skipped_sources'][0]})")
    return notes


def _help(context: typer.Context, name: str | None) -> list[str]:
    """The lines of ``prepare --help``, or of ``prepare NAME --help``."""
    from contextssl_cli.cli.dataset_options import HELP_WIDTH, option_lines
    from contextssl_cli.plugin.registry import registry

    text = context.get_help().split("\n")
    if name is None:
        return text
    plugin = registry().dataset(name)
    summary = textwrap.wrap(f"{name}: {plugin.summary}", HELP_WIDTH)
    return [*text, "", *summary, "", f"Options of {name}:", *(option_lines(plugin) or ["  none"])]
