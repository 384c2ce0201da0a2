"""The page and the figures of an experiment; the page is made from the result file alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contextssl_cli.experiments.execute import Probed
from contextssl_cli.experiments.plan import folder_name
from contextssl_cli.experiments.recipe import Study
from contextssl_cli.report.figures import save_curves, save_sweep
from contextssl_cli.report.studies import PageBlock, study_blocks
from contextssl_cli.report.tables import ResultTable, as_markdown


def page_text(results: Mapping[str, Any]) -> str:
    """The page in Markdown: our figures next to the published ones, and all that they depend on.

    Args:
        results: the contents of ``results.json``.
    """
    command = f"contextssl reproduce {results['name']} --scale {results['scale']}"
    parts = [
        f"# {results['title']}",
        results["summary"],
        f"```console\n$ {command}\n```",
        studies_text(results),
        f"All figures, the probes' settings and every run's configuration: `results.json`. Versions: "
        f"{versions_text(results)}.",
    ]
    return "\n\n".join(parts) + "\n"


def studies_text(results: Mapping[str, Any], folder: str = "") -> str:
    """Data, budget, tables, figures and runs of every study, and what is missing.

    Args:
        results: the contents of ``results.json``.
        folder: of the figures, relative to the page, with a slash at its end.
    """
    parts = [
        "Mean ± sample standard deviation over seeds, where there are several. R2 may be negative; the adaptation gap "
        "counts a negative R2 as 0, and the gap as in the paper counts it as it is. The gap of a method without a "
        "context is that between its models that are conditioned on different action types.",
    ]
    parts += [results["published_note"]] if results["published_note"] else []
    for part in results["parts"]:
        parts.append(f"## {part['study']['name']}")
        parts += map(_markdown, study_blocks(part, results["versions"]))
        parts += [f"![{name.rpartition('.')[0]}]({folder}{name})" for name in part["figures"] if name.endswith(".png")]
    if results["not_run"]:
        parts.append(f"Not run yet: {', '.join(results['not_run'])}.")
    return "\n\n".join(parts)


def versions_text(results: Mapping[str, Any]) -> str:
    """The versions of the packages that made the results."""
    return as_markdown(", ".join(f"{name} {version}" for name, version in results["versions"].items()))


def _markdown(block: PageBlock) -> str:
    return block if isinstance(block, str) else f"### {block.title}\n\n{block.markdown()}"


def draw_study(study: Study, probed: Sequence[Probed], tables: Sequence[ResultTable], out: Path) -> list[Path]:
    """Draw the figures of a study as PNG and SVG, and return the paths.

    If a setting is swept, its plot; otherwise curves by context length, one picture per ContextSSL model.

    Args:
        study: of the recipe.
        probed: its points.
        tables: over them.
        out: the folder.
    """
    drawn: list[Path] = []
    swept = [table for table in tables if table.name == "sweep"]
    for table in swept:
        drawn += save_sweep(table, {one.label: one.values for one in probed}, out / f"{study.name}-sweep")
    own = [one for one in probed if one.report.lengths and one.report.method == "contextssl"]
    several = len(own) > 1 or sum(run.method == "contextssl" for run in study.runs) > 1  # now, or when all is done
    for one in own if not swept else ():
        name = f"-{folder_name(one.label)}" if several else ""
        drawn += save_curves(one.report, out, f"{study.name}{name}-")
    return drawn
