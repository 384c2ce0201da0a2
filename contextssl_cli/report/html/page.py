"""The HTML page of ``contextssl report``: it fetches nothing and runs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from contextssl_cli import files
from contextssl_cli.config.resolve import flat_settings
from contextssl_cli.errors import UsageError
from contextssl_cli.evaluation.comparison import Comparison
from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.paths import make_folder
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.report.figures import draw_training, measured_curves, read_losses
from contextssl_cli.report.html import commands
from contextssl_cli.report.html.inline_svg import Picture, inline_svg
from contextssl_cli.report.probe_tables import (
    Found,
    all_tables,
    comparison_table,
    distinguishing_settings,
    reports_of,
)
from contextssl_cli.report.studies import StudyView
from contextssl_cli.report.summary import comparison_sentence, gap_sentence
from contextssl_cli.text import is_figure, printable_lines, value_text

GENERATOR = "contextssl"
"""Named in the head of a page; a page without it is not overwritten."""
_HEAD = 1000  # bytes
_CAPTIONS = {
    "r2": (
        "R2 of each action type against context length",
        "How well a probe predicts each action from the embeddings of two views, by context length. The line is the "
        "mean over the runs, the band one sample standard deviation.",
    ),
    "mrr": (
        "Mean reciprocal rank by context length",
        "Mean reciprocal rank of the view after an action among the views of its object, by context length: mean and "
        "one sample standard deviation.",
    ),
}
"""Title and caption of a figure, by the metric that it shows."""
_CURVE_CAPTION = "Training: the loss, and the adaptation gap on held-out training samples where it was measured."


def check_page(path: Path) -> Path:
    """Check, before minutes of work, that a page can be written to a path.

    Raises:
        UsageError: if it is not named as a page, or exists and is not a page of contextssl.
        DataMissingError: if its folder cannot be written to.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {path}: expected the name of a page, such as report.html")
    if path.is_dir():
        raise UsageError(f"--out {path} is a folder; name a page in it, such as {path / 'report.html'}")
    make_folder(path.parent)
    files.check_output(path)
    head = files.read_head(path, _HEAD) if path.exists() else b""
    if head and f'<meta name="generator" content="{GENERATOR} '.encode() not in head:
        raise UsageError(f"{path} is not a page of contextssl report and is not replaced; choose another --out")
    return path


def render(found: Sequence[Found], studies: Sequence[StudyView] = ()) -> str:
    """The page as text.

    Args:
        found: the results.
        studies: that the results are points of.
    """
    reports = reports_of(found)
    several = len(reports) > 1
    settings = distinguishing_settings(reports)
    sections = [
        _section(report, own, f"r{n}", f"{n}-" if several else "")
        for n, (report, own) in enumerate(zip(reports, settings, strict=True), 1)
    ]
    page = Environment(
        loader=PackageLoader("contextssl_cli.report.html", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    ).get_template("page.html")  # fmt: skip
    text = page.render(
        generator=f"{GENERATOR} {metadata.version('contextssl')}",
        title=", ".join(dict.fromkeys(report.task for report in reports)),
        overview=comparison_table(reports, settings) if several else None,
        gaps=_gaps(found, sections),
        studies=studies,
        sections=sections,
        is_figure=is_figure,
    )
    return printable_lines(text)  # a name may reverse the text, or hold what HTML does not take


def _gaps(found: Sequence[Found], sections: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The sentence of each comparison, and the command that compares its runs under their names in the sections."""
    gaps, first = [], 0
    for one in found:
        last = first + len(reports_of([one]))
        if isinstance(one, Comparison):
            names = [run["name"] for section in sections[first:last] for run in section["runs"]]
            out = f"{first + 1}-comparison"
            gaps.append((comparison_sentence(one), commands.probe_command(one.reports[0], names, out, compare=True)))
        first = last
    return gaps


def _section(report: ProbeReport, settings: str, anchor: str, prefix: str) -> dict[str, Any]:
    """The part of the page about one report: runs of one task that differ in their seeds.

    Args:
        report: of the runs.
        settings: that distinguish it from other reports.
        anchor: its id in the page.
        prefix: distinguishes its runs in the commands from those of other parts.
    """
    task = commands.stored_task(report)
    names = _names(report, prefix)
    runs = [
        _run_view(about, name, f"{anchor}-{number}-")
        for number, (about, name) in enumerate(zip(report.protocol["runs"], names, strict=True), 1)
    ]
    condition = f"conditioned on {environment_name(report.conditioned_on)}" if report.conditioned_on else ""
    return {
        "anchor": anchor,
        "title": f"{report.task}: {', '.join(filter(None, [report.method, condition, settings, report.apart]))}",
        "measured": _measured(report),
        "gap": gap_sentence(report) if report.gaps or not report.lengths else "",
        "pictures": [
            Picture(inline_svg(draw, f"{anchor}-{metric}-", _CAPTIONS[metric][0]), _CAPTIONS[metric][1])
            for metric, draw in measured_curves(report).items()
        ],
        "tables": all_tables(report),
        "runs": runs,
        "commands": commands.reproducing_commands(report, task, names, f"{prefix}results") if task else [],
        "without_flags": commands.settings_without_flags(report, task) if task else [],
        "in_part": [
            f"{run['name']} at step {run['step']} of {run['steps']}"
            for run in runs
            if run["steps"] and run["step"] < run["steps"]
        ],
        "probes": {key: value_text(value) for key, value in report.protocol["probes"].items()},
        "protocol": report.protocol,
    }


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
        f"What probes predict from the encoder's feature{contexts}: {runs} (seed{'' if count == 1 else 's'} "
        f"{', '.join(map(str, report.seeds))}). {report.protocol['splits'].capitalize()}."
    )


def _run_view(about: Mapping[str, Any], name: str, prefix: str) -> dict[str, Any]:
    """The part of the page about one run; the commands use its name, which is unique in the section."""
    run = commands.stored_run(about)
    lines = read_losses(run.metrics_log) if run else []
    curve = None
    if lines:
        title = f"Training curve of {name}, to step {lines[-1]['step']}"
        curve = Picture(inline_svg(partial(draw_training, lines), prefix, title), _CURVE_CAPTION)
    asked = commands.stored_asked(about)
    named = asked.named() if asked else {}
    settings = [(key, value_text(value), key in named) for key, value in flat_settings(about["config"]).items()]
    created = run.record.created if run else ""
    return {**about, "name": name, "created": created, "settings": settings, "curve": curve}


def _names(report: ProbeReport, prefix: str) -> list[str]:
    """The names of the runs' folders, numbered where two are the same; each with the prefix."""
    names: list[str] = []
    for run in report.protocol["runs"]:
        stem = Path(run["folder"]).name or "run"
        number = sum(name == stem or name.startswith(f"{stem}-again") for name in names)
        names.append(f"{stem}-again{number}" if number else stem)
    return [prefix + name for name in names]
