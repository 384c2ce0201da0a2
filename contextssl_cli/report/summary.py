"""What the commands print when they are done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contextssl_cli.adaptation.adapt import Adaptation
from contextssl_cli.evaluation.comparison import Comparison
from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.report.gather import reports_of
from contextssl_cli.report.marks import marks
from contextssl_cli.report.tables import comparison_table, probe_tables, profile_table, side_by_side
from contextssl_cli.report.terminal import terminal


def print_probe(report: ProbeReport, paths: Sequence[Path], *, as_json: bool) -> None:
    """Tables, adaptation gap and the paths written; or one JSON object."""
    if as_json:
        terminal.json(report.as_dict() | {"paths": [str(path) for path in paths]})
        return
    for table in [*probe_tables(report), *([side_by_side(report)] if report.lengths else [])]:
        terminal.table(table.title, table.header, table.rows)
    if report.gaps or not report.lengths:
        terminal.result(gap_sentence(report))
    terminal.written(*paths)


def print_page(found: Sequence[ProbeReport | Comparison], path: Path, *, as_json: bool) -> None:
    """The gaps on a page and its path; or one JSON object."""
    if as_json:
        terminal.json({"path": str(path), "results": [one.as_dict() for one in found]})
        return
    apart = iter(marks(reports_of(found)))
    for one in found:
        settings = [next(apart) for _ in reports_of([one])]
        terminal.result(comparison_sentence(one) if isinstance(one, Comparison) else _line(one, settings[0]))
    terminal.written(path)


def print_comparison(comparison: Comparison, paths: Sequence[Path], *, as_json: bool) -> None:
    """What each model's features know, the gap between the models and the paths written; or one JSON object."""
    found = comparison.as_dict()
    if as_json:
        terminal.json(found | {"paths": [str(path) for path in paths]})
        return
    table = comparison_table(comparison.reports)
    terminal.table(table.title, table.header, table.rows)
    terminal.result(comparison_sentence(comparison))
    terminal.written(*paths)


def _line(report: ProbeReport, settings: str) -> str:
    """The gap, behind what tells the report from the others; settings are those in which it differs from its like."""
    told = gap_sentence(report) if report.gaps or not report.lengths else "R2 was not measured, so no adaptation gap"
    method = report.method if report.lengths else ""  # without a context the sentence itself names it
    return f"{', '.join(filter(None, [report.task, method, settings]))}: {told}"


def gap_sentence(report: ProbeReport) -> str:
    """The adaptation gap, its ceiling, and the gap by the paper's definition."""
    if report.adaptation_gap is None:
        told = f", told to be equivariant to {', '.join(report.told)}" if report.told else ""
        return f"{report.method}{told}: no context, so no adaptation gap; probe --compare gives that of several runs"
    several = f" ± {report.gap_std:.3f} over {len(report.gaps)} runs" if len(report.gaps) > 1 else ""
    return (
        f"adaptation gap at {report.lengths[-1]} tokens: {report.adaptation_gap:.3f}{several} "
        f"(ceiling {len(report.actions)}; as in the paper {report.adaptation_gap_paper:.3f})"
        f"{_apart(report)}"
    )


def comparison_sentence(comparison: Comparison) -> str:
    """The gap between models that were told different action types."""
    found = comparison.as_dict()
    std = f" ± {found['adaptation_gap_std']:.3f}"
    several = f"{std} over {len(comparison.gaps)} seeds" if len(comparison.gaps) > 1 else ""
    first = comparison.reports[0]
    method = next((report.method for report in comparison.reports if report.told), first.method)
    return (
        f"{first.task}, {method}: adaptation gap between the models: {found['adaptation_gap']:.3f}{several} "
        f"(as in the paper {found['adaptation_gap_paper']:.3f}){_apart(first)}"
    )


def _apart(report: ProbeReport) -> str:
    return f", {report.apart}" if report.apart else ""


def print_adaptation(adaptation: Adaptation, *, as_json: bool) -> None:
    """The symmetry profile and the path written; or one JSON object."""
    count, dim = adaptation.shape
    if as_json:
        terminal.json(dict(adaptation.about) | {"out": str(adaptation.out), "embeddings": [count, dim]})
        return
    if adaptation.profile:
        title = "Symmetry profile, before the guard" if adaptation.guarded else "Symmetry profile"
        table = profile_table(adaptation.profile, title)
        terminal.table(table.title, table.header, table.rows)
        named = [f"{row.target}: {row.probe}" for row in adaptation.profile]
        terminal.result("; ".join([*named, f"strong: {adaptation.profile[0].strong_probe}"]))
    if adaptation.guarded:
        guard = adaptation.about["guard"]
        lines = [[r.metric, r.target, f"{r.before:.3f}", f"{r.after:.3f}", r.probe] for r in adaptation.guarded]
        removed, kept = guard["directions_removed"], guard["directions_kept"]
        title = (
            f"Guard against {guard['action']}, by {guard['pairs']} pairs of views: {removed} of {removed + kept} "
            "directions removed"
        )
        terminal.table(title, ["figure", "of", "before", "after", "probe"], lines)
    terminal.result(f"{adaptation.out}: {count} embeddings of {dim} numbers")
