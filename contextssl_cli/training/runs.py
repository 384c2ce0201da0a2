"""Which run a context belongs to."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, UsageError, suggestion
from contextssl_cli.store.context import Context
from contextssl_cli.training.checkpoint import latest_checkpoint
from contextssl_cli.training.run import RUN_FILE, Run, known_runs

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoundRun:
    """A run, and in words why it was chosen."""

    run: Run
    reason: str


def find_run(context: Context, name: str = "this context") -> FoundRun:
    """The run that a context was made for; failing that, the newest run that can read it.

    Args:
        context: read from a file.
        name: of that file.

    Raises:
        CorruptFileError: if there are runs, but none can read the context.
        DataMissingError: if there is no run at all.
    """
    runs = _candidates(context)
    if not runs:
        made_for = f"; the context was made for {context.run}, which is gone" if context.run else ""
        raise DataMissingError(f"there is no run yet: contextssl pretrain makes one, or name it with --run{made_for}")
    refusals = []
    usable = []
    for run in runs:
        try:
            check_context(run, context)
            fingerprint = run.fingerprint()
        except ContextSSLError as error:
            refusals.append(f"{run.folder}: {error}")
            continue
        if context.fingerprint and fingerprint == context.fingerprint:
            return FoundRun(run, "the run that the context was made for")
        usable.append(run)
    if not usable:
        raise CorruptFileError(f"none of the {len(runs)} known runs can read {name}. {refusals[0]}")
    reason = "the newest run that can read the context"
    if context.fingerprint:
        reason += f"; the one it was made for ({context.fingerprint[:12]}) was not found or has been trained since"
    return FoundRun(usable[0], reason)


def check_context(run: Run, context: Context) -> None:
    """Compare a context's action blocks and inputs with a run's.

    Raises:
        UsageError: if the run's method has no context.
        CorruptFileError: naming the first thing that does not fit.
    """
    run.require_context()
    run.record.space.check({name: block.shape[1] for name, block in context.actions.items()}, context.environment)
    for name, part in (("x of the context", context.x), ("y of the context", context.y)):
        to_tensor(part, run.record.schema_, name)
    for name, views in context.changes.items():
        if name not in run.record.space.names:
            raise CorruptFileError(
                f"changes/{name} of the context: this run has no such action type: "
                f"{suggestion(name, run.record.space.names)}"
            )
        to_tensor(views[:, 0], run.record.schema_, f"changes/{name} of the context")


def check_named_context(run: Run, context: Context, name: str) -> None:
    """As ``check_context``, for a context file that a user named.

    Raises:
        UsageError: if the run's method has no context.
        CorruptFileError: naming file, run and the first thing that does not fit.
    """
    try:
        check_context(run, context)
    except CorruptFileError as error:
        raise CorruptFileError(f"{name} does not fit the run {run.folder}: {error}") from error


def is_of_another_run(context: Context, run: Run) -> bool:
    """Whether a context was made for another run, or for this one before it was trained further."""
    return bool(context.fingerprint) and context.fingerprint != run.fingerprint()


def warn_of_another_run(context: Context, run: Run, name: str) -> None:
    """Say so, where a user names a run that a context file was not made for: its pairs fit, its profile may not."""
    if is_of_another_run(context, run):
        _log.warning("warning: %s was made for another run, or for this one before it was trained further", name)


def refuse_another_run(context: Context, run: Run, name: str) -> None:
    """Refuse it, where contexts are compared: one that was made for other weights says nothing of these.

    Raises:
        UsageError: naming both runs.
    """
    if is_of_another_run(context, run):
        raise UsageError(
            f"{name} was made for another run ({context.run or context.fingerprint[:12]}) than {run.folder}, or before "
            "it was trained further; make it again"
        )


def latest_run(*, reads_contexts: bool = False) -> Run:
    """The newest known run that has a checkpoint.

    Args:
        reads_contexts: pass over runs of methods without a world model, unless there are no others; and over those
            whose tokens carry no action, to which all contexts are one.

    Raises:
        DataMissingError: if there is none.
    """
    trained = [run for run in known_runs() if latest_checkpoint(run.checkpoint_folder)]
    if not trained:
        raise DataMissingError("there is no trained run yet: contextssl pretrain makes one, or name it with --run")
    if not reads_contexts:
        return trained[0]
    readers = [run for run in trained if run.has_context]
    return next((run for run in readers if run.record.config.method == "contextssl"), (readers or trained)[0])


def runs_of_seeds(folder: Path, seeds: Sequence[int]) -> list[Run]:
    """The runs of some seeds that stand side by side, as ``sweep``, ``reproduce`` and ``demo`` leave them.

    Args:
        folder: that holds the runs' folders.
        seeds: of the runs, in the order wanted.

    Raises:
        UsageError: if there is no such folder, a seed has no run in it, or has several.
    """
    if (folder / RUN_FILE).is_file() or not folder.is_dir():
        raise UsageError(f"--seeds names runs that stand side by side in a folder; {folder} is no folder of runs")
    runs = [Run(path.parent) for path in sorted(folder.glob(f"*/{RUN_FILE}"))]
    found = []
    for seed in seeds:
        of_seed = [run for run in runs if run.record.config.seed == seed]
        if len(of_seed) != 1:
            told = ", ".join(str(run.folder) for run in of_seed) or "none"
            raise UsageError(f"--seeds: expected one run of seed {seed} in {folder}, found {told}; or name the runs")
        found += of_seed
    return found


def _candidates(context: Context) -> list[Run]:
    """The run whose folder the context names, wherever it is, and then all known runs, newest first."""
    runs = known_runs()
    named = Path(context.run) if context.run else None
    if named is None or not named.is_dir():
        return runs
    with contextlib.suppress(ContextSSLError):
        return [Run(named), *(run for run in runs if run.folder.resolve() != named.resolve())]
    return runs
