"""Results: one value per environment, context length, metric, target and probe; averaged over runs."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, NamedTuple, Self

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass as checked

from contextssl_cli.config.probe import ProbeConfig
from contextssl_cli.text import printable

ENCODER = "encoder"
"""In place of an environment: read from the feature z, before any context."""
BLIND = "input without context"
"""In place of an environment: the ceiling of any probe of the input alone."""
RAW = "raw columns"
"""In place of an environment: read from the table itself."""

_FORMULA = ("=", "+", "-", "@", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters that begin a formula in a spreadsheet, in narrow and wide forms, and the apostrophe that escapes one."""


class Key(NamedTuple):
    """Identifies a value."""

    environment: str
    context_length: int
    metric: str
    target: str
    probe: str


@dataclass(frozen=True)
class Row:
    """One line of the results: mean and sample standard deviation over runs (0 for a single one).

    ``values`` are those of each run; a file of published results may leave them out.
    """

    environment: str
    context_length: int
    metric: str
    target: str
    probe: str
    mean: float
    std: float
    seeds: list[int]
    values: list[float] = field(default_factory=list)

    @property
    def key(self) -> Key:
        """The key of the row's values."""
        return Key(self.environment, self.context_length, self.metric, self.target, self.probe)


@dataclass(frozen=True)
class FairnessRow:
    """One figure of one representation.

    Attributes:
        representation: name of the representation.
        metric: ``accuracy``, or a difference between groups.
        target: the attribute, or the task.
        probe: name of the probe.
        values: one for each seed.
        mean: over the seeds; None if it is undefined.
        std: the sample standard deviation, 0 for one seed.
    """

    representation: str
    metric: str
    target: str
    probe: str
    values: list[float]
    mean: float | None
    std: float


def mean_of(values: Sequence[float]) -> float | None:
    """The mean; None of no value."""
    return statistics.fmean(values) if values else None


