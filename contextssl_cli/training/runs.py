"""The index of runs, and which run a command uses: the newest, those of some seeds, or the one that a context fits."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contextssl_cli import files, paths
from contextssl_cli.data.tensors import check_samples
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, UsageError, suggestion
from contextssl_cli.store.context import Context
from contextssl_cli.text import printable
from contextssl_cli.training.checkpoint import latest_checkpoint
from contextssl_cli.training.run import RUN_FILE, Run

INDEX = "runs.txt"
_NAMED = 5  # other runs that a choice names
_NO_RUN = "there is no trained run yet: contextssl pretrain makes one, or name it with --run"
_log = logging.getLogger(__name__)

Foreign = Literal["accept", "warn", "refuse"]
"""What happens to a context that was made for other weights than those that are to read it."""


def new_run_folder(task: str, seed: int) -> Path:
    """Make the default folder of a new run. The time tells such folders apart, and a number where it does not."""
    parent = paths.make_folder(paths.runs_folder(task))
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-seed{seed}"
    for name in itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2))):
        with files.writing_to(parent / name), contextlib.suppress(FileExistsError):
            (parent / name).mkdir()
            return parent / name
    raise AssertionError("the numbers do not end")


def add_to_index(folder: Path) -> None:
    """Enter a run in the index, so that ``adapt`` finds it in any folder.

    Raises:
        ContextSSLError: if the index cannot be read or written.
    """
    if folder.resolve() in _indexed():
        return
    index = paths.make_folder(paths.home()) / INDEX
    # A path may hold a line break or bytes that are not UTF-8, and an earlier line may have been cut off.
    with files.writing_to(index), index.open("ab", buffering=0) as stream:
        stream.write(f"\n{json.dumps(str(folder.resolve()))}\n".encode())


def register(folder: Path) -> None:
    """As ``add_to_index``; a failure is a warning, since no training may be lost to it."""
    try:
        add_to_index(folder)
    except ContextSSLError as error:
        _log.warning("warning: adapt will not find %s by itself: %s", printable(folder), error)


def known_runs() -> list[Run]:
    """All runs of the index that still exist, newest first."""
    runs = []
    for folder in dict.fromkeys(_indexed()):
        with contextlib.suppress(ContextSSLError, OSError, ValueError):
            runs.append(Run(folder))
    return sorted(runs, key=lambda run: run.record.created, reverse=True)


def _indexed() -> list[Path]:
    """The folders in the index of runs, the last one first; lines that were cut off are left out."""
    index = paths.home() / INDEX
    found = []
    for line in reversed(files.read_bytes(index).split(b"\n") if index.exists() else []):
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(line)
            if isinstance(value, str) and value and "\0" not in value:
                found.append(Path(value))
    return found


@dataclass(frozen=True)
class FoundRun:
    """A run, and why it was chosen.

    Attributes:
        run: the run.
        reason: in words.
        others: folders of the other runs that the command could have used.
    """

    run: Run
    reason: str
    others: tuple[Path, ...] = ()

    def __str__(self) -> str:
        """``run: FOLDER (REASON)``, how far an unfinished run was trained, and how to choose another."""
        state, said = self.run.state(), self.reason
        if not state.finished:
            said += f"; trained to step {state.step} of {state.steps}"
        if self.others:
            named = ", ".join(map(printable, self.others[:_NAMED])) + (", ..." if self.others[_NAMED:] else "")
            said += f"; choose another with --run: {named}"
        return f"run: {printable(self.run.folder)} ({said})"


def latest_run(*, reads_contexts: bool = False) -> FoundRun:
    """The newest known run that has a checkpoint.

    Args:
        reads_contexts: prefer finished runs, and methods whose tokens carry actions; take a method without a world
            model only if there is no other.

    Raises:
        DataMissingError: if there is none.
    """
    trained = [run for run in known_runs() if latest_checkpoint(run.checkpoint_folder)]
    if not trained:
        raise DataMissingError(_NO_RUN)
    if not reads_contexts:
        return FoundRun(trained[0], "the newest run")

    def rank(run: Run) -> tuple[bool, bool, bool]:
        return not run.has_context, run.record.config.method != "contextssl", _unfinished(run)

    best = min(trained, key=rank)
    return FoundRun(best, "the newest run that reads contexts")


def find_run(context: Context, name: str = "this context") -> FoundRun:
    """The run that a context was made for; without it, the best run that can read the context.

    Finished runs come first, then runs with exactly the action types of the context, then newer ones.

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
        raise DataMissingError(f"{_NO_RUN}{made_for}")
    refusals, usable = [], []
    for run in runs:
        try:
            check_context(run, context, name)
            fingerprint = run.fingerprint()
        except ContextSSLError as error:
            refusals.append(str(error))
            continue
        if context.fingerprint and fingerprint == context.fingerprint:
            return FoundRun(run, "the run that the context was made for")
        usable.append(run)
    if not usable:
        raise CorruptFileError(f"none of the {len(runs)} known runs can read {name}. {refusals[0]}")
    best, *others = sorted(usable, key=lambda run: (_unfinished(run), not _has_types(run, context)))
    reason = f"the newest {'unfinished' if _unfinished(best) else 'finished'} run " + (
        "with the action types of the context" if _has_types(best, context) else "that can read the context"
    )
    if context.fingerprint:
        reason += f"; the one it was made for ({context.fingerprint[:12]}) was not found or has been trained since"
    return FoundRun(best, reason, tuple(run.folder for run in others))


