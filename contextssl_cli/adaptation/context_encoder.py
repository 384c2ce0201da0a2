"""``ContextEncoder``: a trained run under a context, as a scikit-learn transformer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import Tensor

from contextssl_cli.adaptation.guard import Guard, guard_pairs
from contextssl_cli.data.rows import Rows, SampleRows
from contextssl_cli.data.tensors import check_samples
from contextssl_cli.errors import CorruptFileError, InvalidInputError, UsageError
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.model.contextssl import Cache
from contextssl_cli.store.context import Context
from contextssl_cli.training.run import Run


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
        guard: an action type that the context zeroes; the remaining information about it is removed from the
            embeddings (``contextssl_cli.adaptation.guard``).

    Attributes:
        n_features_in_: numbers in one input of the run: columns of a table, or height x width x channels.
        feature_names_in_: column names of the table that ``fit`` was given; missing if it had none.
        opened_: the run with its model (``OpenRun``).
        bound_: the context that was read (``BoundContext``).
        guard_: the fitted guard; None without one.
    """

    def __init__(
        self,
        run: str | Path | None = None,
        context: Context | str | Path | None = None,
        device: str = "auto",
        batch_size: int = 256,
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

    @classmethod
    def of(cls, opened: OpenRun) -> Self:
        """A fitted encoder of a run that is open, without context; the run is not opened again.

        Raises:
            UsageError: if the method of the run reads no context.
        """
        return cls(run=opened.run.folder, device=opened.device.type)._fitted(opened)

    def with_context(self, context: Context | str | Path | None, guard: str | None = None) -> Self:
        """A fitted encoder of the same run under another context, with or without a guard; this one does not change.

        Raises:
            CorruptFileError: if the context does not fit the run.
            UsageError: if it has no views to fit the guard to.
        """
        other: Self = clone(self).set_params(context=context, guard=guard)
        return other._fitted(self.opened_) if hasattr(self, "opened_") else other.fit()

    def fit(self, X: ArrayLike | None = None, y: Any = None) -> Self:
        """Load the weights and read the context. Nothing is learnt from ``X`` or ``y``.

        Args:
            X: inputs as for ``transform``; they are only checked. None checks nothing.
            y: ignored.

        Raises:
            DataMissingError: if there is no such run or context file.
            CorruptFileError: if one of them is damaged, or the context does not fit the run.
            UsageError: if no run is named, or the context has no views to fit the guard to.
            InvalidInputError: if ``X`` does not fit the run; it is a ``ValueError``.
            TypeError: if ``X`` is sparse or holds no numbers.
        """
        return self._fitted(self._open(), X)

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Embeddings of unit length, (N, D). Inputs are converted to floats batch by batch.

        Args:
            X: (N, height, width, channels) uint8 0..255 or float 0..1 for images, (N, features) for tables; flattened
                images are accepted too. An array, a data frame or a list.

        Raises:
            sklearn.exceptions.NotFittedError: before ``fit``.
            InvalidInputError: if the shape differs from the run's, or values are not finite; it is a ``ValueError``.
            TypeError: if ``X`` is sparse or holds no numbers.
        """
        try:
            parts = list(self.embed(self.rows(X)))
        except CorruptFileError as error:
            raise InvalidInputError(str(error)) from error
        return np.concatenate(parts) if parts else np.empty((0, self._n_features_out), np.float32)

    def rows(self, X: ArrayLike) -> Rows:
        """Inputs of a caller as the batched reader gives them; arguments and errors as for ``transform``."""
        check_is_fitted(self)
        return SampleRows(self._check(X, fitting=False), self.opened_.run.record.schema_, "X")

    def embed(self, rows: Rows) -> Iterator[NDArray[np.float32]]:
        """Embeddings (batch, D) of rows, batch by batch: memory does not grow with the number of rows.

        Raises:
            CorruptFileError: if a row cannot be read or does not fit the run, or an embedding is not finite.
        """
        for features in self.features(rows):
            yield self.embed_features(features)

    @torch.no_grad()
    def features(self, rows: Rows) -> Iterator[Tensor]:
        """Features z (batch, D) of rows, batch by batch, on the device of the run; they are the same in any context."""
        model = self.opened_.model
        for numbers in torch.arange(len(rows)).split(self._batch_size()):
            yield model.encode(rows[numbers].to(model.device))

    @torch.no_grad()
    def embed_features(self, features: Tensor) -> NDArray[np.float32]:
        """Embeddings (N, D) of features z (N, D)."""
        embeddings = _embed(self.opened_, self.bound_.cache, features)
        return embeddings if self.guard_ is None else self.guard_(embeddings)

    def _open(self) -> OpenRun:
        """The run; if the newest weights in its folder are loaded already, they are not loaded again."""
        if self.run is None:
            raise UsageError("name the run: ContextEncoder(run=FOLDER), or ContextEncoder.load(FOLDER)")
        run, opened = Run(Path(self.run)), getattr(self, "opened_", None)
        key = run.folder, self.device, run.fingerprint()
        if opened is not None and key == (opened.run.folder, self._opened_on, opened.fingerprint):
            return opened  # type: ignore[no-any-return]
        return OpenRun(run, self.device)

    def _fitted(self, opened: OpenRun, X: ArrayLike | None = None) -> Self:
        """Read the context and fit the guard; an encoder whose fit fails stays as it was."""
        context = self.context
        if context is None or isinstance(context, Context):
            bound = opened.bind(context)
        else:
            bound = opened.bind(Context.load(Path(context)), str(context), foreign="warn")
        guard: Guard | None = None
        if self.guard is not None:
            views = guard_pairs(opened.run, bound.context, self.guard)
            with torch.no_grad():
                first, second = (_embed(opened, bound.cache, opened.bank(views[:, side])) for side in (0, 1))
            guard = Guard.fit(first, second)
        self._batch_size()
        self.opened_, self._opened_on = opened, self.device
        self.bound_, self.guard_ = bound, guard
        self.n_features_in_ = math.prod(opened.run.record.schema_.shape)
        if X is not None:
            self._check(X, fitting=True)
        return self

    def _check(self, X: ArrayLike, *, fitting: bool) -> NDArray[Any]:
        """``X`` as an array, once scikit-learn and the run accept its shape; in ``fit``, its values too."""
        try:
            if np.ma.is_masked(X):
                raise InvalidInputError("X has masked values; fill or drop them")
            array = check_array(X, allow_nd=True, ensure_min_samples=int(fitting), estimator=self, input_name="X")
            if array.ndim == 2 and array.shape[1] != self.n_features_in_:
                raise InvalidInputError(
                    f"X has {array.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                    "features as input"
                )
            schema = self.opened_.run.record.schema_
            check_samples(array if fitting else array[:0], schema, "X")  # values are checked batch by batch
            if fitting or hasattr(self, "feature_names_in_"):
                validate_data(self, X, reset=fitting, skip_check_array=True, ensure_2d=False)  # names of columns
            found: NDArray[Any] = array
            return found
        except (ValueError, CorruptFileError) as error:
            raise InvalidInputError(str(error)) from error

    def _batch_size(self) -> int:
        if not isinstance(self.batch_size, int | np.integer) or self.batch_size < 1:
            raise UsageError(f"batch_size {self.batch_size!r}: expected a whole number from 1 on")
        return int(self.batch_size)

    @property
    def _n_features_out(self) -> int:
        return int(self.opened_.model.config.feature_dim)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "bound_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _embed(opened: OpenRun, cache: Cache, features: Tensor) -> NDArray[np.float32]:
    """Embeddings (N, D) of features (N, D) without a guard."""
    model = opened.context_model
    embeddings = model.embed(features.to(model.device), cache).cpu()
    if not bool(embeddings.isfinite().all()):
        raise CorruptFileError(
            f"the embeddings of {opened.run.folder} are not finite: its weights or its normalisation are damaged, or "
            "the actions of the context or the inputs are out of all proportion"
        )
    found: NDArray[np.float32] = embeddings.numpy()
    return found
