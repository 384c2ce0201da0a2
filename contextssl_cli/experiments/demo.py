"""The demo: every step of the main path on digits, and a report."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from contextssl_cli import files
from contextssl_cli.adaptation.adapt import Adaptation, adapt
from contextssl_cli.adaptation.context_files import context_from_run
from contextssl_cli.config.resolve import settle
from contextssl_cli.data.prepare import prepared_store
from contextssl_cli.errors import UsageError
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.evaluation.protocol import probe_runs
from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.experiments.probe import RETRIEVAL, check_place, write_found, write_retrieval
from contextssl_cli.plugin.task import Task, resolve_task
from contextssl_cli.report.figures import CURVE_STEMS
from contextssl_cli.report.probe_tables import probe_tables
from contextssl_cli.report.progress import training_progress
from contextssl_cli.report.summary import gap_sentence, profile_table
from contextssl_cli.store.context import CONTEXT_KIND
from contextssl_cli.store.dataset import Store
from contextssl_cli.store.embeddings import EMBEDDINGS_KIND
from contextssl_cli.store.replace import check_replaceable
from contextssl_cli.training.run import Run
from contextssl_cli.training.runtime import resolve_device
from contextssl_cli.training.start import start_run, train

_log = logging.getLogger(__name__)
_TASK = "digits-rotation-color"
_REPORT = "report.md"


def run_demo(
    out: Path, seeds: Sequence[int], *, steps: int | None, device: str, force: bool
) -> tuple[ProbeReport, list[Path]]:
    """Prepare, pretrain (one run per seed), probe, create a context per action type, adapt, and write the report.

    Args:
        out: the report's folder.
        seeds: one run each; contexts, profiles and pictures are of the first.
        steps: of training; by default the data set's own.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        force: replace an older demo.

    Raises:
        UsageError: if ``out`` holds something else, or a demo and ``force`` is not given.
    """
    task = resolve_task(_TASK)
    _check_folder(out, force=force)
    _check_files(out, [action.name for action in task.actions], seeds, force=force)
    place = resolve_device(device)
    store = prepared_store(task.dataset)
    _log.info("1/5 data: %s", store.path)
    runs = [_pretrain(task, store, out / f"run-seed{seed}", seed, steps, device, force=force) for seed in seeds]
    _log.info("3/5 probe: every environment and context length, with the paper's probes")
    report = probe_runs(runs, place)
    paths = write_found(report, out)
    _log.info("4/5 contexts and adaptation")
    contexts = {action.name: context_from_run(runs[0], [action.name], None, seed=0) for action in task.actions}
    opened = OpenRun(runs[0], place)
    adaptations = []
    for name, context in contexts.items():
        context.save(out / f"{name}.h5")
        about = {"chosen": "the demo's first run"}
        adaptations.append(adapt(opened, context, out / f"embeddings-{name}.h5", about=about))
    paths += [out / f"{name}.h5" for name in contexts] + [adaptation.out for adaptation in adaptations]
    _log.info("5/5 report")
    paths.append(write_retrieval(runs[0], out / RETRIEVAL, place))
    paths.append(_write_report(report, adaptations, out))
    return report, paths


def _check_folder(out: Path, *, force: bool) -> None:
    if not files.folder_exists(out):
        return
    if not out.is_dir() or (any(out.iterdir()) and not list(out.glob("run-seed*"))):
        raise UsageError(f"{out} exists and is not a demo; choose another --out")
    if any(out.iterdir()) and not force:
        raise UsageError(f"{out} holds a demo already; add --force to replace it, or choose another --out")


def _check_files(out: Path, actions: Sequence[str], seeds: Sequence[int], *, force: bool) -> None:
    """Refuse, before minutes of work, a folder in which files of other programs would be replaced."""
    check_place(out, RETRIEVAL, _REPORT)
    for action in actions:
        check_replaceable(out / f"{action}.h5", CONTEXT_KIND)
        check_replaceable(out / f"embeddings-{action}.h5", EMBEDDINGS_KIND)
    for seed in seeds:
        Run.check_free(out / f"run-seed{seed}", force=force)


def _pretrain(task: Task, store: Store, folder: Path, seed: int, steps: int | None, device: str, *, force: bool) -> Run:
    _log.info("2/5 pretrain: %s", folder)
    settled = settle(task, flags={"seed": seed} | ({"steps": steps} if steps else {}))
    run = start_run(settled, store, folder, force=force)
    with training_progress(f"{task.name} seed {seed}") as report:
        train(run, task, store, report, device)
    return run


def _write_report(report: ProbeReport, adaptations: Sequence[Adaptation], out: Path) -> Path:
    runs = "One run" if len(report.gaps) == 1 else f"{len(report.gaps)} runs"
    profiles = [
        profile_table(one.profile, f"Symmetry profile under the context {one.about['environment']}")
        for one in adaptations
    ]
    parts = [
        "# contextssl demo",
        f"{runs} of `{report.task}`. The weights are the same under every context. If the model has learnt to adapt, "
        "its embedding follows the action type in the context (R2 near 1) and ignores the other (R2 near 0).",
        gap_sentence(report) + ".",
        f"![R2 by context length]({CURVE_STEMS['r2']}.png)",
        f"![Nearest neighbours under each context]({RETRIEVAL})",
        "The second column is the source after an action that changes both types. The neighbours are those of the "
        "embedding predicted for it: under the rotation context they should share its angle, whatever their colour; "
        "under the colour context its colours, whatever their angle.",
        *(f"## {table.title}\n\n{table.markdown()}" for table in [*probe_tables(report), *profiles]),
        "Protocol, seeds and versions: `results.json`. The same figures as a table: `results.csv`.",
    ]
    path = out / _REPORT
    files.write_text(path, "\n\n".join(parts) + "\n")
    return path
