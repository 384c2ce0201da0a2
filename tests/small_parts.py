"""A maker of parts. It imports no torch: the processes that prepare a data set start quickly."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.store.dataset import Samples

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
