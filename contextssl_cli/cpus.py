"""How many CPUs there are to use."""

from __future__ import annotations


def cpu_count() -> int:
    """The number of CPUs that this process may use, at least 1.

    It is the smallest of the machine's number, the affinity mask (``taskset``, SLURM), the quota of the control group
    (containers), and the environment variable ``LOKY_MAX_CPU_COUNT``, which scikit-learn heeds too.
    """
    import joblib

    return int(joblib.cpu_count())
