"""``ContextEncoder``: a trained run under a context, in scikit-learn's manner."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from contextssl_cli.adaptation.find_run import warn_of_another_run
from contextssl_cli.adaptation.guard import Guard, guard_pairs
from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.errors import CorruptFileError, UsageError
from contextssl_cli.evaluation.contexts import read_context
from contextssl_cli.model.context_ssl import ContextSSL
from contextssl_cli.model.world_model import Cache
from contextssl_cli.store.context import Context
from contextssl_cli.training.device import resolve_device
from contextssl_cli.training.run import Run


class ContextEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Embeds inputs by a trained run, under a context; the weights never change (paper section 3.3).

    >>> encoder = ContextEncoder.load("RUN").with_context("rotation.h5")    # doctest: +SKIP
    >>> model = make_pipeline(encoder, LogisticRegression()).fit(X, y)      # doctest: +SKIP

    Args:
        run: folder of the run.
        context: a ``Context`` or the path of its file; None embeds without context.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        batch_size: inputs that go through the encoder at once; it does not change the result.
        guard: an action type that the context zeroes; what still tells it is taken out of the embeddings
            (``contextssl_cli.adaptation.guard``).
    """

    def __init__(
        self,
        run: str | Path | None = None,
        context: Context | str | Path | None = None,
        device: str = "auto",
        batch_size: int = 1024,
        guard: str | None = None,
    ) -> None:
        self.run = run
        self.context = context
        self.device = device
        self.batch_size = batch_size
        self.guard = guard

    @classmethod
    def load(cls, run: str | Path, device: str = "auto") -> Self:
        """Open a run.

        Raises:
            DataMissingError: if there is no such run; CorruptFileError: if it is damaged.
        """
        return cls(run=run, device=device).fit()

    def with_context(self, context: Context | str | Path | None, guard: str | None = None) -> Self:
        """The same run under another context, with or without a guard; this encoder stays as it is.

        Raises:
            CorruptFileError: if the context does not fit the run.
            UsageError: if it has nothing to guard this action type with.
        """
        other = type(self)(**(self.get_params(deep=False) | {"context": context, "guard": guard}))
        if hasattr(self, "model_"):
            other._adopt(self.run_, self.model_)
        return other.fit()

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Load the weights and read the context. Nothing is learnt from ``X`` or ``y``."""
        if not hasattr(self, "model_") or self._loaded != (self.run, self.device):
            if self.run is None:
                raise UsageError("name the run: ContextEncoder(run=FOLDER), or ContextEncoder.load(FOLDER)")
            run = Run(Path(self.run))
            self._adopt(run, run.load_model(resolve_device(self.device)))
        context = self.context
        if context is not None and not isinstance(context, Context):
            path, context = context, Context.load(Path(context))
            warn_of_another_run(context, self.run_, str(path))
        self.context_ = context
        self.cache_: Cache = read_context(self.model_, self.run_.record.schema_, context)
        self.guard_: Guard | None = None
        if self.guard is not None:
            views = guard_pairs(self.run_, context, self.guard)
            self.guard_ = Guard.fit(self._embed(views[:, 0]), self._embed(views[:, 1]))
        return self

    def transform(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """Embeddings of unit length, (N, D).

        Args:
            X: (N, height, width, channels) uint8 0..255 or float 0..1 for images, (N, features) for tables; flattened
                images are taken too.

        Raises:
            CorruptFileError: if the shape differs from the run's, or values are not finite.
        """
        if not hasattr(self, "cache_"):
            self.fit()
        embeddings = self._embed(X)
        return embeddings if self.guard_ is None else self.guard_(embeddings)

    @torch.no_grad()
    def _embed(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """Embeddings without the guard."""
        inputs = to_tensor(np.asarray(X), self.run_.record.schema_, "X")
        device = self.model_.device
        parts = [
            self.model_.embed(self.model_.encode(part.to(device)), self.cache_).cpu()
            for part in inputs.split(self.batch_size)
        ]
        if not all(bool(part.isfinite().all()) for part in parts):
            raise CorruptFileError(
                f"the embeddings of {self.run_.folder} are not finite: its weights or its normalisation are damaged, "
                "or the context's actions are out of all proportion"
            )
        return torch.cat(parts).numpy() if parts else np.empty((0, self.model_.config.feature_dim), np.float32)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """``contextssl0`` to ``contextssl<D-1>``."""
        return np.array([f"contextssl{number}" for number in range(self.model_.config.feature_dim)], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "cache_")

    def _adopt(self, run: Run, model: ContextSSL) -> None:
        self.run_ = run
        self.model_ = model
        self._loaded = (self.run, self.device)
