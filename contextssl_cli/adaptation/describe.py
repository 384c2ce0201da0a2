"""What a file or a run holds, as names and values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.store import context, dataset, embeddings, hdf5
from contextssl_cli.training.run import Run


def describe(path: Path) -> dict[str, Any]:
    """Facts about a store, a context, an embeddings file, or a run's folder.

    Raises:
        DataMissingError: if there is nothing at ``path``.
        CorruptFileError: if it is damaged, or none of these.
    """
    if path.is_dir():
        return _run(Run(path))
    readers: dict[str, Callable[[Path], dict[str, Any]]] = {
        dataset.KIND: _store, context.KIND: _context, embeddings.KIND: _embeddings,
    }  # fmt: skip
    kind = hdf5.kind_of(path)
    if kind not in readers:
        raise CorruptFileError(f"{path} has the format {kind or 'unknown'!r}; contextssl writes {', '.join(readers)}")
    return {"format": kind} | readers[kind](path)


def _run(run: Run) -> dict[str, Any]:
    record = run.record
    step, steps = run.reached()
    return {
        "format": "run",
        "task": record.task or "imported",
        "method": record.config.method,
        **({"told to be equivariant to": ", ".join(told)} if (told := record.config.equivariant) else {}),
        "action blocks": {block.name: block.width for block in record.space.blocks},
        "step": step,
        "of": f"{record.config.epochs} epochs" if steps is None else steps,
        "fingerprint": run.fingerprint(),
        "store": record.store,
        "created": record.created,
        "seed": record.config.seed,
        "model": record.config.model.model_dump(),
        "versions": record.versions,
    }


def _store(path: Path) -> dict[str, Any]:
    store = dataset.Store(path)
    schema = store.schema
    return {
        "data set": schema.dataset,
        "modality": schema.modality,
        "input": f"{schema.dtype} {list(schema.shape)}",
        "samples": {"train": len(store.train), "test": len(store.test)},
        "classes by task": {task: len(classes) for task, classes in schema.tasks.items()},
        "sensitive attributes": {name: "/".join(values) for name, values in schema.attributes.items()},
        "recorded latents": schema.latents,
        "content hash": store.content_hash,
        "provenance": store.provenance,
    }


def _context(path: Path) -> dict[str, Any]:
    found = context.Context.load(path)
    return {
        "pairs": len(found),
        "tokens": 2 * len(found),
        "active": environment_name(found.environment),
        "action blocks": {name: block.shape[1] for name, block in found.actions.items()},
        "input": f"{found.x.dtype} {list(found.x.shape[1:])}",
        "made for": found.fingerprint or "no run",
        "run": found.run or "none",
    }


def _embeddings(path: Path) -> dict[str, Any]:
    found = embeddings.Embeddings.load(path)
    norms = np.linalg.norm(found.values, axis=1)
    return {
        "embeddings": list(found.values.shape),
        "lengths": f"{norms.min():.4f} to {norms.max():.4f}" if len(norms) else "none",
        "labels": {name: len(values) for name, values in found.labels.items()},
        "sensitive attributes": {name: len(values) for name, values in found.attributes.items()},
        "about": {name: value for name, value in found.about.items() if name != "profile"},
    }