def _unfinished(run: Run) -> bool:
    """Whether a run was not trained to its end, or its checkpoint is damaged."""
    with contextlib.suppress(ContextSSLError):
        return not run.state().finished
    return True


def _has_types(run: Run, context: Context) -> bool:
    """Whether a run has the action types that a context shows or zeroes, and no other."""
    return {*context.actions, *context.changes} == set(run.record.space.names)


def _candidates(context: Context) -> list[Run]:
    """The run whose folder the context names, wherever it is, and then all known runs, newest first."""
    runs = known_runs()
    if context.run and (named := Path(context.run)).is_dir():
        with contextlib.suppress(ContextSSLError):
            return [Run(named), *(run for run in runs if run.folder.resolve() != named.resolve())]
    return runs


def check_context(run: Run, context: Context, name: str, *, foreign: Foreign = "accept") -> None:
    """Compare the action blocks and the inputs of a context with a run; nothing is encoded.

    Args:
        run: that is to read it.
        context: the context.
        name: of the context in messages, such as its file.
        foreign: what happens if it was made for other weights. Its pairs still fit, but what was measured under it
            may not hold.

    Raises:
        UsageError: if the method of the run reads no context, or the context is foreign and refused.
        CorruptFileError: naming the context, the run and the first thing that does not fit.
    """
    run.require_context()
    space, schema = run.record.space, run.record.schema_
    try:
        space.check({block: array.shape[1] for block, array in context.actions.items()}, context.environment)
        for part, array in (("x", context.x), ("y", context.y)):
            check_samples(array, schema, f"{part} of the context")
        for action, views in context.changes.items():
            if action not in space.names:
                raise CorruptFileError(
                    f"changes/{action} of the context: this run has no such action type: "
                    f"{suggestion(action, space.names)}"
                )
            for side in (0, 1):
                check_samples(views[:, side], schema, f"changes/{action} of the context")
    except CorruptFileError as error:
        raise CorruptFileError(f"{name} does not fit the run {run.folder}: {error}") from error
    if foreign == "accept" or not context.fingerprint or context.fingerprint == run.fingerprint():
        return
    if foreign == "refuse":
        raise UsageError(
            f"{name} was made for another run ({context.run or context.fingerprint[:12]}) than {run.folder}, or before "
            "it was trained further; create it again"
        )
    _log.warning("warning: %s was made for another run, or for this one before it was trained further", name)


def runs_of_seeds(folder: Path, seeds: Sequence[int]) -> list[Run]:
    """The runs of some seeds in one folder, as ``sweep``, ``reproduce`` and ``demo`` write them.

    Args:
        folder: that holds the folders of the runs.
        seeds: of the runs, in the order wanted.

    Raises:
        UsageError: if there is no such folder, a seed has no run in it, or has several.
    """
    if (folder / RUN_FILE).is_file() or not folder.is_dir():
        raise UsageError(f"--seeds picks runs in a folder of runs; {folder} is no such folder")
    runs = [Run(path.parent) for path in sorted(folder.glob(f"*/{RUN_FILE}"))]
    found = []
    for seed in seeds:
        of_seed = [run for run in runs if run.record.config.seed == seed]
        if len(of_seed) != 1:
            listed = ", ".join(str(run.folder) for run in of_seed) or "none"
            raise UsageError(f"--seeds: expected one run of seed {seed} in {folder}, found {listed}; or name the runs")
        found += of_seed
    return found
