"""How often few-shot selection was right, as tables, from what ``benchmarks/selection*.py`` write."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from contextssl_cli.report.tables import TextTable
from contextssl_cli.selection.select import Selection

_SETS = {"two": "the two contexts", "all": "the two contexts, and no context"}
_VERDICTS = ("cannot tell", "sure and right", "sure and wrong")

Values = Mapping[str, Any]


def verdicts(selections: Sequence[Selection], right: Collection[str]) -> dict[str, int]:
    """How often the labels could not tell, and how often the sure choice was one of ``right``, or was not."""
    sure = Counter(selection.chosen in right for selection in selections if selection.decided)
    return dict(zip(_VERDICTS, (len(selections) - sure.total(), sure[True], sure[False]), strict=True))


def digits_tables(values: Values) -> list[TextTable]:
    """For each set of candidates a line per task and run, with the picks and verdicts of its draws."""
    return [_digits_table(values, name) for name in _SETS]


def _digits_table(values: Values, name: str) -> TextTable:
    counts = [(run["seed"], task, found) for run in values["runs"] for task, found in run["counts"][name].items()]
    columns = list(counts[0][2])
    header = ["labels are", "run", *(c if c in _VERDICTS else f"picked {c}" for c in columns)]
    counts.sort(key=lambda line: list(values["runs"][0]["counts"][name]).index(line[1]))
    rows = [[task, f"seed {seed}", *(str(found[column]) for column in columns)] for seed, task, found in counts]
    return TextTable(f"Candidates: {_SETS[name]}", header, rows)


def adult_tables(values: Values) -> list[TextTable]:
    """What the contexts are on the test split, and for each objective the counts; all over the runs of a pairing."""
    by_pairing: dict[str, list[Values]] = {}
    for run in values["runs"]:
        by_pairing.setdefault(run["pairing"], []).append(run)
    return [_test_table(by_pairing), *(_objective_table(name, by_pairing) for name in values["objectives"])]


def _test_table(by_pairing: Mapping[str, Sequence[Values]]) -> TextTable:
    first = next(iter(by_pairing.values()))[0]["test"]
    figures = list(next(iter(first.values())))
    rows = [
        [pairing, candidate, *(_spread([run["test"][candidate][figure] for run in runs]) for figure in figures)]
        for pairing, runs in by_pairing.items()
        for candidate in first
    ]
    return TextTable("On the test split", ["pairing", "candidate", *figures], rows)


def _objective_table(objective: str, by_pairing: Mapping[str, Sequence[Values]]) -> TextTable:
    rows = []
    for pairing, runs in by_pairing.items():
        lines = [[line for line in run["counts"] if line["objective"] == objective] for run in runs]
        rows += [[pairing, *_counts(same)] for same in zip(*lines, strict=True)]
    header = ["pairing", "labels", "candidates", "meets it in test", "picked", "refused", "right, by run", *_VERDICTS]
    return TextTable(f"Objective: {objective}", header, rows)


def _counts(runs: Sequence[Values]) -> list[str]:
    """One line: the same labels and candidates in every run."""
    names = list(runs[0]["picked"])
    meeting = [f"{name} ({times})" for name in names if (times := sum(name in run["meeting"] for run in runs))]
    picked = [f"{name} {times}" for name in names if (times := sum(run["picked"][name] for run in runs))]
    sums = [str(sum(run[key] for run in runs)) for key in ("refused", *_VERDICTS)]
    right = ", ".join(str(run["right"]) for run in runs)
    about = [str(runs[0]["labels"]), _SETS[runs[0]["candidates"]]]
    return [*about, "; ".join(meeting) or "none", "; ".join(picked) or "none", sums[0], right, *sums[1:]]


def _spread(values: list[float]) -> str:
    mean = f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean
