"""Write a small real table to try: ``python -m contextssl_table.samples FILE.csv``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.datasets import load_diabetes


def write(path: Path) -> None:
    """Scikit-learn's 442 diabetes patients, with the progress of the disease cut in two at its median."""
    data = load_diabetes(scaled=False)
    columns = dict(zip(data.feature_names, data.data.T, strict=True))
    columns["sex"] = columns["sex"].astype(np.int64)
    columns["progress"] = np.where(data.target > np.median(data.target), "fast", "slow")
    pl.DataFrame(columns).write_csv(path)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
