"""What decides how sums are rounded, and with that the last bits of the weights."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import torch

_PACKAGES = ("contextssl", "torch", "torchvision", "numpy")
_VARIABLES = (
    "ATEN_CPU_CAPABILITY", "CUBLAS_WORKSPACE_CONFIG", "DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_DYNAMIC",
    "MKL_ENABLE_INSTRUCTIONS", "MKL_NUM_THREADS", "NVIDIA_TF32_OVERRIDE", "OMP_DYNAMIC", "ONEDNN_MAX_CPU_ISA",
)  # fmt: skip


def numerics(device: torch.device) -> dict[str, str]:
    """The facts of this process that decide the weights, besides configuration and data, by name.

    Args:
        device: that trains.
    """
    facts = {name: metadata.version(name) for name in _PACKAGES}
    facts |= {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "interop_threads": str(torch.get_num_interop_threads()),
    }
    return facts | {name: os.environ[name] for name in _VARIABLES if name in os.environ}


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The facts that differ, with their values before and now; one that is missing is ``unset``."""
    names = dict.fromkeys([*before, *now])
    pairs = {name: (before.get(name, "unset"), now.get(name, "unset")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _processor() -> str:
    """The processor's model: MKL and oneDNN choose their kernels by more than its instruction set."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not on Linux
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
