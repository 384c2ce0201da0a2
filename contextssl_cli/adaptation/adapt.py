"""``contextssl adapt``: a context in, embeddings and their symmetry profile out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from contextssl_cli import paths
from contextssl_cli.adaptation.context_encoder import ContextEncoder
from contextssl_cli.adaptation.guard import Guard
from contextssl_cli.adaptation.inputs import Inputs, open_inputs
from contextssl_cli.errors import DataMissingError
from contextssl_cli.evaluation.evaluator import Evaluator
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.evaluation.profile import GuardRow, ProfileRow, guard_profile, symmetry_profile
from contextssl_cli.evaluation.protocol import probe_config
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.store.context import Context
from contextssl_cli.store.embeddings import EMBEDDINGS_KIND, create_embeddings
from contextssl_cli.store.replace import check_replaceable

NO_CONTEXT = "no context"
_NAMED = 100  # images left out that the embeddings file names; more are counted
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Adaptation:
    """What ``adapt`` did.

    Attributes:
        out: the embeddings file.
        shape: how many embeddings it holds, and the numbers in each.
        about: the facts that it records.
        profile: by action type; empty where it was not measured.
        guarded: what the guard removed, and what it costs; empty without a guard or a profile.
    """

    out: Path
    shape: tuple[int, int]
    about: Mapping[str, Any]
    profile: list[ProfileRow]
    guarded: list[GuardRow]


def adapt(
    opened: OpenRun, context: Context | None, out: Path, *, inputs: Inputs | None = None, guard: str | None = None,
    seed: int = 0, profile: bool = True, about: Mapping[str, Any] | None = None,
) -> Adaptation:  # fmt: skip
    """Embed inputs under a context and write them to ``out``, batch by batch.

    Args:
        opened: the run.
        context: is encoded once. None embeds without context, and measures no profile.
        out: the embeddings file.
        inputs: by default the test split of the run.
        guard: an action type that the context zeroes; the remaining information about it is removed.
        seed: of the probes and views of the profile.
        profile: measure the symmetry profile, and that of the guard, on the data of the run.
        about: more facts for the embeddings file.

    Raises:
        UsageError: if the context has no views to fit the guard to, or ``out`` is the input or another kind of file.
        CorruptFileError: if the context or an input does not fit the run, or an image cannot be read.
        DataMissingError: if the store of the run is gone and no input is given.
    """
    inputs = open_inputs(opened.run, None) if inputs is None else inputs
    own = inputs.path is None  # the test split of the run
    check_replaceable(out, EMBEDDINGS_KIND, inputs.path)  # before minutes of work that could not be written
    paths.make_folder(out.parent)
    encoder = ContextEncoder.of(opened).with_context(context, guard)
    bound = encoder.bound_.context
    evaluator = _evaluator(opened, seed, needed=own) if profile and bound else None
    with create_embeddings(out, opened.model.config.feature_dim) as writer:
        for values in _embeddings(encoder, inputs, evaluator if own else None):
            writer.append(values)
        rows = symmetry_profile(evaluator, bound) if evaluator and bound else []
        guarded = []
        if evaluator and bound and guard and encoder.guard_:
            guarded = guard_profile(evaluator, bound, encoder.guard_, guard)
        facts = {
            "run": str(opened.run.folder.resolve()),
            "fingerprint": opened.fingerprint,
            "environment": environment_name(bound.environment) if bound else NO_CONTEXT,
            "context_length": 2 * len(bound) if bound else 0,
            "input": inputs.origin,
            "profile": [asdict(row) for row in rows],
        }
        if encoder.guard_ is not None:
            _warn_of_guard(encoder.guard_, str(guard))
            facts["guard"] = {"action": guard, **encoder.guard_.about(), "profile": [asdict(row) for row in guarded]}
        if inputs.skipped:
            facts |= {"skipped": len(inputs.skipped), "skipped_sources": list(inputs.skipped[:_NAMED])}
        facts |= about or {}
        writer.describe(inputs.labels, inputs.attributes, inputs.names, facts)
        shape = writer.shape
    return Adaptation(out, shape, facts, rows, guarded)


def _embeddings(encoder: ContextEncoder, inputs: Inputs, evaluator: Evaluator | None) -> Iterable[NDArray[Any]]:
    """Embeddings in batches; the test split of the run is encoded once for all contexts, and kept in its cache."""
    if evaluator is None or evaluator.config.judged_on != "test":
        return encoder.embed(inputs.rows)
    features = evaluator.sample_features(evaluator.test_samples)
    return map(encoder.embed_features, features.split(encoder.batch_size))


def _warn_of_guard(guard: Guard, action: str) -> None:
    """Warn if a guard removes nothing or everything, and say what may be the cause."""
    if not guard.pairs:
        _log.warning("warning: the guard of %s removes nothing: the context's views of it move no embedding", action)
    elif not len(guard.write):
        _log.warning(
            "warning: the guard of %s leaves no direction of the embeddings, they are all the same: %d pairs of views "
            "are too few, or at this stage of its training the model ties everything to it",
            action,
            guard.pairs,
        )


def _evaluator(opened: OpenRun, seed: int, *, needed: bool) -> Evaluator | None:
    """Profiles are measured on the data set of the run, whatever the input; an imported run has none."""
    if not opened.run.record.task:
        return None
    try:
        return Evaluator(opened, probe_config(opened.task.dataset, seed=seed))
    except DataMissingError as error:
        if needed:
            raise
        _log.warning("no symmetry profile: %s", error)
        return None
