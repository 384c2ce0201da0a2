"""``contextssl report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contextssl_cli.cli import options
from contextssl_cli.cli.options import option


def report_main(
    run: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help="Runs, or results of probe, sweep or reproduce: files or folders.  [default: the newest run]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        option("--out FILE", "Page to write.", "report.html in the first folder"),
    ] = None,
    device: options.Device = "auto",
    json: options.Json = False,
    dry_run: options.DryRun = False,
) -> None:
    """Write an HTML page about runs or results.

    Runs without results are probed first.
    """
    from contextssl_cli import files
    from contextssl_cli.experiments.probe import gather, sort_inputs
    from contextssl_cli.report.html.page import check_page, render
    from contextssl_cli.report.studies import studies_of
    from contextssl_cli.report.summary import print_page
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.training.runs import latest_run
    from contextssl_cli.training.runtime import resolve_device

    paths = run or [latest_run().run.folder]
    results, runs = sort_inputs(paths)
    page = check_page(out or (paths[0].parent if paths[0].is_file() else paths[0]) / "report.html")
    if dry_run:
        terminal.plan(f"would write {page} about {', '.join(map(str, paths))}", as_json=json)
        return
    found = gather(results, runs, resolve_device(device))
    files.write_text(page, render(found, studies_of(results)))
    print_page(found, page, as_json=json)
