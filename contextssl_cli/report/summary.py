"""What the commands print when they are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from contextssl_cli.adaptation.adapt import Adaptation
from contextssl_cli.evaluation.comparison import Comparison
from contextssl_cli.evaluation.inspection import HURTS, SCORE_TOLERANCE, Inspection, Reading
from contextssl_cli.evaluation.profile import ProfileRow
from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.report.probe_tables import (
    Found,
    all_tables,
    comparison_table,
    distinguishing_settings,
    reports_of,
    study_fairness_tables,
)
from contextssl_cli.report.tables import ResultTable, TextTable
from contextssl_cli.report.terminal import terminal
from contextssl_cli.selection.select import Selection

_SHOWN = 5


def print_outcome(
    found: Mapping[str, Any],
    tables: Sequence[TextTable] = (),
    sentences: Sequence[str] = (),
    paths: Sequence[Path] = (),
    *,
    as_json: bool,
) -> None:
    """The outcome of a command: tables, sentences and the paths written; or one JSON object with ``paths``."""
    if as_json:
        terminal.json({**found, "paths": [str(path) for path in paths]} if paths else found)
        return
    for table in tables:
        terminal.table(table.title, table.header, table.rows, table.labels)
    for sentence in sentences:
        terminal.result(sentence)
    terminal.written(*paths)


def print_found(found: Found, paths: Sequence[Path], *, as_json: bool) -> None:
    """Tables of a probe or a comparison, the adaptation gap and the paths written; or one JSON object."""
    if isinstance(found, Comparison):
        tables, sentences = [comparison_table(found.reports)], [comparison_sentence(found)]
    else:
        tables = all_tables(found)
        sentences = [gap_sentence(found)] if found.gaps or not found.lengths else []
    print_outcome(found.as_dict(), tables, sentences, paths, as_json=as_json)


def print_page(found: Sequence[Found], path: Path, *, as_json: bool) -> None:
    """The gaps on a page and its path; or one JSON object."""
    if as_json:
        terminal.json({"path": str(path), "results": [one.as_dict() for one in found]})
        return
    settings = iter(distinguishing_settings(reports_of(found)))
    for one in found:
        own = [next(settings) for _ in reports_of([one])]
        terminal.result(comparison_sentence(one) if isinstance(one, Comparison) else _line(one, own[0]))
    terminal.written(path)


def _line(report: ProbeReport, settings: str) -> str:
    """The gap of one of several reports, after what distinguishes the report."""
    gap = gap_sentence(report) if report.gaps or not report.lengths else "R2 was not measured, so no adaptation gap"
    method = report.method if report.lengths else ""  # without a context the sentence itself names it
    return f"{', '.join(filter(None, [report.task, method, settings]))}: {gap}"


def gap_sentence(report: ProbeReport) -> str:
    """The adaptation gap, its ceiling, and the gap by the paper's definition."""
    if report.adaptation_gap is None:
        types = ", ".join(report.conditioned_on)
        model = f"{report.method}, conditioned on {types}" if types else report.method
        return f"{model}: no context, so no adaptation gap; probe --compare gives the gap between runs"
    several = f" ± {report.gap_std:.3f} over {len(report.gaps)} runs" if len(report.gaps) > 1 else ""
    return (
        f"adaptation gap at {report.lengths[-1]} tokens: {report.adaptation_gap:.3f}{several} "
        f"(at most {len(report.actions)}; as in the paper {report.adaptation_gap_paper:.3f}){_apart(report)}"
    )


def comparison_sentence(comparison: Comparison) -> str:
    """The gap between models that are conditioned on different action types."""
    found, first = comparison.as_dict(), comparison.reports[0]
    seeds = len(comparison.gaps)
    several = f" ± {found['adaptation_gap_std']:.3f} over {seeds} seeds" if seeds > 1 else ""
    method = next((report.method for report in comparison.reports if report.conditioned_on), first.method)
    return (
        f"{first.task}, {method}: adaptation gap between the models: {found['adaptation_gap']:.3f}{several} "
        f"(as in the paper {found['adaptation_gap_paper']:.3f}){_apart(first)}"
    )


