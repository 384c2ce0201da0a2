"""The adaptation gap of methods without a context, between models that are conditioned on different action types."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from contextssl_cli.config.methods import CONTEXTUAL
from contextssl_cli.errors import UsageError
from contextssl_cli.evaluation.protocol import check_one_task, probe_each
from contextssl_cli.evaluation.results import ENCODER, ProbeReport, find, pool, sample_std
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.training.metrics import adaptation_gap
from contextssl_cli.training.run import Run

ConditionedModel = tuple[str, tuple[str, ...]]
"""A method, and the action types that it is conditioned on (``pretrain --equivariant``)."""


@dataclass(frozen=True)
class Comparison:
    """Models of one method, each conditioned on other action types.

    Attributes:
        reports: one for each model, over its seeds.
        gaps: the adaptation gap of each seed that every model has; if the models have different seeds, that of their
            means. A negative R2 counts as 0.
        paper_gaps: the same by the paper's definition, in which a negative R2 counts as it is.
    """

    reports: list[ProbeReport]
    gaps: list[float]
    paper_gaps: list[float]

    def as_dict(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "task": self.reports[0].task,
            "adaptation_gap": statistics.fmean(self.gaps),
            "adaptation_gap_std": sample_std(self.gaps),
            "adaptation_gaps": self.gaps,
            "adaptation_gap_paper": statistics.fmean(self.paper_gaps),
            "adaptation_gaps_paper": self.paper_gaps,
            "reports": [report.as_dict() for report in self.reports],
        }


def trained_gap(reports: Sequence[ProbeReport], *, clip: bool = True) -> float:
    """The adaptation gap between models, from the R2 of their features.

    The action types that a model is conditioned on take the place of the context: for the types A and B
    ``[R2_A(model A) - R2_A(model B)] + [R2_B(model B) - R2_B(model A)]``.

    Args:
        reports: of models of one task that are conditioned on different action types. A single one may be compared
            with a method that is conditioned on nothing and has no context.
        clip: whether a negative R2 counts as 0; the paper counts it as it is.

    Raises:
        UsageError: if there is only one report, two models are conditioned on the same types, or the tasks or
            methods differ.
    """
    if len({report.task for report in reports}) > 1:
        raise UsageError("the runs are of different tasks; compare runs of one")
    _check_comparable([(report.method, report.conditioned_on) for report in reports])
    r2 = {
        report.conditioned_on: {name: find(report.rows, ENCODER, 0, "r2", name).mean for name in report.actions}
        for report in reports
    }
    return adaptation_gap(r2, list(r2), clip=clip)


def compare_runs(runs: Sequence[Run], device: torch.device, **flags: Any) -> Comparison:
    """Probe runs, group them by method and action types, and compute the gap between the groups.

    Args:
        runs: trained on one task; several of a group differ in their seeds.
        device: for encoder and probes.
        flags: values of ``ProbeConfig``.

    Raises:
        UsageError: if R2 is not among the metrics; as ``trained_gap`` and ``probe_runs``.
    """
    check_one_task(runs)
    if not asks_r2(flags):
        raise UsageError(f"--metrics {','.join(flags['metrics'])}: the gap between runs is one of R2; add r2")
    groups: dict[ConditionedModel, list[Run]] = {}
    for run in runs:
        groups.setdefault((run.record.config.method, run.record.config.equivariant), []).append(run)
    _check_comparable(list(groups))
    return compare_reports([probe_each(group, device, **flags) for group in groups.values()])


def compare_reports(models: Sequence[Sequence[ProbeReport]]) -> Comparison:
    """Compare models, given a report of each of their runs.

    Args:
        models: conditioned on different action types; each has a report of every seed.
    """
    reports = [pool(each) for each in models]
    seeds = [{report.seeds[0]: report for report in each} for each in models]
    by_seed = [reports]
    if len(seeds[0]) > 1 and all(set(found) == set(seeds[0]) for found in seeds):
        by_seed = [[found[seed] for found in seeds] for seed in sorted(seeds[0])]
    gaps, paper_gaps = ([trained_gap(one, clip=clip) for one in by_seed] for clip in (True, False))
    return Comparison(reports, gaps, paper_gaps)


def asks_r2(flags: Mapping[str, Any]) -> bool:
    """Whether R2, of which the gap is made, is among the metrics that ``probe_runs`` is asked for."""
    return bool({"r2", "all"} & set(flags.get("metrics") or ("r2",)))


def comparable(runs: Sequence[Run]) -> bool:
    """Whether the runs are of one task and data, and ``compare_runs`` takes them."""
    models = dict.fromkeys((run.record.config.method, run.record.config.equivariant) for run in runs)
    data = {(run.record.task, run.record.store_hash) for run in runs}
    return len(data) == 1 and _are_comparable(list(models))


def _are_comparable(models: Sequence[ConditionedModel]) -> bool:
    """Whether all are of one method, each conditioned on other action types.

    A single one may be compared with a model that is conditioned on none and has no context. A third such model is
    refused, because the gap would average over it.
    """
    conditions = {frozenset(names) for _, names in models}
    methods = {method for method, names in models if names}
    without = [method for method, names in models if not names]
    alone = not without or (len(models) == 2 and without[0] not in CONTEXTUAL)
    return len(models) >= 2 and len(conditions) == len(models) and len(methods) == 1 and alone


def _check_comparable(models: Sequence[ConditionedModel]) -> None:
    if not _are_comparable(models):
        found = "; ".join(f"{method} conditioned on {environment_name(names)}" for method, names in models)
        raise UsageError(
            "--compare takes runs of one method that are conditioned on different action types (pretrain "
            f"--equivariant), or one such run and one of simclr or vicreg, which are conditioned on none; found {found}"
        )
