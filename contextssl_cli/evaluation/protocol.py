"""The full probe of runs: the encoder, and every environment at every context length that fits."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from contextssl_cli.config.methods import CONTEXTUAL, PREDICTING, MethodName
from contextssl_cli.config.probe import METRICS, Metric, ProbeConfig
from contextssl_cli.config.resolve import differing_settings
from contextssl_cli.config.train import OF_NO_MATTER
from contextssl_cli.errors import UsageError, invalid_value
from contextssl_cli.evaluation.evaluator import Condition, Evaluator
from contextssl_cli.evaluation.fairness import raw_baseline
from contextssl_cli.evaluation.measures import context_label_ceiling, measure
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.evaluation.results import ENCODER, ProbeReport, average, find, pool
from contextssl_cli.plugin.kinds import Dataset
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.text import printable
from contextssl_cli.training.metrics import adaptation_gap
from contextssl_cli.training.run import Run, versions
from contextssl_cli.training.start import run_task

_log = logging.getLogger(__name__)


def probe_config(dataset: Dataset, **flags: Any) -> ProbeConfig:
    """The protocol of a data set, overridden by what the user asks for; ``metrics`` may be ``["all"]``.

    Raises:
        UsageError: if a value does not fit.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    if "all" in given.get("metrics", ()):
        given["metrics"] = METRICS
    try:
        return ProbeConfig.model_validate({**dataset.probing, **given})
    except ValidationError as error:
        raise UsageError(invalid_value(error, "probe")) from error


def measurable(method: MethodName, metrics: Collection[Metric]) -> list[Metric]:
    """The metrics, of those asked for, that are defined for a method.

    Raises:
        UsageError: if none of them is.
    """
    lacks: dict[Metric, str] = {}
    if method not in PREDICTING:
        lacks["mrr"] = "predicts no view after an action that mrr could rank"
    if method not in CONTEXTUAL:
        lacks["context-labels"] = "reads no context that context-labels could depend on"
    found = [metric for metric in metrics if metric not in lacks]
    if metrics and not found:
        reasons = " and ".join(lacks[metric] for metric in metrics)
        raise UsageError(f"{method} {reasons}: ask for other metrics (--metrics) of such a run")
    return found


def probe_runs(runs: Sequence[Run], device: torch.device, **flags: Any) -> ProbeReport:
    """Probe runs of one task that differ in their seeds; the rows are means and standard deviations over them.

    Args:
        runs: trained.
        device: for encoder and probes.
        flags: values of ``ProbeConfig``; ``metrics`` may be ``["all"]``, all that the data and the method allow.

    Raises:
        UsageError: if the runs are of different tasks or data, differ in their sequences, one is named twice, or they
            have no such metric.
    """
    return pool(probe_each(runs, device, **flags))


def probe_each(runs: Sequence[Run], device: torch.device, **flags: Any) -> list[ProbeReport]:
    """Probe runs as ``probe_runs`` does, and return a report of each."""
    _check_alike(runs)
    named = flags.get("metrics") or ()
    config = probe_config(run_task(runs[0]).dataset, **flags)
    metrics = measurable(runs[0].record.config.method, config.metrics)
    reports = []
    for run in runs:
        evaluator = Evaluator(OpenRun(run, device), config)
        if "mrr" in named and not evaluator.train_samples.source.recorded:
            raise UsageError(
                f"mrr ranks the recorded views of an object, and {run.record.task} has none: leave it out of --metrics"
            )
        reports.append(_probe(evaluator, metrics))
    return reports


def check_one_task(runs: Sequence[Run]) -> None:
    """Refuse runs whose figures must not be put together.

    Raises:
        UsageError: if they are of different tasks or data, or one is named twice.
    """
    tasks = sorted({run.record.task for run in runs})
    if len(tasks) > 1:
        raise UsageError(f"the runs are of different tasks: {', '.join(tasks)}; probe them one by one")
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise UsageError("a run is named twice; name runs that differ in their seeds")
    if len({run.record.store_hash for run in runs}) > 1:
        raise UsageError("the runs differ in their data; probe them one by one")


