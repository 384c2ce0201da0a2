"""The report as one HTML page: nothing in it is fetched, and nothing in it is a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from contextssl_cli import files
from contextssl_cli.evaluation.comparison import Comparison
from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.report import reproduce
from contextssl_cli.report.figures import draw_context_lengths, draw_ranking
from contextssl_cli.report.gather import GENERATOR, Found, reports_of
from contextssl_cli.report.inline_svg import Picture, inline_svg
from contextssl_cli.report.marks import marks
from contextssl_cli.report.studies import StudyView
from contextssl_cli.report.summary import comparison_sentence, gap_sentence
from contextssl_cli.report.tables import TextTable, comparison_table, probe_tables, side_by_side
from contextssl_cli.report.training_curve import draw_training, read_losses
from contextssl_cli.text import printable_lines

_R2_CAPTION = (
    "How well a probe reads each action type from the embeddings of two views, by context length. Left to right: more "
    "example pairs. The line is the mean over the runs, the band one sample standard deviation."
)
_MRR_CAPTION = (
    "Mean reciprocal rank of the view after an action among the views of its object, by context length; mean and one "
    "sample standard deviation."
)
_CURVE_CAPTION = "Training: the loss, and the adaptation gap on held-out training samples where it was watched."


@dataclass(frozen=True)
class RunView:
    """What the page tells of one run.

    Attributes:
        name: of its folder, made unique within the section; the commands use it.
        settings: (key, value, whether the user asked for it).
    """

    name: str
    folder: str
    fingerprint: str
    seed: str
    created: str
    settings: list[tuple[str, str, bool]]
    versions: dict[str, str]
    curve: Picture | None


@dataclass(frozen=True)
class Section:
    """One report: runs of one task that differ in their seeds."""

    anchor: str
    title: str
    measured: str
    gap: str
    pictures: list[Picture]
    tables: list[TextTable]
    runs: list[RunView]
    commands: list[str]
    unsaid: list[str]
    in_part: list[str]
    store_hash: str
    probes: dict[str, str]
    versions: dict[str, str]


def write_page(found: Sequence[Found], path: Path, studies: Sequence[StudyView]) -> Path:
    """Write the page of results, atomically; return its path.

    Args:
        found: the results.
        path: of the page.
        studies: that they are points of.
    """
    files.write_text(path, render(found, studies))
    return path


def render(found: Sequence[Found], studies: Sequence[StudyView] = ()) -> str:
    """The page as text; arguments as for ``write_page``."""
    reports = reports_of(found)
    several = len(reports) > 1
    apart = marks(reports)
    sections = [
        _section(report, mark, f"r{n}", f"{n}-" if several else "")
        for n, (report, mark) in enumerate(zip(reports, apart, strict=True), 1)
    ]
    page = Environment(
        loader=PackageLoader("contextssl_cli.report", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    ).get_template("page.html")  # fmt: skip
    text = page.render(
        generator=f"{GENERATOR} {metadata.version('contextssl')}",
        title=", ".join(dict.fromkeys(report.task for report in reports)),
        overview=_overview(reports, apart) if several else None,
        features=comparison_table(reports, apart) if several else None,
        gaps=_gaps(found, sections),
        studies=studies,
        sections=sections,
        is_number=_is_number,
    )
    return printable_lines(text)  # a name may turn text around, or hold what HTML does not take


def _gaps(found: Sequence[Found], sections: Sequence[Section]) -> list[tuple[str, str]]:
    """What each comparison says, and the command that compares its runs under the names that the sections give them."""
    gaps, first = [], 0
    for one in found:
        last = first + len(reports_of([one]))
        if isinstance(one, Comparison):
            names = [run.name for section in sections[first:last] for run in section.runs]
            out = f"{first + 1}-comparison"
            gaps.append((comparison_sentence(one), reproduce.probe_command(one.reports[0], names, out, compare=True)))
        first = last
    return gaps


def _overview(reports: Sequence[ProbeReport], apart: Sequence[str]) -> TextTable:
    rows, differ = [], any(apart)
    for report, mark in zip(reports, apart, strict=True):
        gap = [f"{report.adaptation_gap:.3f}", f"{report.adaptation_gap_paper:.3f}"] if report.gaps else ["", ""]
        spread = f" ± {report.gap_std:.3f}" if len(report.gaps) > 1 else ""
        rows.append([report.task, report.method, environment_name(report.told) if report.told else "",
                     *([mark] if differ else []), _seeds(report), gap[0] + spread, gap[1]])  # fmt: skip
    header = [
        "task",
        "method",
        "told",
        *(["settings"] if differ else []),
        "seeds",
        "adaptation gap",
        "as in the paper",
    ]
    return TextTable("What is compared", header, rows)


def _section(report: ProbeReport, mark: str, anchor: str, prefix: str) -> Section:
    """A part of the page; the prefix keeps its runs' names in the commands from those of other parts."""
    task = reproduce.stored_task(report)
    names = _names(report, prefix)
    runs = [
        _run_view(about, name, f"{anchor}-{number}-")
        for number, (about, name) in enumerate(zip(report.protocol["runs"], names, strict=True), 1)
    ]
    told = f", told {environment_name(report.told)}" if report.told else ""
    apart = f", {report.apart}" if report.apart else ""
    return Section(
        anchor=anchor,
        title=f"{report.task}: {report.method}{told}{', ' if mark else ''}{mark}{apart}",
        measured=_measured(report),
        gap=gap_sentence(report) if report.gaps or not report.lengths else "",
        pictures=_pictures(report, anchor),
        tables=[*probe_tables(report), *([side_by_side(report)] if report.lengths else [])],
        runs=runs,
        commands=reproduce.commands(report, task, names, f"{prefix}results") if task else [],
        unsaid=reproduce.unsaid_probes(report, task) if task else [],
        in_part=_in_part(report, names),
        store_hash=report.protocol["store_hash"],
        probes={key: _show(value) for key, value in report.protocol["probes"].items()},
        versions=report.protocol["versions"],
    )


