"""The candidates of ``contextssl adapt``: context files, or every environment of a run; and what to choose by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from contextssl_cli.adaptation.adapt import NO_CONTEXT
from contextssl_cli.adaptation.context_files import NONE, context_from_run, training_pairs
from contextssl_cli.adaptation.guard import guard_pairs
from contextssl_cli.adaptation.inputs import Inputs
from contextssl_cli.data.rows import Subset
from contextssl_cli.errors import UsageError
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.selection.labels import read_labels
from contextssl_cli.selection.select import Choice, check_choice, check_distinct
from contextssl_cli.store.context import Context
from contextssl_cli.training.run import Run
from contextssl_cli.training.runs import FoundRun, check_context, find_run, latest_run
from contextssl_cli.training.start import run_task

Candidates = dict[str, Context | None]
"""By the file's name or the environment's; None is no context."""


def read_candidates(
    paths: Sequence[Path], every: str | None, run: Path | None, seed: int, *, guard: str | None = None
) -> tuple[FoundRun, Candidates]:
    """The run and the contexts of a command.

    Args:
        paths: of context files.
        every: ``all`` adds the environments of the run that no file shows with the same pairs, and no context at all.
            With a guard it adds only those that the guard can be fitted to.
        run: folder of the run, or None for the one that the first context was made for.
        seed: of the contexts that are drawn.
        guard: the action type to be taken out, by the pairs of a context that zeroes it.

    Raises:
        UsageError: if ``every`` is another word, a context is named twice, one belongs to another run, or has nothing
            to guard with.
        CorruptFileError: if a context does not fit the run.
    """
    if every not in (None, "all"):
        raise UsageError(f"--candidates {every}: expected all; name context files with --context")
    named = {str(path): Context.load(path) for path in paths}
    if len(named) < len(paths):
        raise UsageError("a context is named twice")
    check_distinct(named)
    if run is not None:
        found = FoundRun(Run(run), "named with --run")
    elif named:
        found = find_run(named[str(paths[0])], str(paths[0]))
    else:
        found = latest_run(reads_contexts=True)
    alone = len(paths) == 1 and not every
    for name, context in named.items():
        check_context(found.run, context, name, foreign="warn" if alone else "refuse")
        if guard:
            try:
                guard_pairs(found.run, context, guard)
            except UsageError as error:
                raise UsageError(f"{name}: {error}") from error
    contexts: Candidates = dict(named)
    if every:
        source = training_pairs(found.run)
        for environment in run_task(found.run).environments:
            if guard in environment:  # shown, so nothing is removed
                continue
            drawn = context_from_run(found.run, list(environment) or [NONE], None, seed, source)
            if not any(context.take(len(drawn)).same_pairs(drawn) for context in named.values()):
                contexts[environment_name(environment)] = drawn
        if guard is None:
            contexts[NO_CONTEXT] = None
    return found, contexts


def read_choice(contexts: Candidates, labels: Path, inputs: Inputs, at_most: Sequence[str]) -> Choice:
    """Read a CSV file of labels, and check all that can be wrong before anything is embedded.

    Args:
        contexts: the candidates.
        labels: the CSV file.
        inputs: those that its rows count.
        at_most: bounds as the user writes them, ``NAME=NUMBER``.

    Raises:
        UsageError, DataMissingError, CorruptFileError: as ``read_labels`` and ``select_context``.
    """
    bounds = _bounds(at_most)
    few = read_labels(labels, inputs)
    attributes = {name: values[few.rows] for name, values in inputs.attributes.items()}
    groups = attributes if few.groups is None else {"group": few.groups}
    rows = Subset(inputs.rows, torch.from_numpy(few.rows))
    return check_choice(len(contexts), rows, few.labels, bounds, groups)


def _bounds(texts: Sequence[str]) -> dict[str, float]:
    bounds: dict[str, float] = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if not name or not 0 <= value <= 1:
            raise UsageError(f"--at-most {text}: expected NAME=NUMBER with a number from 0 to 1, as equalized-odds=0.1")
        if name in bounds:
            raise UsageError(f"--at-most names {name} twice: {bounds[name]:g} and {value:g}")
        bounds[name] = value
    return bounds
