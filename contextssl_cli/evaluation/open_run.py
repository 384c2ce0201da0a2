"""A run that was opened: its model with the weights of one checkpoint, its data, and the contexts that it has read.

``OpenRun`` is opened once in a command, so the model is built once and the weights are read and hashed once.
``ContextEncoder``, ``Evaluator``, ``adapt`` and the selection share it. Contexts come into a model by ``OpenRun.bind``.
"""

from __future__ import annotations

import functools
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import Tensor

from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.evaluation.bank import FeatureBank
from contextssl_cli.evaluation.contexts import context_hash
from contextssl_cli.evaluation.encoded import encode
from contextssl_cli.methods.registry import method_of
from contextssl_cli.model.contextssl import Cache, ContextSSL
from contextssl_cli.model.encoders import EncoderModel
from contextssl_cli.plugin.task import Task
from contextssl_cli.store.context import Context
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.run import Run
from contextssl_cli.training.runs import Foreign, check_context
from contextssl_cli.training.runtime import resolve_device
from contextssl_cli.training.start import run_store, run_task
from contextssl_cli.training.weights import Weights, load_weights

_log = logging.getLogger(__name__)


class ContextTooLongWarning(UserWarning):
    """A context has more pairs than the model was trained to read; the first ones are used."""


@dataclass(frozen=True, eq=False)
class BoundContext:
    """A context that a run has read.

    Attributes:
        context: the pairs that were read; None for no context.
        cache: their keys and values.
    """

    context: Context | None
    cache: Cache


class OpenRun:
    """A trained run with its model.

    The weights are those of one checkpoint, also while another process goes on with the training.

    Args:
        run: the run, or its folder.
        device: of the model; ``auto``, ``cpu``, ``cuda``, ``mps``, or a device of torch.

    Attributes:
        run: the folder and its record.
        device: of the model.
        model: of the method of the run, in evaluation mode.
        fingerprint: of its weights.
        bank: features of inputs that contexts hold.

    Raises:
        DataMissingError: if there is no such run, or it has no checkpoint yet.
        CorruptFileError: if the run is damaged, or its weights are not those that were saved.
        FileInUseError: if another run has replaced this one meanwhile.
    """

    def __init__(self, run: Run | Path, device: torch.device | str = "cpu") -> None:
        self.run = run if isinstance(run, Run) else Run(run)
        self.device = device if isinstance(device, torch.device) else resolve_device(device)
        record = self.run.record
        weights = self.run.newest(Weights.read)
        self.run.loaded(weights.state)
        self.fingerprint = weights.state.fingerprint
        model: EncoderModel = method_of(record.config).build(record.config.model, record.schema_, record.space)
        load_weights(weights, model)
        self.model = model.to(self.device).eval()
        self.bank = FeatureBank(self._encode)
        self._caches: dict[str, Cache] = {}
        if not weights.state.finished:
            _log.warning(
                "warning: %s was trained to step %d of %d; go on with %s",
                self.run.folder, weights.state.step, weights.state.steps, self.run.resume_command,
            )  # fmt: skip

    @property
    def context_model(self) -> ContextSSL:
        """The model of a run that reads contexts.

        Raises:
            UsageError: if the method of the run reads no context.
        """
        self.run.require_context()
        return cast(ContextSSL, self.model)

    @functools.cached_property
    def task(self) -> Task:
        """Data set and action types; raises as ``run_task``."""
        return run_task(self.run)

    @functools.cached_property
    def store(self) -> Store:
        """The data that the run was trained on; raises as ``run_store``."""
        return run_store(self.run)

    def bind(self, context: Context | None, name: str = "the context", *, foreign: Foreign = "accept") -> BoundContext:
        """Check a context, cut it to the length that the model was trained to read, and encode it, once.

        Args:
            context: its pairs; None is no context.
            name: of the context in messages, such as its file.
            foreign: what happens if it was made for other weights, as in ``check_context``.

        Raises:
            UsageError, CorruptFileError: as ``check_context``.
        """
        if context is not None:
            check_context(self.run, context, name, foreign=foreign)
            context = cut_to_trained(context, self.context_model.config.max_context)
        identity = context_hash(context)
        if identity not in self._caches:
            self._caches[identity] = self.read(context)
        return BoundContext(context, self._caches[identity])

    @torch.no_grad()
    def read(self, context: Context | None) -> Cache:
        """The keys and values of a context of any length that fits the run; no input of it is encoded twice."""
        model, device = self.context_model, self.device
        if context is None:
            empty = torch.empty(0, model.config.feature_dim, device=device)
            return model.read_context(empty, empty, torch.empty(0, model.space.width, device=device), ())
        z_x, z_y = (self.bank(part).to(device) for part in (context.x, context.y))
        parts = {name: torch.tensor(block, dtype=torch.float32) for name, block in context.actions.items()}
        actions = model.space.assemble(parts, context.environment, len(context)).to(device)
        return model.read_context(z_x, z_y, actions, context.environment)

    def _encode(self, inputs: NDArray[Any]) -> Tensor:
        return encode(self.model, to_tensor(inputs, self.run.record.schema_, "the context"))


def cut_to_trained(context: Context, max_tokens: int) -> Context:
    """The context, or its first pairs if it is longer than the model was trained to read (with a warning)."""
    longest = max_tokens // 2
    if len(context) <= longest:
        return context
    warnings.warn(f"the context has {len(context)} pairs, the model was trained to read {longest}: the first {longest} "
                  "are used", ContextTooLongWarning, stacklevel=2)  # fmt: skip
    return context.take(longest)
