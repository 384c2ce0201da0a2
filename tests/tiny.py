"""Things at the smallest size that still shows the property."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

from contextssl_cli.config.resolve import Settled, settle
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.actions import ActionSpace, Block
from contextssl_cli.methods.registry import method_of
from contextssl_cli.model.contextssl import ContextSSL
from contextssl_cli.plugin.task import Task
from contextssl_cli.store.dataset import Store
from contextssl_cli.store.schema import Column, Schema
from contextssl_cli.training.run import Run, RunRecord, now
from contextssl_cli.training.start import start_run, train
from contextssl_cli.training.weights import save_checkpoint

MODEL = {
    "width": 16,
    "layers": 2,
    "heads": 2,
    "block_size": 16,
    "feature_dim": 16,
    "encoder_width": 8,
    "aux_hidden": 16,
}
CLOCK = ("pairs_per_second", "seconds", "processor_seconds")
"""What the metrics hold of the clock, which no two runs share."""
TRAINING = {"batch_size": 16, "monitor_every": 10, "checkpoint_every": 10}
SPACE = ActionSpace(blocks=(Block(name="turn", width=2), Block(name="tint", width=3)))


def table_schema(categories: tuple[int, ...] = (1, 3, 1, 2), **given: Any) -> Schema:
    """A table whose columns take so many places; one place is a number."""
    columns, start = [], 0
    for number, places in enumerate(categories):
        kind = "numeric" if places == 1 else "categorical"
        names = tuple(f"v{code}" for code in range(places)) if places > 1 else ()
        columns.append(Column(name=f"c{number}", kind=kind, start=start, stop=start + places, categories=names))
        start += places
    values: dict[str, Any] = {"dataset": "tiny", "modality": "table", "shape": (start,), "dtype": "float32"}
    return Schema(**(values | {"columns": tuple(columns)} | given))


def image_schema(height: int = 8, width: int = 8, **given: Any) -> Schema:
    values: dict[str, Any] = {"dataset": "tiny", "modality": "image", "shape": (height, width, 3), "dtype": "uint8"}
    return Schema(**(values | given))


def model(schema: Schema | None = None, space: ActionSpace = SPACE, seed: int = 0, **given: Any) -> ContextSSL:
    """A model with arbitrary weights, in evaluation mode; its attention is far from uniform."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = TrainConfig(batch_size=MODEL["block_size"] * 2, model={"encoder": "mlp"} | MODEL | given)
        made = method_of(config).build(config.model, schema or table_schema(), space)
        for parameter in made.world.parameters():
            parameter.data.normal_(std=0.5)
    return made.eval()


def settled(task: Task, *, preset: str = "default", **flags: Any) -> Settled:
    """A task with a tiny configuration; ``model_width`` means the flag ``model.width``."""
    sizes = {f"model.{key}": value for key, value in MODEL.items()} | TRAINING
    named = {key.replace("model_", "model.", 1): value for key, value in flags.items()}
    return settle(task, preset=preset, flags=sizes | named, environ={})


def config(task: Task, **flags: Any) -> TrainConfig:
    """The configuration of ``settled``."""
    return settled(task, **flags).config


def trained(task: Task, store: Store, out: Path, **flags: Any) -> Run:
    """A run trained for a few steps."""
    run = start_run(settled(task, **({"steps": 20} | flags)), store, out)
    train(run, task, store, lambda progress: None, "cpu")
    return run


def untrained(schema: Schema, out: Path, seed: int = 0, **given: Any) -> Run:
    """A run with arbitrary weights, as if it had ended, made in milliseconds."""
    made = model(schema, seed=seed, **given)
    config = TrainConfig(steps=1, batch_size=16, model=made.config)
    record = RunRecord(
        task="", config=config, space=SPACE, schema_=schema, store="", store_hash="", created=now(), versions={}
    )  # fmt: skip
    shutil.rmtree(out, ignore_errors=True)
    run = Run.create(out, record)
    save_checkpoint(run.checkpoint_folder, made, torch.optim.AdamW(made.parameters()), 1, 1)
    return run


def logged(run: Run) -> list[dict[str, Any]]:
    """What a run logged, every line of it: ``MetricsLog`` skips damaged ones."""
    return [json.loads(line) for line in run.metrics_log.path.read_text().splitlines()]


def weights_hash(model: nn.Module) -> str:
    """SHA-256 over every tensor of a model in memory; unchanged by adapting."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
