"""What a test may not find where it runs: real data, and built-in plugins that were taken out."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("CONTEXTSSL_DATA", ROOT.parent / "shared" / "data"))
"""Real data, for the tests that read it."""


def real_data(name: str) -> Path:
    """The file or folder ``name`` of the real data; skips the test where it is not there."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there (CONTEXTSSL_DATA names another folder)")
    return path


def built_in(*names: str) -> None:
    """Skip the test if one of these built-in plugins was taken out; one that is there and broken is no reason.

    Name all that a test needs at once: `tests/plugins/test_removal.py` runs it with these alone.
    """
    gone = [name for name in names if importlib.util.find_spec(f"contextssl_{name}") is None]
    if gone:
        pytest.skip(f"needs the built-in plugins {', '.join(names)}; taken out: {', '.join(gone)}")