def sample_std(values: Sequence[float]) -> float:
    """The sample standard deviation; 0 for a single value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def average(runs: Sequence[tuple[int, dict[Key, float]]]) -> list[Row]:
    """Mean and standard deviation of several runs, given as (seed, values), for the keys that all of them have."""
    keys = [key for key in runs[0][1] if all(key in values for _, values in runs)]
    seeds = [seed for seed, _ in runs]
    rows = []
    for key in keys:
        values = [found[key] for _, found in runs]
        rows.append(Row(*key, mean=statistics.fmean(values), std=sample_std(values), seeds=seeds, values=values))
    return rows


def find(rows: Iterable[Row], environment: str, length: int, metric: str, target: str) -> Row:
    """The first row of the paper's probe for a quantity.

    Raises:
        KeyError: if there is none.
    """
    for row in rows:
        if row.key[:4] == (environment, length, metric, target):
            return row
    raise KeyError((environment, length, metric, target))


@checked(frozen=True, config=ConfigDict(populate_by_name=True, allow_inf_nan=False))
class ProbeReport:
    """What ``contextssl probe`` found.

    Attributes:
        task: of all the runs.
        rows: mean and standard deviation over the runs.
        gaps: the adaptation gap of each run, at the longest context, by the paper's probes; empty if R2 was not
            measured, or if the method reads no context. A negative R2 counts as 0.
        paper_gaps: the same by the paper's definition, in which a negative R2 counts as it is. A probe that overfits
            where there is nothing to read then counts as adaptation, and the gap may exceed its ceiling.
        environments: names, in the task's order.
        actions: the action types, in the task's order.
        lengths: context lengths in tokens.
        protocol: probes, seeds, versions and runs: all that the figures depend on.
    """

    task: str
    rows: Annotated[list[Row], Field(alias="results")]
    gaps: Annotated[list[float], Field(alias="adaptation_gaps")]
    paper_gaps: Annotated[list[float], Field(alias="adaptation_gaps_paper")]
    environments: list[str]
    actions: list[str]
    lengths: Annotated[list[int], Field(alias="context_lengths")]
    protocol: dict[str, Any]

    @property
    def adaptation_gap(self) -> float | None:
        """The mean over the runs; None where R2 was not measured, and for a method without a context."""
        return mean_of(self.gaps)

    @property
    def gap_std(self) -> float:
        """The sample standard deviation over the runs, 0 for a single one."""
        return sample_std(self.gaps)

    @property
    def adaptation_gap_paper(self) -> float | None:
        """The mean over the runs of the gap as the paper defines it."""
        return mean_of(self.paper_gaps)

    @property
    def method(self) -> str:
        """The method of the runs."""
        return str(self.protocol["runs"][0]["config"].get("method", "contextssl"))

    @property
    def conditioned_on(self) -> tuple[str, ...]:
        """The action types that the runs' method is conditioned on (``pretrain --equivariant``)."""
        return tuple(self.protocol["runs"][0]["config"].get("equivariant", ()))

    @property
    def apart(self) -> str:
        """For titles: what the figures were judged on; empty if it is the test split."""
        return "" if self.judged_on == "test" else f"judged on {self.judged_on} training objects"

    @property
    def judged_on(self) -> str:
        """``test``, or ``held-out`` training objects."""
        return self.probe_settings.judged_on

    @property
    def probe_settings(self) -> ProbeConfig:
        """The settings of the probes; one that a published result leaves out has its default."""
        return ProbeConfig.model_validate(self.protocol["probes"])

    @property
    def seeds(self) -> list[int]:
        """The seeds of the runs."""
        return [int(run["config"]["seed"]) for run in self.protocol["runs"]]

    def as_dict(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "task": self.task,
            "adaptation_gap": self.adaptation_gap,
            "adaptation_gap_std": self.gap_std,
            "adaptation_gap_paper": self.adaptation_gap_paper,
            **TypeAdapter(ProbeReport).dump_python(self, by_alias=True),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The report of a ``results.json``.

        Raises:
            pydantic.ValidationError: if it is not one.
        """
        return TypeAdapter(cls).validate_python(values)


def pool(reports: Sequence[ProbeReport]) -> ProbeReport:
    """One report of runs that differ in their seeds alone, from a report of each.

    Args:
        reports: of one run each, by one protocol; rows that one of them lacks are left out.
    """
    return replace(
        reports[0],
        rows=average([(report.seeds[0], {row.key: row.mean for row in report.rows}) for report in reports]),
        gaps=[gap for report in reports for gap in report.gaps],
        paper_gaps=[gap for report in reports for gap in report.paper_gaps],
        protocol={**reports[0].protocol, "runs": [run for report in reports for run in report.protocol["runs"]]},
    )


def cell(text: str) -> str:
    """Text as a cell of CSV that no spreadsheet takes for a formula.

    An apostrophe goes before a cell that begins as a formula does, unless it is a number, and before one that begins
    with an apostrophe; so what is read back is the cell without one apostrophe at its beginning. Line breaks and other
    control characters are escaped.
    """
    text = printable(text)
    if not text.startswith(_FORMULA) or _is_number(text):
        return text
    return f"'{text}"


def _is_number(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return math.isfinite(float(text))
    return False


def to_csv(rows: Iterable[tuple[Mapping[str, str], Row]], settings: Sequence[str] = ()) -> str:
    """Rows as CSV; several seeds, and their values, are separated by blanks. Text is written as ``cell`` does.

    Args:
        rows: each with its settings.
        settings: the names of the settings, which are the first columns.
    """
    stream = io.StringIO()
    names = [*settings, *Row.__dataclass_fields__]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writerow({name: cell(name) for name in names})
    for chosen, row in rows:
        several = {"seeds": " ".join(map(str, row.seeds)), "values": " ".join(map(str, row.values))}
        values = {
            key: cell(value) if isinstance(value, str) else value for key, value in {**chosen, **asdict(row)}.items()
        }
        writer.writerow(values | several)
    return stream.getvalue()
