"""``contextssl prepare``."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated

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
    from contextssl_cli import files, paths
    from contextssl_cli.cli.dataset_options import parse_options
    from contextssl_cli.data.prepare import prepare as write_store
    from contextssl_cli.plugin.registry import registry
    from contextssl_cli.report.progress import parts_progress

    plugin = registry().dataset(dataset)
    asked = parse_options(plugin, context.args)
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
    for what, value in store.provenance.get("notes", {}).items():
        terminal.note(f"{what}: {value}")
    if store.provenance.get("skipped"):
        terminal.note(f"skipped: {store.provenance['skipped']} (first: {store.provenance['skipped_sources'][0]})")
    terminal.result(f"{store.path}: {len(store.train)} training and {len(store.test)} test samples")


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
