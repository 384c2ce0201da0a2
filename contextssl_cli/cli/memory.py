"""Settings of the C library for memory that a training step frees."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's malloc.h
_NEVER = -1


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks for the next step.

    By default glibc returns large blocks to the system, which zeroes them again for the next step. That takes a
    considerable part of the time of training on images (``benchmarks/freed_memory.py``). Other C libraries are not
    changed.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if adjust is not None:
        adjust(_MMAP_MAX, 0)
        adjust(_TRIM_THRESHOLD, _NEVER)
