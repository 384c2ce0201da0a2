"""One small file of each of our HDF5 kinds. It imports no torch: a child process that comes to harm starts quickly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from contextssl_cli.errors import ContextSSLError
from contextssl_cli.store import hdf5
from contextssl_cli.store.context import Context
from contextssl_cli.store.dataset import Store, create_store
from contextssl_cli.store.embeddings import Embeddings
from contextssl_cli.store.samples import SPLITS, Samples
from contextssl_cli.store.schema import Schema

__all__ = ["READ", "ROWS", "WRITE", "ContextSSLError", "Path", "hdf5", "np", "total", "write_context"]

SCHEMA = Schema(dataset="small", modality="table", shape=(3,), dtype="float32", tasks={"kind": ("a", "b")})
ROWS = np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3)


def write_store(path: Path, rows: np.ndarray = ROWS) -> None:
    with create_store(path, SCHEMA, {}) as writer:
        for split in SPLITS:
            writer.append(Samples(split, rows, labels={"kind": np.zeros(len(rows))}))


def read_store(path: Path) -> float:
    with Store(path) as store:
        splits = (store.train, store.test)
        return sum(float(s.inputs().sum() + s.labels("kind").sum() + s.objects().sum()) + len(s) for s in splits)


def write_context(path: Path, rows: np.ndarray = ROWS) -> None:
    Context(rows, rows, {"turn": rows}, "f" * 64, "/run").save(path)


def write_embeddings(path: Path, rows: np.ndarray = ROWS) -> None:
    labels = {"kind": np.arange(len(rows))}
    Embeddings(rows, labels, labels, tuple(str(row) for row in range(len(rows))), {"run": "/run"}).save(path)


WRITE: dict[str, Callable[..., None]] = {"store": write_store, "context": write_context, "embeddings": write_embeddings}
READ: dict[str, Callable[[Path], Any]] = {"store": read_store, "context": Context.load, "embeddings": Embeddings.load}


def total(store: Store) -> float:
    return float(store.train.inputs().sum())