def _apart(report: ProbeReport) -> str:
    return f", {report.apart}" if report.apart else ""


def print_sweep_plan(out: Path, runs: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Every run of a sweep and its state; or one JSON object."""
    table = _by_key(f"Runs in {out}", runs, "point", "seed", "state", "step", "steps")
    print_outcome({"out": str(out), "runs": runs}, [table], as_json=as_json)


def print_sweep(found: Mapping[str, Any], paths: Sequence[Path], *, as_json: bool) -> None:
    """The table of a sweep and the paths written; or one JSON object."""
    print_outcome(found, [ResultTable.from_dict(found["table"]).text()], paths=paths, as_json=as_json)


def print_experiment_plan(plan: Mapping[str, Any], *, as_json: bool) -> None:
    """Data, runs, memory and hours of an experiment; or one JSON object."""
    sentences = [
        f"{one['study']}: {one['hours_left']:.1f} of {one['hours']:.1f} hours of training left ({one['hours_from']}); "
        f"memory {one['memory_gib']:g} GiB ({one['memory_from']})"
        for one in plan["estimates"]
    ]
    total = f"in all {plan['hours_left']:.1f} hours of training left, in addition to preparing and probing"
    tables = [
        _by_key("Data", plan["data"], "study", "state", "store", "source", "summary"),
        _by_key("Runs", plan["runs"], "study", "point", "seed", "state", "step", "steps", "minutes_left"),
    ]
    print_outcome(plan, tables, [*sentences, total], as_json=as_json)


def print_share(share: str, left: int, *, as_json: bool) -> None:
    """That a share is trained, and how many runs of other shares are not; or one JSON object."""
    rest = f"runs of other shares that are not trained yet: {left}" if left else "every run is: leave out --share now"
    print_outcome({"share": share, "not_trained": left}, (), [f"share {share} is trained; {rest}"], as_json=as_json)


def print_experiment(found: Mapping[str, Any], paths: Sequence[Path], *, as_json: bool) -> None:
    """The tables of an experiment and the paths written; or one JSON object."""
    tables = []
    for part in found["parts"]:
        own = [ResultTable.from_dict(table).text() for table in part["tables"]]
        own += study_fairness_tables(part["fairness"]) if "fairness" in part else []
        tables += [replace(table, title=f"{part['study']['name']}: {table.title}") for table in own]
    print_outcome(found, tables, paths=paths, as_json=as_json)


def _by_key(title: str, rows: Sequence[Mapping[str, Any]], *keys: str) -> TextTable:
    """JSON objects as a table with one column per key."""
    body = [["" if row[key] is None else str(row[key]) for key in keys] for row in rows]
    return TextTable(title, [key.replace("_", " ") for key in keys], body)


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


def profile_table(rows: Sequence[ProfileRow], title: str) -> TextTable:
    """R2 of every action type without context and under it, by the paper's probe and a strong one, and the verdict."""
    header = ["action", "R2 without", "R2 now", "strong without", "strong now", "verdict"]
    lines = []
    for row in rows:
        figures = row.r2_without, row.r2_now, row.strong_r2_without, row.strong_r2_now
        lines.append([row.action, *(f"{value:.3f}" for value in figures), row.verdict])
    return TextTable(title, header, lines)


def print_selection(selection: Selection) -> None:
    """The candidates with their uncertainty, the chosen one first, and whether the labels can decide."""
    bounded = list(selection.candidates[0].bounds)
    rows = [
        [
            candidate.name,
            f"{candidate.skill:.3f}",
            f"{candidate.behind:.3f} ± {candidate.behind_error:.3f}",
            f"{candidate.accuracy:.3f} ± {candidate.accuracy_error:.3f}",
            *(f"{candidate.bounds[name]:.3f} ± {candidate.bound_errors[name]:.3f}" for name in bounded),
        ]
        for candidate in selection.candidates
    ]
    header = ["context", "skill", "behind the first", "accuracy", *bounded]
    terminal.table(f"Contexts by {selection.labels} labels, each predicted from the others", header, rows)
    terminal.result(selection.reason)


def print_inspection(found: Inspection, *, as_json: bool) -> None:
    """The profile of a context by its length, how many pairs suffice, and the pairs that matter most."""
    actions = list(found.profile[0].r2)
    header = ["pairs", "tokens", *(f"R2 {action}" for action in actions), "score", "note"]
    title = f"Context {found.environment}, by length (on {found.judged} held-out pairs, {found.probe})"
    table = TextTable(title, header, [_reading(reading, actions) for reading in found.profile])
    strong = ", ".join(f"{name} {r2:.3f}" for name, r2 in found.strong_r2.items())
    sentences = [
        "score: mean R2 of the action types in the context minus that of the others, a negative R2 counted as 0",
        _effect(found),
        f"R2 with {found.used[-1].pairs} pairs by a strong probe ({found.strong_probe}): {strong}",
    ]
    if found.gain > SCORE_TOLERANCE:
        sentences.append(f"pairs that suffice: {found.suffices} of {min(found.pairs, found.trained_pairs)}")
    print_outcome(found.as_dict(), [table], [*sentences, *_pair_sentences(found), _beyond(found)], as_json=as_json)


def _effect(found: Inspection) -> str:
    least, most = found.used[0], found.used[-1]
    scores = f"score {least.score:.3f} without a pair, {most.score:.3f} with {most.pairs}"
    if found.gain > SCORE_TOLERANCE:
        return f"the context raises the score by {found.gain:.3f}: {scores}"
    if found.gain < -SCORE_TOLERANCE:
        return f"the context lowers the score by {-found.gain:.3f}: {scores}"
    return (
        f"the context changes nothing: {scores}. Either the embedding has the asked symmetry without it, or the model "
        "has not learnt to read contexts: see contextssl probe"
    )


def _reading(reading: Reading, actions: list[str]) -> list[str]:
    std = f" ± {reading.score_std:.3f}" if reading.draws > 1 else ""
    r2 = [f"{reading.r2[action]:.3f}" for action in actions]
    note = "longer than trained" if reading.beyond else ""
    return [str(reading.pairs), str(2 * reading.pairs), *r2, f"{reading.score:.3f}{std}", note]


def _pair_sentences(found: Inspection) -> list[str]:
    lines = [
        f"pair {one.pair} hurts: without it the score changes by {one.change:+.3f} (standard error {one.error:.3f})"
        for one in found.hurting[:_SHOWN]
    ]
    if more := [str(one.pair) for one in found.hurting[_SHOWN:]]:
        lines.append(f"{len(more)} more hurt, by less: {', '.join(more)}")
    worst = max(found.left_out, key=lambda one: one.change)
    best = min(found.left_out, key=lambda one: one.change)
    if not lines:
        lines = [f"no pair hurts: the largest gain from leaving one out is {worst.change:+.3f} (pair {worst.pair})"]
    if best.change > -HURTS:
        return [*lines, f"no pair is needed: without any one of them the score falls by less than {HURTS:g}"]
    return [*lines, f"the pair that helps most is {best.pair}: without it the score changes by {best.change:+.3f}"]


def _beyond(found: Inspection) -> str:
    longer = [reading for reading in found.profile if reading.beyond]
    if not longer:
        return f"the model was trained to read {found.trained_pairs} pairs at most; the context has {found.pairs}"
    at = next(reading for reading in found.profile if reading.pairs == found.trained_pairs)
    return (
        f"beyond the {found.trained_pairs} pairs that the model was trained to read: score {longer[-1].score:.3f} with "
        f"{found.pairs}, {at.score:.3f} with {at.pairs}; adapt reads the first {found.trained_pairs}"
    )
