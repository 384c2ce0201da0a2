"""``contextssl sweep``: one run for each point of a grid of settings and each seed, and a table over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contextssl_cli import files
from contextssl_cli.config.probe import Judged, place_of
from contextssl_cli.config.resolve import check_seeds, settle
from contextssl_cli.data.prepare import prepared_store, store_if_made
from contextssl_cli.errors import UsageError
from contextssl_cli.evaluation.results import to_csv
from contextssl_cli.evaluation.stored import SWEEP, SWEEP_KEYS, check_results
from contextssl_cli.experiments.execute import Probed, check_probes, probe_points, train_missing
from contextssl_cli.experiments.grid import expand, folder_name
from contextssl_cli.experiments.plan import RUNS, PlannedRun, Point, check_folder, check_same, runs_of
from contextssl_cli.experiments.tables import sweep_table
from contextssl_cli.paths import make_folder
from contextssl_cli.plugin.kinds import Dataset
from contextssl_cli.report.result_table import ResultTable
from contextssl_cli.report.settings import describe, show
from contextssl_cli.report.sweep import write_sweep
from contextssl_cli.report.terminal import terminal
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.run import RUN_FILE, Run, versions
from contextssl_cli.training.runtime import resolve_device

STEM = Path(SWEEP).stem
_LOST = ("method_options", "equivariant")  # settings of a method, which change with it


@dataclass(frozen=True)
class Sweep:
    """A grid of settings, and where its runs stand.

    Attributes:
        out: the folder.
        grid: values by key, as they were asked for.
        points: one for each combination.
    """

    out: Path
    grid: dict[str, list[Any]]
    points: list[Point]

    @property
    def dataset(self) -> Dataset:
        """That all runs are trained on."""
        return self.points[0].runs[0].task.dataset


def plan_sweep(
    out: Path,
    plugin: str,
    grid: Mapping[str, Sequence[Any]],
    *,
    seeds: Sequence[int],
    preset: str | None = None,
    settings: Mapping[str, Any],
) -> Sweep:
    """Settle every run of a sweep.

    Args:
        out: the folder.
        plugin: ``<dataset>-<action>[-<action>...]``.
        grid: values by key.
        seeds: one run each at every point.
        preset: ``default`` or ``paper``.
        settings: of all runs, by key.

    Raises:
        UsageError: if nothing is varied, a key is unknown, a value does not fit or comes twice, a key is set as well,
            seeds do not fit, or ``out`` holds something else.
    """
    if not grid:
        raise UsageError("name what to vary: --vary KEY=V1,V2,...; docs/configuration lists the keys")
    check_seeds(seeds)
    for key in (*grid, "seed"):
        if key in settings:
            raise UsageError(f"{key} is {'set' if key in grid else 'a setting'}: it belongs to --vary or --seeds alone")
    points = grid_points(out, plugin, grid, seeds=seeds, preset=preset, settings=settings)
    check_folder(out, RUNS)
    sweep = Sweep(out, {key: list(values) for key, values in grid.items()}, points)
    _check_runs(sweep, None)
    return sweep


def grid_points(
    out: Path,
    plugin: str,
    grid: Mapping[str, Sequence[Any]],
    *,
    seeds: Sequence[int],
    preset: str | None = None,
    settings: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    label: str = "",
) -> list[Point]:
    """A point for each combination of the grid's values, its runs below ``out/runs``; arguments as ``plan_sweep``'s.

    Raises:
        UsageError: if a key is unknown, a value does not fit, or two points are the same.
    """
    points: list[Point] = []
    for values in expand(grid):
        name = ", ".join(filter(None, [label, describe(values)]))
        runs = []
        for seed in seeds:
            settled = settle(plugin, preset=preset, flags={**settings, **values, "seed": seed}, environ=environ)
            runs.append(PlannedRun(out / RUNS / folder_name(name) / f"seed-{seed}", settled))
        for other in points:
            if other.config == runs[0].config:
                raise UsageError(f"--vary: {describe(other.values)} and {describe(values)} are the same")
        points.append(Point(name, tuple(runs), values, family=name))
    return points


def run_sweep(sweep: Sweep, store: Path | None, device: str, **flags: Any) -> tuple[dict[str, Any], list[Path]]:
    """Train what is missing, probe, and write table and plot.

    Args:
        sweep: planned.
        store: a prepared one; by default the data set's own.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        flags: values of ``ProbeConfig``.

    Returns:
        What ``sweep.json`` holds, and the paths written.

    Raises:
        UsageError: if ``out`` holds another sweep's runs or another program's files, or a configuration does not fit
            the data.
        DataMissingError: if the data are not prepared.
    """
    place = resolve_device(device)
    check_probes(sweep.points, flags)
    _check_place(sweep, flags.get("judged_on", "test"))
    data = prepared_store(sweep.dataset, store)
    _check_runs(sweep, data)
    make_folder(sweep.out / RUNS)
    terminal.note(f"data: {data.path} ({len(data.train)} training samples)")
    train_missing(sweep.points, data, device)
    probed = probe_points(sweep.points, place, **flags)
    found = _results(sweep, data, probed)
    others = _others(sweep)
    if others:
        terminal.note(
            f"{len(others)} runs in {sweep.out} are not in this table, {others[0]} among them: name all values and "
            "seeds for a table over them; what is done is not trained again"
        )
    return found, _write(sweep, found, probed)


def check_data(sweep: Sweep, store: Path | None) -> None:
    """Refuse, before anything is made, data that are named and cannot be used, or runs on others than theirs.

    Raises:
        UsageError, DataMissingError: as ``run_sweep``.
    """
    _check_runs(sweep, store_if_made(sweep.dataset, store))


def planned_rows(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Every run with its state, for ``--dry-run``."""
    return [
        {"point": point.label, "seed": run.config.seed, "state": run.state(), "step": run.step(),
         "steps": run.steps(None), "folder": str(run.folder)}
        for point in points for run in point.runs
    ]  # fmt: skip


