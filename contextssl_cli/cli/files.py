"""``contextssl info`` and ``import-official``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contextssl_cli import files
from contextssl_cli.cli import options
from contextssl_cli.cli.options import option


def info_main(
    file: Annotated[Path, typer.Argument(metavar="PATH", help="Store, context, embeddings file, or folder of a run.")],
    verify: Annotated[
        bool,
        option("--verify", "Read the whole file, and compare stores and weights with their saved hashes."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Describe a file or a run."""
    from contextssl_cli.adaptation.describe import describe
    from contextssl_cli.report.terminal import terminal

    terminal.facts(describe(file, verify=verify), as_json=json)


def import_official_main(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Checkpoint of the authors' code: a PyTorch state_dict.")
    ],
    heads: Annotated[int, option("--heads N", "Attention heads, which the file does not record.", min=1)] = 4,
    blocks: Annotated[
        str, option("--blocks NAME=N,...", "Action blocks in their order, with their widths.")
    ] = "rotation=4,color=2",
    block_size: Annotated[int, option("--block-size N", "Tokens of a training sequence.", min=4)] = 128,
    image_size: Annotated[int, option("--image-size N", "Height and width of an input.", min=1)] = 128,
    mean: Annotated[str, option("--mean X,X,X", "Per-channel mean of the images in [0, 1].")] = "0,0,0",
    std: Annotated[str, option("--std X,X,X", "Per-channel standard deviation of the images.")] = "1,1,1",
    out: options.Out = None,
    force: options.Force = False,
    dry_run: options.DryRun = False,
) -> None:
    """Import a checkpoint of the paper's authors.

    The result is a run for adapt --input and for ContextEncoder.
    """
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
