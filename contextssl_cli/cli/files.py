"""``contextssl info`` and ``import-official``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contextssl_cli import files
from contextssl_cli.cli import options


def info(
    file: Annotated[Path, typer.Argument(help="A store, context, embeddings file, or the folder of a run.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Read all of it; compare a store, or a run's store, with its content hash.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Say what a file or a run holds."""
    from contextssl_cli.adaptation.describe import describe
    from contextssl_cli.report.terminal import terminal

    terminal.facts(describe(file, verify=verify), as_json=json)


def import_official(
    file: Annotated[Path, typer.Argument(help="A checkpoint of the authors' code: a PyTorch state_dict.")],
    heads: Annotated[int, typer.Option("--heads", min=1, help="Attention heads; the file does not tell.")] = 4,
    blocks: Annotated[
        str, typer.Option("--blocks", help="Action blocks in their order, as name=width.")
    ] = "rotation=4,color=2",
    block_size: Annotated[int, typer.Option("--block-size", min=4, help="Tokens of a training sequence.")] = 128,
    image_size: Annotated[int, typer.Option("--image-size", min=1, help="Height and width of an input.")] = 128,
    mean: Annotated[str, typer.Option("--mean", help="Per-channel mean of the images in [0, 1].")] = "0,0,0",
    std: Annotated[str, typer.Option("--std", help="Per-channel standard deviation.")] = "1,1,1",
    out: options.Out = None,
    force: options.Force = False,
    dry_run: options.DryRun = False,
) -> None:
    """Turn a checkpoint of the authors' code into a run, for use with adapt --input and ContextEncoder."""
    from contextssl_cli.report.terminal import terminal
    from contextssl_cli.training.import_official import import_run, parse_blocks, parse_numbers
    from contextssl_cli.training.run import Run

    target = out or Path(file.stem)
    declared = parse_blocks(blocks)
    normalisation = parse_numbers("--mean", mean), parse_numbers("--std", std)
    if dry_run:
        files.check_input(file, "a checkpoint")
        Run.check_free(target, force=force)
        terminal.result(f"would import {file} into {target}")
        return
    run, unused = import_run(file, heads, declared, block_size, image_size, normalisation, target, force=force)
    if unused:
        terminal.note(f"not used: {', '.join(unused)} (training only)")
    terminal.result(f"{run.folder}: {run.record.config.model.encoder}, fingerprint {run.fingerprint()[:12]}")
