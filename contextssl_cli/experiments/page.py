"""The page and the figures of an experiment; the page is made from the result file alone."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contextssl_cli.config.probe import ProbeConfig
from contextssl_cli.experiments.execute import Probed
from contextssl_cli.experiments.plan import folder_name
from contextssl_cli.experiments.recipe import Study
from contextssl_cli.report.figures import CURVES, save_curves, save_sweep
from contextssl_cli.report.probe_tables import FAIRNESS_NOTE, study_fairness_tables
from contextssl_cli.report.tables import ResultTable, TextTable, as_markdown

_MACHINE = ("platform", "cpus")  # listed among the versions


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
        parts += _study_text(part, folder, results["versions"])
    if results["not_run"]:
        parts.append(f"Not run yet: {', '.join(results['not_run'])}.")
    return "\n\n".join(parts)


def versions_text(results: Mapping[str, Any]) -> str:
    """The versions of the packages that made the results."""
    return as_markdown(", ".join(f"{name} {version}" for name, version in results["versions"].items()))


def _study_text(part: Mapping[str, Any], folder: str, versions: Mapping[str, str]) -> list[str]:
    study, store = part["study"], part["store"]
    points = [Probed.from_dict(point) for point in part["points"]]
    lines = [
        f"## {study['name']}",
        f"Data: `{study['plugin']}`, {store['train']:,} training and {store['test']:,} test samples (content "
        f"{store['hash'][:12]}). Budget: {study['budget_minutes']:g} minutes a run ({study['budget_from']}). Probes "
        f"are fitted to the training split and judged on the test split: {_probes(points[0])}.",
        f"What differs from the paper: {study['differs']}",
    ]
    lines += [f"Not trained yet: {', '.join(part['not_trained'])}."] if part["not_trained"] else []
    lines += [f"Left out by `--limit-seeds`: {', '.join(part['left_out'])}."] if part["left_out"] else []
    lines += _other_origins(part, points, versions)
    for table in map(ResultTable.from_dict, part["tables"]):
        lines.append(f"### {table.title}\n\n{table.text().markdown()}")
        lines.append(f"By: {table.by()}.")
        lines += [f"Published: {source}" for source in table.sources]
    if "fairness" in part:
        lines += [f"### {table.title}\n\n{table.markdown()}" for table in study_fairness_tables(part["fairness"])]
        lines.append(FAIRNESS_NOTE)
    lines += [f"![{name.rpartition('.')[0]}]({folder}{name})" for name in part["figures"] if name.endswith(".png")]
    lines.append(f"### Runs\n\n{_runs(points).markdown()}")
    return lines


def _other_origins(part: Mapping[str, Any], points: Sequence[Probed], versions: Mapping[str, str]) -> list[str]:
    """Which runs were trained on other content or by other versions than the page's."""
    content: dict[str, list[str]] = {}
    packages: dict[str, list[str]] = {}
    for point in points:
        for run in point.report.protocol["runs"]:
            name = f"{point.label} (seed {run['config']['seed']})"
            if run["store_hash"] != part["store"]["hash"]:
                content.setdefault(run["store_hash"][:12], []).append(name)
            other = [f"{package} {version}" for package, version in run["versions"].items()
                     if package not in _MACHINE and versions.get(package, version) != version]  # fmt: skip
            if other:
                packages.setdefault(", ".join(other), []).append(name)
    lines = [f"On data made with the same options, whose content is {found}: {', '.join(runs)}."
             for found, runs in content.items()]  # fmt: skip
    lines += [f"By {found}: {', '.join(runs)}." for found, runs in packages.items()]
    return [" ".join(lines)] if lines else []


def _probes(point: Probed) -> str:
    config = ProbeConfig.model_validate(point.report.protocol["probes"])
    lengths = ", ".join(map(str, config.context_lengths))
    return (
        f"actions {config.action_epochs} epochs, labels {config.label_epochs} epochs, pairs of views of each sample "
        f"{config.views}, context lengths {lengths} tokens, probe seed {config.seed}"
    )


def _runs(points: Sequence[Probed]) -> TextTable:
    rows = []
    for point in points:
        configs = [run["config"] for run in point.report.protocol["runs"]]
        length = f"{configs[0]['steps']} steps" if configs[0]["steps"] else f"{configs[0]['epochs']} epochs"
        seeds = ", ".join(str(config["seed"]) for config in configs)
        spent = [_minutes(point.seconds), _minutes(point.processor_seconds)]
        rows.append([point.label, seeds, length, str(configs[0]["batch_size"]), *spent])
    header = ["run", "seeds", "trained for", "pairs a step", "minutes of training, mean", "minutes of processor, mean"]
    return TextTable("Runs", header, rows)


def _minutes(seconds: Sequence[float | None]) -> str:
    """The mean over the runs with a record."""
    known = [value for value in seconds if value is not None]
    if not known:
        return "not known"
    return f"{statistics.fmean(known) / 60:.1f}" + (f" (of {len(known)})" if len(known) < len(seconds) else "")


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
        name = study.name + (f"-{folder_name(one.label)}" if several else "")
        drawn += save_curves(one.report, {metric: out / f"{name}-{metric}-by-context-length" for metric in CURVES})
    return drawn
