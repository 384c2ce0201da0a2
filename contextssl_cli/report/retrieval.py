"""The picture of what a run retrieves under each context (the paper's figure 1)."""

from __future__ import annotations

from pathlib import Path

import torch

from contextssl_cli.config.probe import Judged
from contextssl_cli.errors import UsageError
from contextssl_cli.evaluation.evaluator import Evaluator
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.evaluation.protocol import drawn_conditions, probe_config
from contextssl_cli.evaluation.retrieval import retrieve
from contextssl_cli.report.figures import retrieval_figure
from contextssl_cli.training.run import Run
from contextssl_cli.training.start import run_task

RETRIEVAL = "retrieval.png"


def check_retrieval(run: Run) -> None:
    """Look at what can be wrong before minutes of work.

    Raises:
        UsageError: if the run reads no context, or its inputs are no images.
    """
    run.require_context()
    if run_task(run).dataset.modality != "image":
        raise UsageError(f"--retrieval draws images, and those of {run.record.task} are none: leave it out")


def write_retrieval(run: Run, path: Path, device: torch.device, *, judged_on: Judged = "test", seed: int = 0) -> Path:
    """Draw sources, their views after an action, and what the prediction is nearest to under each environment.

    Args:
        run: that ``check_retrieval`` takes.
        path: of the PNG file.
        device: for encoder and world model.
        judged_on: whose images are drawn; contexts are of the training split, or of what the run was trained on.
        seed: of contexts, sources and views.
    """
    evaluator = Evaluator(OpenRun(run, device), probe_config(run_task(run).dataset, judged_on=judged_on, seed=seed))
    conditions = drawn_conditions(evaluator, [evaluator.longest_context])
    contexts = {condition.environment: condition.context for condition in conditions if condition.context}
    retrieval_figure(retrieve(evaluator.model, evaluator.test_source, contexts, seed=seed), path)
    return path
