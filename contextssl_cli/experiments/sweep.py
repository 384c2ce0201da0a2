"""``contextssl sweep``: one run for each point of a grid of settings and each seed, and a table over them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contextssl_cli import files
from contextssl_cli.config.probe import place_of
from contextssl_cli.config.resolve import check_seeds, parse_setting
from contextssl_cli.data.prepare import prepared_store, store_if_made
from contextssl_cli.errors import UsageError
from contextssl_cli.evaluation.results import to_csv
from contextssl_cli.evaluation.stored import SWEEP, SWEEP_KEYS, check_results
from contextssl_cli.experiments.execute import probe_points, train_missing
from contextssl_cli.experiments.plan import (
    RUNS,
    Point,
    check_folder,
    check_probes,
    check_same,
    grid_points,
    runs_of,
)
from contextssl_cli.experiments.tables import sweep_table
from contextssl_cli.paths import make_folder
from contextssl_cli.plugin.kinds import Dataset
from contextssl_cli.report.figures import save_sweep
from contextssl_cli.store.dataset import Store
from contextssl_cli.text import value_text
from contextssl_cli.training.run import RUN_FILE, Run, versions
from contextssl_cli.training.runtime import resolve_device

_log = logging.getLogger(__name__)
_STEM = Path(SWEEP).stem
_OF_METHOD = ("method_options", "equivariant")  # settings that change with the method


@dataclass(frozen=True)
class Sweep:
    """A grid of settings, and the folder of its runs.

    Attributes:
        out: the folder.
        grid: values by key, as asked for.
        points: one for each combination.
    """

    out: Path
    grid: dict[str, list[Any]]
    points: list[Point]

    @property
    def dataset(self) -> Dataset:
        """The data set of all runs."""
        return self.points[0].runs[0].task.dataset


def parse_vary(texts: Sequence[str]) -> dict[str, list[Any]]:
    """The grid of ``--vary`` flags: values by key.

    A key may be written with hyphens, ``context-mask``. Values are read as those of ``--set``, so words need no quotes.

    Raises:
        UsageError: if a key or a value is missing, a key is named twice, or it is the seed.
    """
    grid: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, listed = text.partition("=")
        key = name.strip().replace("-", "_")
        if not equals or not key or not listed.strip():
            raise UsageError(f"--vary {text}: expected KEY=V1,V2,...")
        if key == "seed":
            raise UsageError(f"--vary {text}: seeds are repetitions, not settings; name them with --seeds")
        if key in grid:
            raise UsageError(f"--vary names {key} twice; give all of its values at once")
        grid[key] = _values(listed, text)
    return grid


def _values(listed: str, text: str) -> list[Any]:
    _, whole = parse_setting(f"values=[{listed}]")
    if isinstance(whole, list):
        return whole
    parts = [part.strip() for part in listed.split(",")]  # bare words are not TOML
    if not all(parts):
        raise UsageError(f"--vary {text}: a value is empty")
    return [parse_setting(f"value={part}")[1] for part in parts]


def plan_sweep(
    out: Path,
    plugin: str,
    grid: Mapping[str, Sequence[Any]],
    *,
    seeds: Sequence[int],
    preset: str | None = None,
    settings: Mapping[str, Any],
    store: Path | None = None,
) -> Sweep:
    """Resolve every run of a sweep; arguments as for ``grid_points`` and ``run_sweep``. Nothing is made or written.

    Raises:
        UsageError: if nothing is varied, a key is unknown, a value does not fit or occurs twice, a key is set as well,
            seeds do not fit, or ``out`` holds something else, or runs on other data.
        DataMissingError: if ``store`` does not exist.
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
    _check_runs(sweep, store_if_made(sweep.dataset, store))
    return sweep


def run_sweep(sweep: Sweep, store: Path | None, device: str, **flags: Any) -> tuple[dict[str, Any], list[Path]]:
    """Train what is missing, probe, and write table and plot.

    Args:
        sweep: planned.
        store: a prepared one; by default the data set's own.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        flags: values of ``ProbeConfig``.

    Returns:
        The contents of ``sweep.json``, and the paths written.

    Raises:
        UsageError: if ``out`` holds another sweep's runs or another program's files, or a configuration does not fit
            the data.
        DataMissingError: if the data are not prepared.
    """
    place = resolve_device(device)
    check_probes(sweep.points, flags)
    stem = sweep.out / place_of(_STEM, flags.get("judged_on", "test"))
    results, rows = stem.with_suffix(".json"), stem.with_suffix(".csv")
    check_results(sweep.out, results.name, SWEEP_KEYS, [rows.name, f"{stem.name}.png", f"{stem.name}.svg"])
    data = prepared_store(sweep.dataset, store)
    _check_runs(sweep, data)
    make_folder(sweep.out / RUNS)
    _log.info("data: %s (%d training samples)", data.path, len(data.train))
    train_missing(list(runs_of(sweep.points)), data, device)
    probed = probe_points(sweep.points, place, **flags)
    table = sweep_table(probed)
    found = {
        "task": sweep.points[0].runs[0].task.name,
        "vary": sweep.grid,
        "seeds": [run.config.seed for run in sweep.points[0].runs],
        "store": str(data.path),
        "store_hash": data.content_hash,
        "table": table.as_dict(),
        "points": [point.as_dict() for point in probed],
        "versions": versions(),
    }
    planned = {run.folder for run in runs_of(sweep.points)}
    if others := [folder for folder in _run_folders(sweep) if folder not in planned]:
        _log.info(
            "%d runs in %s are not in this table, %s among them: name all values and seeds for a table over them; "
            "what is done is not trained again", len(others), sweep.out, others[0]
        )  # fmt: skip
    files.write_json(results, found)
    settings = {point.label: {key: value_text(value) for key, value in point.values.items()} for point in probed}
    lines = [(settings[point.label], row) for point in probed for row in point.report.rows]
    files.write_text(rows, to_csv(lines, list(sweep.grid)))
    drawn = save_sweep(table, {one.label: one.values for one in probed}, stem)
    if not drawn:
        _log.info("no plot: none of its figures was measured (gap, R2, top-1)")
    return found, [results, rows, *drawn]


def _check_runs(sweep: Sweep, store: Store | None) -> None:
    """Refuse a folder with runs that differ in more than the grid; those of other values and seeds may stay."""
    planned = {run.folder: run for run in runs_of(sweep.points)}
    free = ("seed", *sweep.grid, *(_OF_METHOD if "method" in sweep.grid else ()))
    for folder in _run_folders(sweep):
        own = planned.get(folder)
        check_same(Run(folder), own or sweep.points[0].runs[0], store, free=() if own else free)


def _run_folders(sweep: Sweep) -> list[Path]:
    """The folders of all existing runs, whether they are of this grid or not."""
    return [path.parent for path in sorted((sweep.out / RUNS).glob(f"*/*/{RUN_FILE}"))]
