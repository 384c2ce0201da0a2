"""``contextssl prepare``."""

from __future__ import annotations

from typing import Annotated

import typer

from contextssl_cli.cli import options


def prepare(
    dataset: Annotated[str, typer.Argument(help="Name of the data set; contextssl plugins lists them.")],
    source: options.Source = None,
    out: options.Out = None,
    force: options.Force = False,
    dry_run: options.DryRun = False,
) -> None:
    """Turn a data set into one store."""
    from contextssl_cli import paths
    from contextssl_cli.data.prepare import prepare as write_store
    from contextssl_cli.plugin.registry import registry
    from contextssl_cli.report.terminal import terminal

    plugin = registry().dataset(dataset)
    path = out or paths.store_path(plugin.name)
    if dry_run:
        terminal.result(f"would prepare {plugin.name} from {source or 'its own source'} into {path}")
        return
    kept = path.exists() and not force
    store = write_store(plugin, source, path, force=force)
    if kept:
        terminal.note(f"{plugin.name} was prepared before; --force prepares it again")
    terminal.result(f"{store.path}: {len(store.train)} training and {len(store.test)} test samples")
