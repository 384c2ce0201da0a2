"""A maker of parts. It imports no torch: the processes that prepare a data set start quickly."""

from __future__ import annotations

import functools
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from contextssl_cli.data.parts import make_parts
from contextssl_cli.errors import CorruptFileError
from contextssl_cli.store.samples import Samples
from contextssl_cli.store.schema import Schema

COUNT = 6


def make(number: int, trace: Path, fault: str) -> Samples:
    """Three images of the grey ``number``; the last part may fail. Each call leaves a mark in ``trace``."""
    if number == COUNT - 1 and fault:
        if fault == "death":
            os.kill(os.getpid(), signal.SIGKILL)
        raise CorruptFileError("part 5 is bad") if fault == "ours" else RuntimeError("odd")
    with (trace / str(number)).open("a") as made:
        made.write("x")
    images = np.full((3, 8, 8, 3), number, np.uint8)
    return Samples("train" if number % 2 else "test", images, skipped=(f"{number}: left out",))


def linger(trace: Path) -> Samples:
    """Write this process's number to ``trace``, and stay for a minute."""
    (trace / "pid").write_text(str(os.getpid()))
    time.sleep(60)
    return Samples("train", np.zeros((1, 8, 8, 3), np.uint8))


if __name__ == "__main__":
    where = Path(sys.argv[1])
    schema = Schema(dataset="small", modality="image", shape=(8, 8, 3), dtype="uint8")
    list(make_parts(where / "s.h5", schema, [functools.partial(linger, where)], {}, lambda done, total: None))
