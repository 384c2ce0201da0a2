"""The demo: every step of the main path on digits, and a report folder."""

from __future__ import annotations

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
from contextssl_cli.plugin.task import Task, resolve_task
from contextssl_cli.report.folder import FIGURE, check_probe, write_probe
from contextssl_cli.report.progress import training_progress
from contextssl_cli.report.retrieval import RETRIEVAL, write_retrieval
from contextssl_cli.report.summary import gap_sentence
from contextssl_cli.report.tables import TextTable, probe_tables, profile_table
from contextssl_cli.report.terminal import terminal
from contextssl_cli.store.context import CONTEXT_KIND, Context
from contextssl_cli.store.dataset import Store
from contextssl_cli.store.embeddings import EMBEDDINGS_KIND
from contextssl_cli.store.replace import check_replaceable
from contextssl_cli.training.run import Run
from contextssl_cli.training.runtime import resolve_device
from contextssl_cli.training.start import start_run, train

TASK = "digits-rotation-color"
REPORT = "report.md"


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
    task = resolve_task(TASK)
    _check_folder(out, force=force)
    _check_files(out, [action.name for action in task.actions], seeds, force=force)
    place = resolve_device(device)
    store = prepared_store(task.dataset)
    terminal.note(f"1/5 data: {store.path}")
    runs = [_pretrain(task, store, out / f"run-seed{seed}", seed, steps, device, force=force) for seed in seeds]
    terminal.note("3/5 probe: every context length and environment, the paper's probes")
    report = probe_runs(runs, place)
    paths = write_probe(report, out)
    terminal.note("4/5 contexts and adaptation")
    contexts = {action.name: context_from_run(runs[0], [action.name], None, seed=0) for action in task.actions}
    opened = OpenRun(runs[0], place)
    adaptations = [_adapt(opened, name, context, out) for name, context in contexts.items()]
    paths += [out / f"{name}.h5" for name in contexts] + [adaptation.out for adaptation in adaptations]
    terminal.note("5/5 report")
    paths.append(write_retrieval(runs[0], out / RETRIEVAL, place))
    paths.append(_write_report(report, adaptations, out))
    return report, paths


def _check_folder(out: Path, *, force: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not list(out.glob("run-seed*"))):
        raise UsageError(f"{out} exists and is not a demo; choose another --out")
    if any(out.iterdir()) and not force:
        raise UsageError(f"{out} holds a demo already; add --force to replace it, or choose another --out")


def _check_files(out: Path, actions: Sequence[str], seeds: Sequence[int], *, force: bool) -> None:
    """Refuse, before minutes of work, a folder in which something else than a demo's files would be replaced."""
    check_probe(out, RETRIEVAL, REPORT)
    for action in actions:
        check_replaceable(out / f"{action}.h5", CONTEXT_KIND)
        check_replaceable(out / f"embeddings-{action}.h5", EMBEDDINGS_KIND)
    for seed in seeds:
        Run.check_free(out / f"run-seed{seed}", force=force)


def _pretrain(task: Task, store: Store, folder: Path, seed: int, steps: int | None, device: str, *, force: bool) -> Run:
    terminal.note(f"2/5 pretrain: {folder}")
    settled = settle(task, flags={"seed": seed} | ({"steps": steps} if steps else {}))
    run = start_run(settled, store, folder, force=force)
    with training_progress(f"{task.name} seed {seed}") as report:
        train(run, task, store, report, device)
    return run


def _adapt(opened: OpenRun, name: str, context: Context, out: Path) -> Adaptation:
    context.save(out / f"{name}.h5")
    return adapt(opened, context, out / f"embeddings-{name}.h5", about={"chosen": "the demo's first run"})


def _write_report(report: ProbeReport, adaptations: Sequence[Adaptation], out: Path) -> Path:
    parts = [
        "# contextssl demo",
        f"{len(report.gaps)} run(s) of `{report.task}`; no weight changes between contexts. Where adaptation has "
        "appeared, the embedding follows the action type that the context shows (R2 near 1) and ignores the other (R2 "
        "near 0).",
        gap_sentence(report) + ".",
        f"![R2 by context length]({FIGURE}.png)",
        "![Nearest neighbours under each context](retrieval.png)",
        "The second column is the source after an action that changes both types. The neighbours are those of the "
        "embedding predicted for it: under the rotation context they should share its angle, whatever their colour; "
        "under the colour context its colours, whatever their angle.",
        *(f"## {table.title}\n\n{table.markdown()}" for table in [*probe_tables(report), *map(_profile, adaptations)]),
        "Protocol, seeds and versions: `results.json`. The same as a table: `results.csv`.",
    ]
    path = out / REPORT
    files.write_text(path, "\n\n".join(parts) + "\n")
    return path


def _profile(adaptation: Adaptation) -> TextTable:
    title = f"Symmetry profile under the context {adaptation.about['environment']}"
    return profile_table(adaptation.profile, title)
