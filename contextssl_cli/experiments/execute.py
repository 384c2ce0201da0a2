"""Train what an experiment lacks, and probe it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import torch

from contextssl_cli.config.methods import CONTEXTUAL, EQUIVARIANT
from contextssl_cli.errors import Interrupted, UsageError
from contextssl_cli.evaluation.comparison import asks_r2, compare_reports
from contextssl_cli.evaluation.protocol import measurable, probe_config, probe_each
from contextssl_cli.evaluation.results import ProbeReport, mean_of, pool, sample_std
from contextssl_cli.experiments.plan import PlannedRun, Point, runs_of
from contextssl_cli.report.progress import training_progress
from contextssl_cli.report.terminal import terminal
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.run import Run
from contextssl_cli.training.runs import register
from contextssl_cli.training.start import fitting_space, resume_run, start_run, train

_T = TypeVar("_T")


@dataclass(frozen=True)
class Probed:
    """A point with what was found.

    Attributes:
        label, family: of the point.
        values: the settings that set the point apart.
        report: mean and spread over its seeds.
        gaps: the adaptation gap of each seed: its own with a context, else between the models of its family.
        paper_gaps: the same by the paper's definition, in which a negative R2 counts as it is.
        seconds: of training, by seed; None where the run does not tell.
        processor_seconds: the same, of the processor.
    """

    label: str
    family: str
    values: dict[str, Any]
    report: ProbeReport
    gaps: list[float]
    paper_gaps: list[float]
    seconds: list[float | None]
    processor_seconds: list[float | None]

    def as_dict(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "label": self.label,
            "family": self.family,
            "values": self.values,
            "report": self.report.as_dict(),
            "adaptation_gap": mean_of(self.gaps),
            "adaptation_gap_std": sample_std(self.gaps),
            "adaptation_gaps": self.gaps,
            "adaptation_gap_paper": mean_of(self.paper_gaps),
            "adaptation_gaps_paper": self.paper_gaps,
            "seconds": self.seconds,
            "processor_seconds": self.processor_seconds,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """A point of a result file."""
        return cls(
            label=values["label"],
            family=values["family"],
            values=values["values"],
            report=ProbeReport.from_dict(values["report"]),
            gaps=values["adaptation_gaps"],
            paper_gaps=values["adaptation_gaps_paper"],
            seconds=values["seconds"],
            processor_seconds=values["processor_seconds"],
        )


@dataclass(frozen=True)
class Share:
    """Every ``of``-th run of a part, beginning with the ``number``-th: what one task of a job array trains.

    All runs are counted, whether they are done or not, so that the tasks agree on whose each is.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``2/8`` of ``--share``.

        Raises:
            UsageError: if it has another form, or there is no such share.
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        share = cls(*map(int, found.groups())) if found else cls(0, 0)
        if not 1 <= share.number <= share.of:
            raise UsageError(f"--share {text}: expected I/N, the I-th of N shares, as 2/8")
        return share

    def take(self, runs: Sequence[_T]) -> Sequence[_T]:
        """Those of a part's runs that are in it."""
        return runs[self.number - 1 :: self.of]

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


EVERYTHING = Share(1, 1)


def train_missing(points: Sequence[Point], store: Store, device: str, share: Share = EVERYTHING) -> None:
    """Train every run of a share that is not done; one that is half done goes on from its checkpoint.

    Raises:
        UsageError: before anything is trained, if another run stands in a folder, or a configuration does not fit the
            data.
        Interrupted: after SIGINT or SIGTERM, once the state is saved.
    """
    runs = share.take(list(runs_of(points)))
    for run in runs:
        run.check(store)
        if not run.exists:
            fitting_space(run.settled, store)
    for number, run in enumerate(runs, 1):
        complete(run, store, device, f"run {number}/{len(runs)}")


def complete(planned: PlannedRun, store: Store, device: str, title: str) -> Run:
    """The planned run, trained to its end."""
    state = planned.state(store)
    name = f"{title}: {planned.folder}"
    if state == "done":
        terminal.note(f"{name}: done before")
        run = Run(planned.folder)
        run.remove_leftovers()
        register(run.folder)
        return run
    terminal.note(f"{name}: {f'goes on at step {planned.step()}' if state == 'half done' else 'begins'}")
    if state == "half done":
        run, task, data = resume_run(planned.folder)
    else:
        task, data = planned.task, store
        run = start_run(planned.settled, data, planned.folder)
    try:
        with training_progress(f"{title}: {planned.folder.parent.name} {planned.folder.name}") as report:
            train(run, task, data, report, device)
    except Interrupted as error:
        raise Interrupted(f"interrupted; saved in {planned.folder}. The same command goes on from there") from error
    return run


def probe_points(points: Sequence[Point], device: torch.device, **flags: Any) -> list[Probed]:
    """Probe trained points, each over its seeds; what a run's cache holds is not measured again.

    Args:
        points: whose runs are trained.
        device: for encoder and probes.
        flags: values of ``ProbeConfig``.
    """
    found: dict[str, Probed] = {}
    for family in dict.fromkeys(point.family for point in points):
        members = [point for point in points if point.family == family]
        terminal.note(f"probing {', '.join(point.label for point in members)}")
        for probed in _probe_family(members, device, flags):
            found[probed.label] = probed
    return [found[point.label] for point in points]


def _probe_family(points: Sequence[Point], device: torch.device, flags: dict[str, Any]) -> list[Probed]:
    reports = [probe_each([Run(run.folder) for run in point.runs], device, **flags) for point in points]
    if len(points) > 1 and points[0].config.method in EQUIVARIANT and asks_r2(flags):
        found = compare_reports(reports)
        between = found.gaps, found.paper_gaps
        return [_probed(p, r, *between) for p, r in zip(points, found.reports, strict=True)]
    pooled = map(pool, reports)
    return [_probed(p, r, r.gaps, r.paper_gaps) for p, r in zip(points, pooled, strict=True)]


def _probed(point: Point, report: ProbeReport, gaps: list[float], paper_gaps: list[float]) -> Probed:
    times = [Run(run.folder).training_time() for run in point.runs]
    return Probed(
        label=point.label,
        family=point.family,
        values=dict(point.values),
        report=report,
        gaps=gaps,
        paper_gaps=paper_gaps,
        seconds=[time.seconds for time in times],
        processor_seconds=[time.processor_seconds for time in times],
    )


def check_probes(points: Sequence[Point], flags: Mapping[str, Any]) -> None:
    """Refuse what ``probe_runs`` would refuse, before hours of training.

    Raises:
        UsageError: if a value does not fit, objects have no views to rank, a method has none of the metrics, or no
            context length fits a model.
    """
    named = flags.get("metrics") or ()
    for point in points:
        task = point.runs[0].task
        config = probe_config(task.dataset, **flags)
        measurable(point.config.method, config.metrics)
        if "mrr" in named and not all(action.recorded for action in task.actions):
            raise UsageError(
                f"mrr ranks the recorded views of an object, and {task.name} has none: leave it out of --metrics"
            )
        longest = point.config.model.max_context
        if point.config.method in CONTEXTUAL and not config.lengths(longest):
            lengths = ",".join(map(str, config.context_lengths))
            raise UsageError(f"--lengths {lengths}: {point.label} reads {longest} tokens at most")