def _check_alike(runs: Sequence[Run]) -> None:
    check_one_task(runs)
    if len({(run.record.config.method, run.record.config.equivariant) for run in runs}) > 1:
        raise UsageError(
            "the runs differ in their method or in the action types that it is conditioned on, so their figures cannot "
            "be averaged; --compare gives the gap between such runs of one method"
        )
    first = runs[0].record.config
    for run in runs[1:]:
        changed = differing_settings(first, run.record.config).keys() - OF_NO_MATTER
        if changed:
            raise UsageError(
                f"{run.folder} differs from {runs[0].folder} in {', '.join(sorted(changed))}, not only in its seed, "
                "so their figures cannot be averaged; probe them one by one, or see contextssl report"
            )
    reached = {run.folder: run.reached()[0] for run in runs}
    if len(set(reached.values())) > 1:
        steps = ", ".join(f"{folder} at step {step}" for folder, step in reached.items())
        raise UsageError(f"the runs have different numbers of steps, so their figures cannot be averaged: {steps}")


def _probe(evaluator: Evaluator, metrics: Sequence[Metric]) -> ProbeReport:
    """The report of one run; all conditions are measured at once, so that their probes are fitted side by side."""
    run, task, lengths, schema = evaluator.run, evaluator.task, _lengths(evaluator), evaluator.store.schema
    measured = measure(evaluator, drawn_conditions(evaluator, lengths), metrics, evaluator.config.action_probes)
    if "context-labels" in metrics:
        measured |= context_label_ceiling(evaluator)
    if "top1" in metrics and schema.columns and schema.attributes:
        measured |= raw_baseline(schema, evaluator.train_samples, evaluator.test_samples)
    rows = average([(run.record.config.seed, measured)])
    r2 = {}
    if lengths and "r2" in evaluator.config.metrics:
        r2 = {
            environment: {
                action.name: find(rows, environment_name(environment), lengths[-1], "r2", action.name).mean
                for action in task.actions
            }
            for environment in task.environments
        }
    return ProbeReport(
        task=task.name,
        rows=rows,
        gaps=[adaptation_gap(r2, task.environments)] if r2 else [],
        paper_gaps=[adaptation_gap(r2, task.environments, clip=False)] if r2 else [],
        environments=[environment_name(environment) for environment in task.environments if lengths],
        actions=[action.name for action in task.actions],
        lengths=lengths,
        protocol={
            "probes": evaluator.config.model_dump(mode="json"),
            "contexts": f"distinct pairs of {evaluator.config.fitted_to}",
            "splits": f"probes are {evaluator.config.splits}",
            "runs": [_about(run)],
            "store_hash": evaluator.store.content_hash,
            "versions": versions(),
        },
    )


def drawn_conditions(evaluator: Evaluator, lengths: Sequence[int]) -> list[Condition]:
    """The encoder alone, then each length under each environment; shorter contexts are the beginnings of the longest.

    A model whose tokens carry no action gets the same context in all environments, so that it is measured once.

    Args:
        evaluator: of the run.
        lengths: in tokens, in ascending order; empty for a method without a context.
    """
    conditions = [Condition(ENCODER, 0)]
    for environment in evaluator.task.environments if lengths else ():
        shown = environment if evaluator.model.reads_actions else evaluator.task.environments[0]
        context = evaluator.draw_context(shown, max(1, lengths[-1] // 2))
        for length in lengths:
            part = context.take(length // 2) if length else None
            conditions.append(Condition(environment_name(environment), length, part, environment))
    return conditions


def _lengths(evaluator: Evaluator) -> list[int]:
    """The context lengths that are measured; empty for a method without a context."""
    if not evaluator.run.has_context:
        return []
    asked, longest = evaluator.config.context_lengths, evaluator.longest_context
    lengths = list(evaluator.config.lengths(longest))
    if not lengths:
        raise UsageError(f"--lengths {','.join(map(str, asked))}: this run reads {longest} tokens at most")
    if len(lengths) < len(asked):
        left_out = ", ".join(str(length) for length in asked if length not in lengths)
        _log.warning("%s reads %d tokens at most: contexts of %s are left out", evaluator.run.folder, longest, left_out)
    return lengths


def _about(run: Run) -> dict[str, Any]:
    step, steps = run.reached()
    return {
        "folder": printable(Path(run.folder).resolve()),  # JSON holds no names that are not UTF-8
        "fingerprint": run.fingerprint(),
        "step": step,
        "steps": steps,
        **run.record.model_dump(mode="json", include={"store_hash", "config", "asked", "versions"}),
    }
