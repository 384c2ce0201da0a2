"""``contextssl import-official``: a checkpoint of the authors' code as a run."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import torch

from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.actions import ActionSpace, Block
from contextssl_cli.errors import ContextSSLError, UsageError
from contextssl_cli.model.contextssl import ContextSSL
from contextssl_cli.model.encoders import build_encoder
from contextssl_cli.model.official import official_config, read_official
from contextssl_cli.store.schema import Schema
from contextssl_cli.training.checkpoint import latest_checkpoint
from contextssl_cli.training.run import Run, RunRecord, now, versions
from contextssl_cli.training.runs import register
from contextssl_cli.training.weights import check_tensors

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]


def load_official(
    path: Path, heads: int, space: ActionSpace, block_size: int = 128, image_size: int = 128,
    normalisation: Normalisation = ((), ()),
) -> tuple[ContextSSL, Schema, list[str]]:  # fmt: skip
    """The model of the authors' checkpoint, in evaluation mode; its data's schema; the tensors that are not used.

    Args:
        path: a PyTorch state_dict.
        heads: of the attention.
        space: the action blocks in their order.
        block_size: tokens of a training sequence.
        image_size: height and width of an input.
        normalisation: per-channel mean and std of images in [0, 1]; empty if inputs come normalised.

    Raises:
        DataMissingError, CorruptFileError: if the file is missing, is no such checkpoint, or lacks a tensor.
    """
    tensors, unused = read_official(path)
    config = official_config(tensors, heads, block_size, path)
    shape = (image_size, image_size, 3)
    mean, std = normalisation
    schema = Schema(dataset="imported", modality="image", shape=shape, dtype="uint8", mean=mean, std=std)
    model = ContextSSL(build_encoder(config, schema), config, space)
    if schema.mean:  # the normalisation comes before the ResNet
        tensors = {name.replace("encoder.", "encoder.1.", 1): tensor for name, tensor in tensors.items()}
    expected = model.state_dict()
    for name in ("action_std", "latent_mean", "latent_std"):
        tensors[name] = expected[name]
    check_tensors(path, tensors, expected)
    model.load_state_dict(tensors)
    return model.eval(), schema, unused


def import_run(
    path: Path, heads: int, space: ActionSpace, block_size: int, image_size: int, normalisation: Normalisation,
    out: Path, *, force: bool = False,
) -> tuple[Run, list[str]]:  # fmt: skip
    """Write the authors' checkpoint as a run; return it and the tensors that were not used.

    Raises:
        UsageError: if ``out`` is taken; else as ``load_official``.
    """
    force = force or _is_unfinished(out)
    Run.check_free(out, force=force)
    model, schema, unused = load_official(path, heads, space, block_size, image_size, normalisation)
    record = RunRecord(
        task="",
        config=TrainConfig(batch_size=block_size, model=model.config),
        space=space,
        schema_=schema,
        store="",
        store_hash="",
        created=now(),
        versions=versions(),
    )
    run = Run.create(out, record, force=force)
    with run.writing():
        run.save(model, torch.optim.Adam(model.parameters()), step=0, steps=0)
        register(run.folder)
    return run, unused


def _is_unfinished(out: Path) -> bool:
    """Whether a folder holds an import that was killed before its checkpoint was complete."""
    with contextlib.suppress(ContextSSLError):
        run = Run(out)
        return not run.record.task and latest_checkpoint(run.checkpoint_folder) is None
    return False


def parse_blocks(text: str) -> ActionSpace:
    """``rotation=4,color=2`` as action blocks.

    Raises:
        UsageError: if it is not of that form.
    """
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return ActionSpace(blocks=tuple(Block(name=name.strip(), width=int(width)) for name, width in pairs))
    except ValueError as error:
        raise UsageError(f"--blocks {text}: expected name=width separated by commas, as rotation=4,color=2") from error


def parse_numbers(option: str, text: str) -> tuple[float, ...]:
    """``0.5,0.5,0.5`` as three numbers.

    Raises:
        UsageError: if it is not of that form.
    """
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)) or (option == "--std" and min(numbers) <= 0):
        raise UsageError(f"{option} {text}: expected three numbers separated by commas, those of --std above 0")
    return numbers
