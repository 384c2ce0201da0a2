"""Where to compute."""

from __future__ import annotations

import torch

from contextssl_cli.errors import UsageError


def resolve_device(name: str) -> torch.device:
    """``auto`` takes CUDA, then MPS, then the CPU.

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
