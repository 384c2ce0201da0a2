"""``contextssl plugins``, ``plugins new`` and ``plugins check``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from contextssl_cli.cli import options
from contextssl_cli.cli.options import option
from contextssl_cli.errors import PluginError, UsageError


def plugins_main(context: typer.Context, json: options.Json = False) -> None:
    """List, create and check plugins.

    Without a command, list data sets, action types, recipes, and plugins that cannot be loaded.
    """
    from contextssl_cli.plugin.registry import registry
    from contextssl_cli.report.plugins import print_plugins
    from contextssl_cli.report.terminal import terminal

    command = context.invoked_subcommand
    if command is None:
        print_plugins(registry(), as_json=json)
    elif json or terminal.verbosity:
        raise UsageError(f"options come after the command: contextssl plugins {command} ... [OPTIONS]")


def new_main(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the data set or action type: a-z, 0-9 and _.")],
    kind: Annotated[Literal["dataset", "action"], option("--kind", "Kind of plugin.")] = "dataset",
    modality: Annotated[Literal["image", "table"], option("--modality", "Data that it works on.")] = "image",
    out: Annotated[Path | None, option("--out FOLDER", "Folder to create.", "contextssl-NAME")] = None,
    force: options.Force = False,
    dry_run: options.DryRun = False,
) -> None:
    """Create the project of a new plugin.

    It can be installed, trains, and passes the contract before you change a line.
    """
    from contextssl_cli.plugin.scaffolding.new import check_new, project_name, write_skeleton
    from contextssl_cli.report.terminal import terminal

    folder = out or Path(project_name(name))
    if dry_run:
        check_new(name, folder, force=force)
        terminal.result(f"would write {folder}")
        return
    for path in write_skeleton(name, kind, modality, folder, force=force):
        terminal.result(str(path))
    terminal.note(f"next: pip install -e {folder}, then contextssl plugins check contextssl_{name}; {folder}/README.md")


def check_main(
    package: Annotated[str, typer.Argument(metavar="PACKAGE", help="Import package or entry point of a plugin.")],
    source: Annotated[
        Path | None,
        option("--source PATH", "Small source, for a data set that needs one."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Check an installed plugin against the contract.

    Each broken rule is explained, and the exit status is 5.
    """
    from contextssl_cli.report.plugins import print_findings
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.testing.package import check_package

    findings = check_package(package, source)
    print_findings([asdict(finding) for finding in findings], as_json=json)
    failed, skipped = (sum(finding.result == result for finding in findings) for result in ("failed", "skipped"))
    if skipped and not json:
        terminal.note(f"{skipped} of {len(findings)} rules were not checked; the lines above say what they need")
    if failed:
        raise PluginError(f"{package} breaks {failed} of {len(findings)} rules")
