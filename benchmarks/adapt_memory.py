"""Peak memory of ``contextssl adapt --input`` on few and on many images of 64 x 64, which must be the same.

Run: ``OMP_NUM_THREADS=1 python benchmarks/adapt_memory.py``. Makes a run with arbitrary weights, a context and the
images in a temporary folder; embeds each kind of input in a process of its own; prints one JSON object: the peak of
each in MiB, and the ratio of many to few.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from contextssl_cli.config.model import ModelConfig
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.actions import ActionSpace, Block
from contextssl_cli.methods.registry import method_of
from contextssl_cli.store.context import Context
from contextssl_cli.store.schema import Schema
from contextssl_cli.training.run import Run, RunRecord, now

SIDE = 64
COMMAND = "import sys; from contextssl_cli.cli.app import main; main(sys.argv[1:])"


def main() -> None:
    """Embed every kind of input in both numbers, and print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=2_000)
    parser.add_argument("--many", type=int, default=20_000)
    parser.add_argument("--inputs", nargs="+", choices=WRITERS, default=list(WRITERS))
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["CONTEXTSSL_HOME"] = str(folder / "home")
        make_run(folder / "run")
        make_context(folder / "context.h5")
        for kind in options.inputs:
            peaks = [peak(folder, written(kind, folder, count)) for count in (options.few, options.many)]
            found[kind] = {"few": peaks[0], "many": peaks[1], "ratio": round(peaks[1] / peaks[0], 3)}
    print(json.dumps({"images": [options.few, options.many], "peak_mib": found}, indent=2))


def written(kind: str, folder: Path, count: int) -> Path:
    """The input, made in another process: a child's peak begins at the memory of its parent."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(WRITERS[kind], folder / f"{kind}-{count}", count).result()


def peak(folder: Path, source: Path) -> float:
    """The largest memory in MiB of the process that embeds ``source``."""
    words = ["adapt", "--context", str(folder / "context.h5"), "--run", str(folder / "run"), "--input", str(source),
             "--out", str(folder / "embeddings.h5"), "--device", "cpu", "-q"]  # fmt: skip
    process = subprocess.Popen([sys.executable, "-c", COMMAND, *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"adapt failed on {source}")
    return round(usage.ru_maxrss / 1024, 1)


def make_run(folder: Path) -> None:
    """A run of a convolutional encoder on images of 64 x 64, not trained."""
    config = TrainConfig(steps=1, model=ModelConfig(encoder="convnet", feature_dim=128, encoder_width=32, width=128))
    schema = Schema(dataset="noise", modality="image", shape=(SIDE, SIDE, 3), dtype="uint8")
    space = ActionSpace(blocks=(Block(name="rotation", width=1), Block(name="color", width=3)))
    record = RunRecord(task="", config=config, space=space, schema_=schema, store="", store_hash="", created=now(),
                       versions={})  # fmt: skip
    model = method_of(config).build(config.model, schema, space)
    Run.create(folder, record).save(model, torch.optim.Adam(model.parameters()), 1, 1)


def make_context(path: Path) -> None:
    """Sixteen pairs of noise that show rotation."""
    x, y = noise(0, 16), noise(1, 16)
    Context(x, y, {"rotation": np.zeros((16, 1), np.float32)}).save(path)


def noise(seed: int, count: int) -> NDArray[np.uint8]:
    """Images (N, 64, 64, 3)."""
    return np.random.default_rng(seed).integers(256, size=(count, SIDE, SIDE, 3), dtype=np.uint8)


def write_folder(path: Path, count: int) -> Path:
    """A folder of PNG files."""
    path.mkdir()
    for number in range(count):
        Image.fromarray(noise(number, 1)[0]).save(path / f"{number}.png", compress_level=1)
    return path


def write_npy(path: Path, count: int) -> Path:
    """A file of one array."""
    np.save(path.with_suffix(".npy"), noise(0, count))
    return path.with_suffix(".npy")


def write_npz(path: Path, count: int) -> Path:
    """A compressed archive of one array, of pixels that compress."""
    np.savez_compressed(path.with_suffix(".npz"), x=noise(0, count) // 64)
    return path.with_suffix(".npz")


def write_hdf5(path: Path, count: int) -> Path:
    """An HDF5 file of one array."""
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["x"] = noise(0, count)
    return path.with_suffix(".h5")


WRITERS: dict[str, Callable[[Path, int], Path]] = {
    "folder": write_folder, "npy": write_npy, "npz": write_npz, "hdf5": write_hdf5,
}  # fmt: skip


if __name__ == "__main__":
    main()
