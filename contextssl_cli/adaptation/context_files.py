"""Contexts for a run: drawn from its training split, or made of a user's own pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from contextssl_cli.data.pairs import PairSource
from contextssl_cli.errors import UsageError, suggestion
from contextssl_cli.evaluation.contexts import draw_changes, draw_context
from contextssl_cli.evaluation.open_run import cut_to_trained
from contextssl_cli.store.context import Context
from contextssl_cli.training.run import Run
from contextssl_cli.training.runs import check_context
from contextssl_cli.training.start import run_store, run_task

NONE = "none"


def context_from_run(
    run: Run, actions: Sequence[str], pairs: int | None, seed: int, source: PairSource | None = None
) -> Context:
    """Draw a context from the training split of a run.

    Args:
        run: the run.
        actions: the active action types; ``["none"]`` is the empty environment.
        pairs: how many; by default as many as the model takes.
        seed: of samples and views.
        source: the pairs of the training split (``training_pairs``), if they are open.

    Raises:
        UsageError: if an action type is not the run's, or there are not so many samples.
    """
    run.require_context()
    environment = parse_environment(run, actions)
    source = source or training_pairs(run)
    longest = min(run.record.config.model.max_context // 2, len(source))
    context = draw_context(source, environment, longest if pairs is None else pairs, seed)
    cut_to_trained(context, run.record.config.model.max_context)  # warns if the model will not read all of it
    changes = draw_changes(source, environment, len(context), seed)
    return replace(context, fingerprint=run.fingerprint(), run=str(run.folder.resolve()), changes=changes)


def training_pairs(run: Run) -> PairSource:
    """The pairs of the training split of a run."""
    store = run_store(run)
    return PairSource.of(run_task(run), store.schema, store.train)


def context_from_pairs(run: Run, path: Path, actions: Sequence[str]) -> Context:
    """A context from a user's own pairs, checked against a run.

    Args:
        run: the run.
        path: HDF5 or NPZ with x, y and actions/<action type>; and changes/<action type>, for a guard.
        actions: the active action types, blocks of others are left out; empty keeps all blocks.

    Raises:
        UsageError: if an active action type has no block in the file, or is not the run's.
        CorruptFileError: if the file or its pairs are not valid, or do not fit the run.
    """
    run.require_context()
    context = Context.from_pairs(path, run.fingerprint(), str(run.folder.resolve()))
    if actions:
        environment = parse_environment(run, actions)
        missing = [name for name in environment if name not in context.actions]
        if missing:
            raise UsageError(f"{path} has no block actions/{missing[0]}: {suggestion(missing[0], context.actions)}")
        context = replace(context, actions={name: context.actions[name] for name in environment})
    check_context(run, context, str(path))
    cut_to_trained(context, run.record.config.model.max_context)
    return context


def parse_environment(run: Run, actions: Sequence[str]) -> tuple[str, ...]:
    """The environment that ``--action`` flags name.

    Raises:
        UsageError: if none is given, one is unknown, or ``none`` is not alone.
    """
    known = run.record.space.names
    if list(actions) == [NONE]:
        return ()
    if not actions:
        raise UsageError(f"name the active action types with --action ({', '.join(known)}), or --action {NONE}")
    for name in actions:
        if name == NONE:
            raise UsageError(f"--action {NONE} is the empty environment; leave out the other action types")
        if name not in known:
            raise UsageError(f"this run has no action type {name!r}: {suggestion(name, [*known, NONE])}")
    return tuple(dict.fromkeys(actions))
