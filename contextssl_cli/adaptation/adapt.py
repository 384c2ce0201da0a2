"""``contextssl adapt``: a context in, embeddings and their symmetry profile out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contextssl_cli import paths
from contextssl_cli.adaptation.context_encoder import ContextEncoder
from contextssl_cli.adaptation.guard import Guard
from contextssl_cli.adaptation.inputs import Inputs, from_split, read_inputs
from contextssl_cli.errors import DataMissingError, UsageError
from contextssl_cli.evaluation.contexts import fit_length
from contextssl_cli.evaluation.evaluator import Evaluator
from contextssl_cli.evaluation.profile import GuardRow, ProfileRow, guard_profile, symmetry_profile
from contextssl_cli.evaluation.protocol import probe_config
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.store.context import Context
from contextssl_cli.store.embeddings import EMBEDDINGS_KIND, Embeddings
from contextssl_cli.store.replace import check_replaceable
from contextssl_cli.training.device import resolve_device
from contextssl_cli.training.run import Run
from contextssl_cli.training.runs import FoundRun
from contextssl_cli.training.start import run_store, run_task

NO_CONTEXT = "no context"
_NAMED = 100  # images left out that the embeddings file names; more are counted
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Adaptation:
    """What ``adapt`` did."""

    found: FoundRun
    out: Path
    embeddings: Embeddings
    profile: list[ProfileRow]
    guarded: list[GuardRow]


def adapt(
    found: FoundRun, context: Context | None, out: Path, *, source: Path | None = None, guard: str | None = None,
    device: str = "auto", seed: int = 0, about: Mapping[str, Any] | None = None, skip_corrupt: bool = False,
) -> Adaptation:  # fmt: skip
    """Embed inputs under a context and write them to ``out``.

    Args:
        found: the run.
        context: read once; its keys and values are kept. None embeds without context, and measures no profile.
        out: the embeddings file.
        source: a store, an array file or a folder of images; by default the run's test split.
        guard: an action type that the context zeroes, to be taken out of the embeddings.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        seed: of the profile's probes and views.
        about: more for the embeddings file to record.
        skip_corrupt: leave out the images of a folder that cannot be read; the file counts and names them.

    Raises:
        UsageError: if the context has nothing to guard with, ``out`` is the input or another kind of file, or
            ``skip_corrupt`` is given without a folder.
        CorruptFileError: if context or input do not fit the run, or an image cannot be read.
        DataMissingError: if the run has no store and no input is named.
    """
    check_replaceable(out, EMBEDDINGS_KIND, source)  # before minutes of work that could not be written
    paths.make_folder(out.parent)
    run = found.run
    context = None if context is None else fit_length(context, run.record.config.model.max_context)
    encoder = ContextEncoder.load(run.folder, device).with_context(context, guard)
    run = encoder.run_  # its weights were read: whatever follows is of the same ones
    inputs = read_or_test(run, source, skip_corrupt=skip_corrupt)
    _report_left_out(inputs)
    values = encoder.transform(inputs.samples)
    evaluator = None if context is None else _evaluator(run, device, seed, needed=source is None)
    profile = symmetry_profile(evaluator, context) if evaluator and context else []
    guarded = []
    if evaluator and context and guard and encoder.guard_:
        guarded = guard_profile(evaluator, context, encoder.guard_, guard)
    facts = {
        "run": str(run.folder.resolve()),
        "fingerprint": run.fingerprint(),
        "chosen": found.reason,
        "environment": NO_CONTEXT if context is None else environment_name(context.environment),
        "context_length": 0 if context is None else 2 * len(context),
        "input": inputs.origin,
        "profile": [asdict(row) for row in profile],
    }
    if encoder.guard_ is not None:
        _warn_of_guard(encoder.guard_, str(guard))
        facts["guard"] = {"action": guard, **encoder.guard_.about(), "profile": [asdict(row) for row in guarded]}
    if inputs.skipped:
        facts |= {"skipped": len(inputs.skipped), "skipped_sources": list(inputs.skipped[:_NAMED])}
    facts |= about or {}
    embeddings = Embeddings(values, inputs.labels, inputs.attributes, inputs.names, facts)
    embeddings.save(out)
    return Adaptation(found, out, embeddings, profile, guarded)


def _report_left_out(inputs: Inputs) -> None:
    for what, count in inputs.notes.items():
        _log.info("%s: %s", what, count)
    if inputs.skipped:
        _log.warning(
            "warning: %d images cannot be read and are left out (first: %s)", len(inputs.skipped), inputs.skipped[0]
        )


def _warn_of_guard(guard: Guard, action: str) -> None:
    """Say so, where a guard takes nothing out or everything, and what may be the cause."""
    if not guard.pairs:
        _log.warning("warning: the guard of %s removes nothing: the context's views of it move no embedding", action)
    elif not len(guard.write):
        _log.warning(
            "warning: the guard of %s leaves no direction of the embeddings, they are all the same: %d pairs of views "
            "are too few, or at this stage of its training the model tells everything together with it",
            action,
            guard.pairs,
        )


def read_or_test(run: Run, source: Path | None, *, skip_corrupt: bool = False) -> Inputs:
    """The samples that a user names, or the run's test split.

    Raises:
        UsageError: if none are named and the run has no data set or ``skip_corrupt`` is given; else as ``read_inputs``.
    """
    if source is not None:
        return read_inputs(source, run.record.schema_, skip_corrupt=skip_corrupt)
    if skip_corrupt:
        raise UsageError("--skip-corrupt needs a folder of images: name it with --input")
    if not run.record.task:
        raise UsageError(f"{run.folder} was imported and has no data set; name the inputs with --input")
    return from_split(run_store(run).test)


def _evaluator(run: Run, device: str, seed: int, *, needed: bool) -> Evaluator | None:
    """Profiles are measured on the run's own data set, whatever the input; an imported run has none."""
    if not run.record.task:
        return None
    config = probe_config(run_task(run).dataset, seed=seed)
    try:
        return Evaluator(run, config, resolve_device(device))
    except DataMissingError as error:
        if needed:
            raise
        _log.warning("no symmetry profile: %s", error)
        return None
