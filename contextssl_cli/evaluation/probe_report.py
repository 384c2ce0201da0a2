"""The figures of a full probe, of one run or over several that differ in their seeds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from contextssl_cli.evaluation.results import Row, average, spread, to_dicts


@dataclass(frozen=True)
class ProbeReport:
    """What ``contextssl probe`` found.

    Attributes:
        task: of all the runs.
        rows: mean and spread over the runs.
        gaps: the adaptation gap of each run, at the longest context, by the paper's probes; none without R2, or for a
            method without a context.
        clipped_gaps: the same with every R2 below 0 counted as 0. A probe that overfits reads an R2 below 0 where
            there is nothing to read, which would count as adaptation.
        environments: names, in the task's order.
        actions: the action types, in the task's order.
        lengths: context lengths in tokens.
        protocol: probes, seeds, versions and runs: all that the figures depend on.
    """

    task: str
    rows: list[Row]
    gaps: list[float]
    clipped_gaps: list[float]
    environments: list[str]
    actions: list[str]
    lengths: list[int]
    protocol: dict[str, Any]

    @property
    def adaptation_gap(self) -> float | None:
        """The mean over the runs; None where R2 was not measured, and for a method without a context."""
        return statistics.fmean(self.gaps) if self.gaps else None

    @property
    def gap_std(self) -> float:
        """The sample standard deviation over the runs, 0 for a single one."""
        return spread(self.gaps)

    @property
    def adaptation_gap_clipped(self) -> float | None:
        """The mean over the runs, with negative R2 counted as 0."""
        return statistics.fmean(self.clipped_gaps) if self.clipped_gaps else None

    @property
    def method(self) -> str:
        """That the runs were trained with."""
        return str(self.protocol["runs"][0]["config"].get("method", "contextssl"))

    @property
    def told(self) -> tuple[str, ...]:
        """The action types that the runs' method was told to be equivariant to."""
        return tuple(self.protocol["runs"][0]["config"].get("equivariant", ()))

    @property
    def apart(self) -> str:
        """What sets the figures apart from those on the test split, for titles; empty if they are on it."""
        return "" if self.judged_on == "test" else f"judged on {self.judged_on} training objects"

    @property
    def judged_on(self) -> str:
        """``test``, or ``held-out`` training objects."""
        return str(self.protocol["probes"].get("judged_on", "test"))

    @property
    def seeds(self) -> list[int]:
        """Of the runs."""
        return [int(run["config"]["seed"]) for run in self.protocol["runs"]]

    def as_dict(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "task": self.task,
            "adaptation_gap": self.adaptation_gap if self.gaps else None,
            "adaptation_gap_std": self.gap_std,
            "adaptation_gaps": self.gaps,
            "adaptation_gap_clipped": self.adaptation_gap_clipped if self.gaps else None,
            "adaptation_gaps_clipped": self.clipped_gaps,
            "environments": self.environments,
            "actions": self.actions,
            "context_lengths": self.lengths,
            "results": to_dicts(self.rows),
            "protocol": self.protocol,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The report of a ``results.json``."""
        return cls(
            task=values["task"],
            rows=[Row(**row) for row in values["results"]],
            gaps=values["adaptation_gaps"],
            clipped_gaps=values["adaptation_gaps_clipped"],
            environments=values["environments"],
            actions=values["actions"],
            lengths=values["context_lengths"],
            protocol=values["protocol"],
        )


def pool(reports: Sequence[ProbeReport]) -> ProbeReport:
    """One report of runs that differ in their seeds alone, from a report of each.

    Args:
        reports: of one run each, by one protocol; rows that one of them lacks are left out.
    """
    return replace(
        reports[0],
        rows=average([(report.seeds[0], {row.key: row.mean for row in report.rows}) for report in reports]),
        gaps=[gap for report in reports for gap in report.gaps],
        clipped_gaps=[gap for report in reports for gap in report.clipped_gaps],
        protocol={**reports[0].protocol, "runs": [run for report in reports for run in report.protocol["runs"]]},
    )
