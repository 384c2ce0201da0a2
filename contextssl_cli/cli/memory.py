"""What the C library does with memory that a training step frees."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's malloc.h
_NEVER = -1


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks for the next step.

    By default it gives every large one back to the system, which has to zero it again for the next step: a good part of
    the time of a training on images (``benchmarks/freed_memory.py``). Where the C library has no such switch, nothing
    changes.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if adjust is not None:
        adjust(_MMAP_MAX, 0)
        adjust(_TRIM_THRESHOLD, _NEVER)
