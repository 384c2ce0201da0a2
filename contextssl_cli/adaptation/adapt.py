"""``contextssl adapt``: a context in, embeddings and their symmetry profile out."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from contextssl_cli import paths
from contextssl_cli.adaptation.context_encoder import ContextEncoder
from contextssl_cli.adaptation.find_run import FoundRun
from contextssl_cli.adaptation.inputs import Inputs, from_split, read_inputs
from contextssl_cli.adaptation.profile import ProfileRow, symmetry_profile, to_dicts
from contextssl_cli.errors import DataMissingError, UsageError
from contextssl_cli.evaluation.contexts import fit_length
from contextssl_cli.evaluation.evaluator import Evaluator
from contextssl_cli.evaluation.protocol import probe_config
from contextssl_cli.plugin.task import environment_name
from contextssl_cli.store import hdf5
from contextssl_cli.store.context import Context
from contextssl_cli.store.embeddings import KIND, Embeddings
from contextssl_cli.training.device import resolve_device
from contextssl_cli.training.pretrain import run_store, run_task
from contextssl_cli.training.run import Run

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Adaptation:
    """What ``adapt`` did."""

    found: FoundRun
    out: Path
    embeddings: Embeddings
    profile: list[ProfileRow]


def adapt(
    found: FoundRun, context: Context, out: Path, *, source: Path | None = None, device: str = "auto", seed: int = 0
) -> Adaptation:
    """Embed inputs under a context and write them to ``out``.

    Args:
        found: the run.
        context: read once; its keys and values are kept.
        out: the embeddings file.
        source: a store, an array file or a folder of images; by default the run's test split.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        seed: of the profile's probes and views.

    Raises:
        CorruptFileError: if context or input do not fit the run.
        DataMissingError: if the run has no store and no input is named.
    """
    paths.make_folder(out.parent)  # before minutes of work that could not be written
    run = found.run
    context = fit_length(context, run.record.config.model.max_context)
    encoder = ContextEncoder.load(run.folder, device).with_context(context)
    inputs = _inputs(run, source)
    values = encoder.transform(inputs.samples)
    profile = _profile(run, context, device, seed, needed=source is None)
    about = {
        "run": str(run.folder.resolve()),
        "fingerprint": run.fingerprint(),
        "chosen": found.reason,
        "environment": environment_name(context.environment),
        "context_length": 2 * len(context),
        "input": inputs.origin,
        "profile": to_dicts(profile),
    }
    embeddings = Embeddings(values, inputs.labels, inputs.attributes, inputs.names, about)
    embeddings.save(out)
    return Adaptation(found, out, embeddings, profile)


def check_output(out: Path, *, force: bool) -> None:
    """Refuse to replace anything but an embeddings file, which can be made again.

    Raises:
        UsageError: if another file stands at ``out`` and ``force`` is not given.
    """
    if out.exists() and not force and not (hdf5.is_hdf5(out) and hdf5.kind_of(out) == KIND):
        raise UsageError(f"{out} exists and is not an embeddings file; choose another --out or add --force")


def _inputs(run: Run, source: Path | None) -> Inputs:
    if source is not None:
        return read_inputs(source, run.record.schema_)
    if not run.record.task:
        raise UsageError(f"{run.folder} was imported and has no data set; name the inputs with --input")
    return from_split(run_store(run).test)


def _profile(run: Run, context: Context, device: str, seed: int, *, needed: bool) -> list[ProfileRow]:
    """Measured on the run's own data set, whatever the input; an imported run has none."""
    if not run.record.task:
        return []
    config = probe_config(run_task(run).dataset, seed=seed)
    try:
        evaluator = Evaluator(run, config, resolve_device(device))
    except DataMissingError as error:
        if needed:
            raise
        _log.warning("no symmetry profile: %s", error)
        return []
    return symmetry_profile(evaluator, context)