def _check_runs(sweep: Sweep, store: Store | None) -> None:
    """Refuse a folder with runs that differ in more than what is varied; those of other values and seeds may stay."""
    planned = {run.folder: run for run in runs_of(sweep.points)}
    free = ("seed", *sweep.grid, *(_LOST if "method" in sweep.grid else ()))
    for folder in _run_folders(sweep):
        own = planned.get(folder)
        check_same(Run(folder), own or sweep.points[0].runs[0], store, free=() if own else free)


def _others(sweep: Sweep) -> list[Path]:
    """Runs of other values and seeds in the folder."""
    planned = {run.folder for run in runs_of(sweep.points)}
    return [folder for folder in _run_folders(sweep) if folder not in planned]


def _run_folders(sweep: Sweep) -> list[Path]:
    """Of all runs that stand there, whether they are of this grid or not."""
    return [path.parent for path in sorted((sweep.out / RUNS).glob(f"*/*/{RUN_FILE}"))]


def _results(sweep: Sweep, store: Store, probed: Sequence[Probed]) -> dict[str, Any]:
    return {
        "task": sweep.points[0].runs[0].task.name,
        "vary": sweep.grid,
        "seeds": [run.config.seed for run in sweep.points[0].runs],
        "store": str(store.path),
        "store_hash": store.content_hash,
        "table": sweep_table(probed).as_dict(),
        "points": [point.as_dict() for point in probed],
        "versions": versions(),
    }


def _check_place(sweep: Sweep, judged_on: Judged) -> None:
    """Refuse to replace what is not a sweep's."""
    stem = place_of(STEM, judged_on)
    check_results(sweep.out, f"{stem}.json", SWEEP_KEYS, [f"{stem}.{kind}" for kind in ("csv", "png", "svg")])


def _write(sweep: Sweep, found: dict[str, Any], probed: Sequence[Probed]) -> list[Path]:
    judged_on = probed[0].report.protocol["probes"]["judged_on"]
    stem = sweep.out / place_of(STEM, judged_on)
    paths = [stem.with_suffix(".json"), stem.with_suffix(".csv")]
    files.write_json(paths[0], found)
    files.write_text(paths[1], _csv(list(sweep.grid), probed))
    return paths + write_sweep(ResultTable.from_dict(found["table"]), {one.label: one.values for one in probed}, stem)


def _csv(keys: Sequence[str], probed: Sequence[Probed]) -> str:
    """Every row of every point, the varied settings first."""
    settings = [{key: show(value) for key, value in point.values.items()} for point in probed]
    rows = [(chosen, row) for chosen, point in zip(settings, probed, strict=True) for row in point.report.rows]
    return to_csv(rows, keys)
