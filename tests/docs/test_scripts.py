"""The scripts of the documentation run as they stand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from contextssl_cli import Context
from contextssl_cli.adaptation.context_files import context_from_pairs, context_from_run
from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.plugin.registry import registry
from contextssl_cli.store.embeddings import Embeddings
from contextssl_cli.training.run import Run
from contextssl_cli.training.runs import check_context
from tests.docs.conftest import DOCS, ROOT, blocks


def script(page: Path, word: str) -> str:
    """The only Python block of a page that contains a word."""
    (found,) = [block for block in blocks(page, "python") if word in block]
    return found


def execute(code: str, folder: Path) -> str:
    """Run a script in a process of its own; return what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_context_written_with_h5py_alone(tmp_path: Path, digits_run: Run) -> None:
    code = script(DOCS / "formats.md", "quarter-turns.h5")
    assert "contextssl_cli" not in code
    execute(code, tmp_path)
    context = Context.load(tmp_path / "quarter-turns.h5")
    assert context.environment == ("rotation",)
    check_context(digits_run, context, "mine")

    # Its actions are the ones that the action type means: turning x by them gives y.
    schema = digits_run.record.schema_
    rotation = registry().actions["rotation"]
    x, y = (to_tensor(part, schema) for part in (context.x, context.y))
    turned = rotation.apply(x, torch.from_numpy(context.actions["rotation"]), schema)
    torch.testing.assert_close(turned, y, atol=1e-3, rtol=0)


def test_pairs_of_ones_own(tmp_path: Path, digits_run: Run) -> None:
    execute(script(DOCS / "formats.md", "np.savez"), tmp_path)
    assert len(context_from_pairs(digits_run, tmp_path / "pairs.npz", [])) == 4


def test_reading_embeddings(tmp_path: Path) -> None:
    Embeddings(np.eye(3, dtype=np.float32), about={"profile": []}).save(tmp_path / "embeddings.h5")
    execute(script(DOCS / "formats.md", "embeddings.h5"), tmp_path)


@pytest.mark.parametrize(
    ("page", "run", "contexts"),
    [
        (DOCS / "tutorial.md", "RUN", "."),
        (ROOT / "README.md", "contextssl-demo/run-seed0", "contextssl-demo"),
    ],
    ids=["tutorial", "readme"],
)
def test_the_pipeline(page: Path, run: str, contexts: str, tmp_path: Path, digits_run: Run) -> None:
    shutil.copytree(digits_run.folder, tmp_path / run)
    for action in ("rotation", "color"):
        context_from_run(digits_run, [action], 3, seed=0).save(tmp_path / contexts / f"{action}.h5")
    printed = execute(script(page, "make_pipeline"), tmp_path)
    assert printed
