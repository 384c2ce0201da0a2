"""Train the runs that a sweep or an experiment lacks, and probe them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from contextssl_cli.config.methods import EQUIVARIANT
from contextssl_cli.errors import Interrupted
from contextssl_cli.evaluation.comparison import Comparison, asks_r2, compare_reports
from contextssl_cli.evaluation.protocol import probe_each
from contextssl_cli.evaluation.results import ProbeReport, mean_of, pool, sample_std
from contextssl_cli.experiments.plan import PlannedRun, Point
from contextssl_cli.report.progress import training_progress
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.run import Run
from contextssl_cli.training.runs import register
from contextssl_cli.training.start import fitting_space, resume_run, start_run, train

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Probed:
    """A point and its results.

    Attributes:
        label, family: of the point.
        values: the settings in which the point differs from others.
        report: mean and standard deviation over its seeds.
        adaptation_gaps: the adaptation gap of each seed: its own with a context, else between the models of its family.
        adaptation_gaps_paper: the same by the paper's definition, in which a negative R2 counts as it is.
        seconds: of training, by seed; None if the run has no record of them.
        processor_seconds: of the processor, by seed.
    """

    label: str
    family: str
    values: dict[str, Any]
    report: ProbeReport
    adaptation_gaps: list[float]
    adaptation_gaps_paper: list[float]
    seconds: list[float | None]
    processor_seconds: list[float | None]

    def as_dict(self) -> dict[str, Any]:
        """One JSON object, with the mean and the standard deviation of the gaps."""
        return vars(self) | {
            "report": self.report.as_dict(),
            "adaptation_gap": mean_of(self.adaptation_gaps),
            "adaptation_gap_std": sample_std(self.adaptation_gaps),
            "adaptation_gap_paper": mean_of(self.adaptation_gaps_paper),
        }


def train_missing(runs: Sequence[PlannedRun], store: Store, device: str) -> None:
    """Train every run that is not done; a run that is half done continues from its checkpoint.

    Raises:
        UsageError: before anything is trained, if another run is in a folder, or a configuration does not fit the
            data.
        Interrupted: after SIGINT or SIGTERM, once the state is saved.
    """
    for run in runs:
        run.check(store)
        if not run.exists:
            fitting_space(run.settled, store)
    for number, run in enumerate(runs, 1):
        _complete(run, store, device, f"run {number}/{len(runs)}")


def _complete(planned: PlannedRun, store: Store, device: str, title: str) -> None:
    """Train the planned run to its end."""
    state = planned.state(store)
    name = f"{title}: {planned.folder}"
    if state == "done":
        _log.info("%s: done before", name)
        run = Run(planned.folder)
        run.remove_leftovers()
        register(run.folder)
        return
    if state == "half done":
        _log.info("%s: continues at step %d", name, planned.step())
        run, task, data = resume_run(planned.folder)
    else:
        _log.info("%s: begins", name)
        task, data = planned.task, store
        run = start_run(planned.settled, data, planned.folder)
    try:
        with training_progress(f"{title}: {planned.folder.parent.name} {planned.folder.name}") as report:
            train(run, task, data, report, device)
    except Interrupted as error:
        raise Interrupted(f"interrupted; saved in {planned.folder}. The same command continues from there") from error


def probe_points(points: Sequence[Point], device: torch.device, **flags: Any) -> list[Probed]:
    """Probe trained points, each over its seeds; cached figures of a run are not measured again.

    Args:
        points: whose runs are trained.
        device: for encoder and probes.
        flags: values of ``ProbeConfig``.
    """
    found: dict[str, Probed] = {}
    for family in dict.fromkeys(point.family for point in points):
        members = [point for point in points if point.family == family]
        _log.info("probing %s", ", ".join(point.label for point in members))
        for probed in _probe_family(members, device, flags):
            found[probed.label] = probed
    return [found[point.label] for point in points]


def _probe_family(points: Sequence[Point], device: torch.device, flags: dict[str, Any]) -> list[Probed]:
    reports = [probe_each([Run(run.folder) for run in point.runs], device, **flags) for point in points]
    if len(points) > 1 and points[0].config.method in EQUIVARIANT and asks_r2(flags):
        found = compare_reports(reports)
        return [_probed(point, report, found) for point, report in zip(points, found.reports, strict=True)]
    return [_probed(point, report, report) for point, report in zip(points, map(pool, reports), strict=True)]


def _probed(point: Point, report: ProbeReport, gaps_of: ProbeReport | Comparison) -> Probed:
    times = [Run(run.folder).training_time() for run in point.runs]
    return Probed(
        label=point.label,
        family=point.family,
        values=dict(point.values),
        report=report,
        adaptation_gaps=gaps_of.gaps,
        adaptation_gaps_paper=gaps_of.paper_gaps,
        seconds=[time.seconds for time in times],
        processor_seconds=[time.processor_seconds for time in times],
    )
