"""``ContextEncoder``: a trained run under a context, in scikit-learn's manner."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from contextssl_cli.adaptation.guard import Guard, guard_pairs
from contextssl_cli.data.tensors import check_samples, to_tensor
from contextssl_cli.errors import CorruptFileError, InvalidInputError, UsageError
from contextssl_cli.evaluation.contexts import read_context
from contextssl_cli.model.contextssl import Cache, ContextSSL
from contextssl_cli.store.context import Context
from contextssl_cli.training.device import resolve_device
from contextssl_cli.training.run import Run
from contextssl_cli.training.runs import warn_of_another_run


class ContextEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Embeds inputs by a trained run, under a context; the weights never change (paper section 3.3).

    >>> encoder = ContextEncoder.load("RUN").with_context("rotation.h5")    # doctest: +SKIP
    >>> model = make_pipeline(encoder, LogisticRegression()).fit(X, y)      # doctest: +SKIP

    A fitted encoder can be pickled; the pickle holds the weights and needs no files of the run.

    Args:
        run: folder of the run.
        context: a ``Context`` or the path of its file; None embeds without context.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        batch_size: inputs that go through the encoder at once; it does not change the result.
        guard: an action type that the context zeroes; what still tells it is taken out of the embeddings
            (``contextssl_cli.adaptation.guard``).

    Attributes:
        n_features_in_: numbers in one input of the run: columns of a table, or height x width x channels.
        feature_names_in_: column names of the table that ``fit`` was given; missing if it had none.
        run_: the opened run.
        model_: its model.
        context_: the context that was read; None without one.
        guard_: the fitted guard; None without one.
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
        """Open a run: a fitted encoder without context.

        Raises:
            DataMissingError: if there is no such run; CorruptFileError: if it is damaged.
        """
        return cls(run=run, device=device).fit()

    def with_context(self, context: Context | str | Path | None, guard: str | None = None) -> Self:
        """A fitted encoder of the same run under another context, with or without a guard; this one does not change.

        Raises:
            CorruptFileError: if the context does not fit the run.
            UsageError: if it has nothing to guard this action type with.
        """
        other: Self = clone(self).set_params(context=context, guard=guard)
        if hasattr(self, "model_"):
            other.run_, other.model_, other._weights = self.run_, self.model_, self._weights
        return other.fit()

    def fit(self, X: ArrayLike | None = None, y: Any = None) -> Self:
        """Load the weights and read the context. Nothing is learnt from ``X`` or ``y``.

        Args:
            X: inputs as for ``transform``; they are only checked. None checks nothing.
            y: ignored.

        Raises:
            DataMissingError: if there is no such run or context file.
            CorruptFileError: if one of them is damaged, or the context does not fit the run.
            UsageError: if no run is named, or there is nothing to guard with.
            InvalidInputError: if ``X`` does not fit the run; it is a ``ValueError``.
            TypeError: if ``X`` is sparse or holds no numbers.
        """
        run, model, weights = self._open()
        context = self.context
        if context is not None and not isinstance(context, Context):
            path, context = context, Context.load(Path(context))
            warn_of_another_run(context, run, str(path))
        cache: Cache = read_context(model, run.record.schema_, context)
        guard: Guard | None = None
        if self.guard is not None:
            views, name = guard_pairs(run, context, self.guard), f"changes/{self.guard} of the context"
            first, second = (_embed(run, model, cache, views[:, side], self._batch_size(), name) for side in (0, 1))
            guard = Guard.fit(first, second)
        # All at once: an encoder whose fit fails goes on as it was.
        self.run_, self.model_, self._weights = run, model, weights
        self.context_, self.cache_, self.guard_ = context, cache, guard
        self.n_features_in_ = math.prod(run.record.schema_.shape)
        if X is not None:
            self._check(X, fitting=True)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Embeddings of unit length, (N, D).

        Args:
            X: (N, height, width, channels) uint8 0..255 or float 0..1 for images, (N, features) for tables; flattened
                images are accepted too. An array, a data frame or a list.

        Raises:
            sklearn.exceptions.NotFittedError: before ``fit``.
            InvalidInputError: if the shape differs from the run's, or values are not finite; it is a ``ValueError``.
            TypeError: if ``X`` is sparse or holds no numbers.
        """
        check_is_fitted(self)
        inputs = self._check(X, fitting=False)
        embeddings = _embed(self.run_, self.model_, self.cache_, inputs, self._batch_size(), "X")
        return embeddings if self.guard_ is None else self.guard_(embeddings)

    def _open(self) -> tuple[Run, ContextSSL, tuple[Any, ...]]:
        """Run and model, and what identifies them: the same weights are loaded once."""
        if self.run is None:
            raise UsageError("name the run: ContextEncoder(run=FOLDER), or ContextEncoder.load(FOLDER)")
        run = Run(Path(self.run))
        weights = (run.folder, self.device, run.fingerprint())
        if getattr(self, "_weights", None) == weights:
            return self.run_, self.model_, weights
        return run, run.load_model(resolve_device(self.device)), weights

    def _check(self, X: ArrayLike, *, fitting: bool) -> NDArray[Any]:
        """``X`` as an array that fits the run, by scikit-learn's rules and the run's."""
        try:
            if np.ma.is_masked(X):
                raise InvalidInputError("X has masked values; fill or drop them")
            array = check_array(X, allow_nd=True, ensure_min_samples=int(fitting), estimator=self, input_name="X")
            if array.ndim == 2 and array.shape[1] != self.n_features_in_:
                raise InvalidInputError(
                    f"X has {array.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                    "features as input"
                )
            samples = check_samples(array, self.run_.record.schema_, "X")
            if fitting or hasattr(self, "feature_names_in_"):
                validate_data(self, X, reset=fitting, skip_check_array=True, ensure_2d=False)  # names of columns
            return samples
        except (ValueError, CorruptFileError) as error:
            raise InvalidInputError(str(error)) from error

    def _batch_size(self) -> int:
        if not isinstance(self.batch_size, int | np.integer) or self.batch_size < 1:
            raise UsageError(f"batch_size {self.batch_size!r}: expected a whole number from 1 on")
        return int(self.batch_size)

    @property
    def _n_features_out(self) -> int:
        return int(self.model_.config.feature_dim)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "cache_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


@torch.no_grad()
def _embed(
    run: Run, model: ContextSSL, cache: Cache, inputs: NDArray[Any], batch_size: int, name: str
) -> NDArray[np.float32]:
    """Embeddings without a guard, (N, D)."""
    samples = to_tensor(inputs, run.record.schema_, name)
    parts = [model.embed(model.encode(part.to(model.device)), cache).cpu() for part in samples.split(batch_size)]
    if not all(bool(part.isfinite().all()) for part in parts):
        raise CorruptFileError(
            f"the embeddings of {run.folder} are not finite: its weights or its normalisation are damaged, or the "
            f"context's actions or {name} are out of all proportion"
        )
    return torch.cat(parts).numpy() if parts else np.empty((0, model.config.feature_dim), np.float32)
