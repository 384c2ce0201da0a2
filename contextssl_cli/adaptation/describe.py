"""The facts of a file or a run, as names and values; torch is imported only to verify a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.store import context, dataset, embeddings, hdf5
from contextssl_cli.text import printable
from contextssl_cli.training.run import Run

RUN = "run"


def describe(path: Path, *, verify: bool = False) -> dict[str, Any]:
    """Facts about a store, a context, an embeddings file, or a run's folder.

    Args:
        path: of the file or folder.
        verify: read all of it. A store is compared with its content hash; the weights of a run are compared with their
            fingerprint and loaded into the model, and its store is compared with the hash that the run was trained on.
            Contexts and embeddings have no hash.

    Raises:
        DataMissingError: if there is nothing at ``path``; with ``verify`` also if a run's store is gone.
        CorruptFileError: if it is damaged, or none of these; with ``verify`` also if it differs from its hash.
    """
    describers: dict[str, Callable[[Path], dict[str, Any]]] = {
        dataset.STORE_KIND: _store, context.CONTEXT_KIND: _context, embeddings.EMBEDDINGS_KIND: _embeddings,
    }  # fmt: skip
    is_run = path.is_dir()
    kind = RUN if is_run else hdf5.kind_of(path)
    if not is_run and kind not in describers:
        raise CorruptFileError(
            f"{printable(path)} has the format {printable(kind or 'unknown')!r}; expected {', '.join(describers)}"
        )
    facts = {"format": kind} | describers.get(kind, _run)(path)
    return facts | ({"verified": _verified(path, kind)} if verify else {})


def _verified(path: Path, kind: str) -> str:
    if kind == dataset.STORE_KIND:
        dataset.Store(path).verify()
        return "the content has the hash that was written with it"
    if kind != RUN:
        return "all arrays were read; a file of this kind has no content hash"
    from contextssl_cli.evaluation.open_run import OpenRun
    from contextssl_cli.training.start import run_store

    run = OpenRun(Run(path)).run
    weights = "the weights have the fingerprint that was saved with them and fit the model"
    if not run.record.task:
        return f"{weights}; an imported run has no store"
    run_store(run, verify=True)
    return f"{weights}, and the content of the store has the hash that the run was trained on"


def _run(path: Path) -> dict[str, Any]:
    run = Run(path)
    record = run.record
    state = run.state()
    return {
        "task": record.task or "imported",
        "method": record.config.method,
        **({"equivariant to": ", ".join(types)} if (types := record.config.equivariant) else {}),
        "action blocks": {block.name: block.width for block in record.space.blocks},
        "step": state.step,
        "of": state.steps,
        "fingerprint": state.fingerprint,
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
