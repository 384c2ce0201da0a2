"""The number of CPUs that this process may use."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from contextssl_cli.errors import UsageError

_GROUPS = Path("/proc/self/cgroup")
_LIMITS = Path("/sys/fs/cgroup")


def cpu_count() -> int:
    """The number of CPUs that this process may use, at least 1.

    It is the smallest of the machine's number, the affinity mask (``taskset``, SLURM), the quotas of the control groups
    (containers, systemd), and the environment variable ``LOKY_MAX_CPU_COUNT``, which scikit-learn follows too.

    Raises:
        UsageError: if ``LOKY_MAX_CPU_COUNT`` is not a whole number.
    """
    import joblib

    try:
        count = int(joblib.cpu_count())
    except ValueError as error:
        raise UsageError("the environment variable LOKY_MAX_CPU_COUNT is not a whole number") from error
    return max(1, min([count, *_quotas()]))


def _quotas() -> Iterator[int]:
    """CPUs allowed by the control group of this process and its parents; joblib reads only the outermost."""
    try:
        groups = [line[3:] for line in _GROUPS.read_text().splitlines() if line.startswith("0::")]  # version 2
    except OSError:  # not on Linux
        return
    for group in groups:
        for part in (Path(group), *Path(group).parents):
            try:
                quota, period = (_LIMITS / str(part).lstrip("/") / "cpu.max").read_text().split()
                yield math.ceil(int(quota) / int(period))
            except (OSError, ValueError):  # it has no file, or its quota is "max"
                continue