def _in_part(report: ProbeReport, names: Sequence[str]) -> list[str]:
    """The runs that were measured before their training had ended."""
    return [
        f"{name} at step {run['step']} of {run['steps']}"
        for name, run in zip(names, report.protocol["runs"], strict=True)
        if run.get("steps") and run["step"] < run["steps"]  # earlier versions kept neither
    ]


def _measured(report: ProbeReport) -> str:
    count = len(report.protocol["runs"])
    runs = "one run" if count == 1 else f"{count} runs, as mean ± sample standard deviation"
    contexts = (
        f", and from its embedding under a context of {', '.join(report.environments)}, at "
        f"{', '.join(map(str, report.lengths))} tokens"
        if report.lengths
        else ""
    )
    return (
        f"What probes read from the encoder's feature{contexts}: {runs} (seed{'' if count == 1 else 's'} "
        f"{_seeds(report)}). {report.protocol['splits'].capitalize()}."
    )


def _pictures(report: ProbeReport, anchor: str) -> list[Picture]:
    measured = {row.metric for row in report.rows if report.lengths}
    pictures = []
    if "r2" in measured:
        title = f"R2 of {' and '.join(report.actions)} against context length, a panel for each context"
        svg = inline_svg(partial(draw_context_lengths, report), f"{anchor}-r2-", title)
        pictures.append(Picture(svg, _R2_CAPTION))
    if "mrr" in measured:
        svg = inline_svg(partial(draw_ranking, report), f"{anchor}-mrr-", "Mean reciprocal rank by context length")
        pictures.append(Picture(svg, _MRR_CAPTION))
    return pictures


def _run_view(about: dict[str, Any], name: str, prefix: str) -> RunView:
    run = reproduce.run_of(about)
    lines = read_losses(run.metrics_log) if run else []
    curve = None
    if lines:
        svg = inline_svg(
            partial(draw_training, lines), prefix, f"Training curve of {name}, to step {lines[-1]['step']}"
        )
        curve = Picture(svg, _CURVE_CAPTION)
    return RunView(
        name=name,
        folder=about["folder"],
        fingerprint=about["fingerprint"],
        seed=_show(about["config"].get("seed", "")),
        created=run.record.created if run else "",
        settings=_settings(about),
        versions=about["versions"],
        curve=curve,
    )


def _settings(about: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Every setting of a run, with its value and whether the user asked for it."""
    asked = reproduce.stored_asked(about)
    named = asked.named() if asked else {}
    return [(key, _show(value), key in named) for key, value in reproduce.flat(about["config"]).items()]


def _names(report: ProbeReport, prefix: str) -> list[str]:
    """The runs' folders without their parents, numbered where two are the same; each with the prefix."""
    names: list[str] = []
    for run in report.protocol["runs"]:
        stem = Path(run["folder"]).name or "run"
        number = sum(name == stem or name.startswith(f"{stem}-again") for name in names)
        names.append(f"{stem}-again{number}" if number else stem)
    return [prefix + name for name in names]


def _seeds(report: ProbeReport) -> str:
    return ", ".join(_show(run["config"].get("seed", "?")) for run in report.protocol["runs"])


def _show(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_show, value)) or "none"
    if value is None or value == {}:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_number(text: str) -> bool:
    return text[:1].isdigit() or (text[:1] in "+-−" and text[1:2].isdigit())
