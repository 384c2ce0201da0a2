"""The process that trains: its device, its signals, and the facts that decide how sums are rounded."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import FrameType

import torch

from contextssl_cli.errors import UsageError

_PACKAGES = ("contextssl", "torch", "torchvision", "numpy")
_VARIABLES = (
    "ATEN_CPU_CAPABILITY", "CUBLAS_WORKSPACE_CONFIG", "DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_DYNAMIC",
    "MKL_ENABLE_INSTRUCTIONS", "MKL_NUM_THREADS", "NVIDIA_TF32_OVERRIDE", "OMP_DYNAMIC", "ONEDNN_MAX_CPU_ISA",
)  # fmt: skip


def resolve_device(name: str) -> torch.device:
    """The device of a name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        UsageError: if the device is unknown or not present.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name not in present:
        raise UsageError(f"--device {name}: expected auto, cpu, cuda or mps")
    if not present[name]:
        raise UsageError(f"--device {name}: this machine has none; use --device auto")
    return torch.device(name)


@contextmanager
def deferred_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of stopping in the middle of a step; a second one stops at once."""
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    try:
        previous = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, where the caller handles signals
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def numerics(device: torch.device) -> dict[str, str]:
    """The facts of this process that decide the last bits of the weights, by name.

    Args:
        device: the device that trains.
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
    """The facts that differ, with their values before and now; a missing one is ``unset``."""
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
