"""Strong probes (scikit-learn): how much can still be read from an embedding with effort.

The paper's probes are trained by gradient for a fixed number of epochs. They miss information that a context made
small but did not remove. Strong probes standardise or whiten the numbers first, so the size of a direction does not
matter, and are fitted to convergence.

Shapes: K embeddings, N and M samples, D numbers.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from contextssl_cli.data.random import Purpose, integer_seed

LOGISTIC = "logistic regression (scikit-learn, standardised)"
RIDGE_CV = "ridge (scikit-learn, standardised, penalty cross-validated)"
MLP = "MLP 64 (scikit-learn, whitened)"
_PENALTIES = tuple(10.0**power for power in range(-9, 2))
"""Of the ridge regression, which leave-one-out cross-validation chooses from, per sample and standardised column.

The smallest one is well above the share of the variance (about 1e-14) that float32 rounding can make."""

_VARIANCE = 1 - 1e-9  # a direction below this share holds rounding errors only, which whitening would amplify
_HIDDEN: dict[str, Any] = {
    "hidden_layer_sizes": (64,), "early_stopping": True, "max_iter": 60, "batch_size": 256,
    "learning_rate_init": 3e-3, "random_state": integer_seed(0, Purpose.STRONG_PROBE),
}  # fmt: skip


def strong_classifier() -> Pipeline:
    """Logistic regression on standardised numbers."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


def mlp_classifier() -> Pipeline:
    """An MLP on whitened numbers, so that no direction is too small to be read."""
    return make_pipeline(PCA(_VARIANCE, whiten=True, svd_solver="full"), MLPClassifier(**_HIDDEN))


def mlp_regressor() -> Pipeline:
    """An MLP on whitened numbers that predicts numbers."""
    return make_pipeline(PCA(_VARIANCE, whiten=True, svd_solver="full"), MLPRegressor(**_HIDDEN))


def fit_quietly(probe: Pipeline, inputs: NDArray[Any], targets: NDArray[Any]) -> Pipeline:
    """Fit a probe without a warning that it may not have converged: its epochs are part of its definition."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Got `batch_size` less than 1 or larger", UserWarning)  # fewer than 256 rows
        return probe.fit(inputs, targets)


def strong_classify(
    train: NDArray[Any], labels: NDArray[Any], test: NDArray[Any], probe: str = LOGISTIC, seed: int = 0
) -> NDArray[Any]:
    """Predict class indices (M,) for ``test`` (M, D).

    Args:
        train: (N, D).
        labels: (N,) class indices, below 0 where missing.
        test: (M, D).
        probe: ``LOGISTIC`` or ``MLP``.
        seed: of the MLP's weights and batches.
    """
    drawn = {"mlpclassifier__random_state": integer_seed(seed, Purpose.STRONG_PROBE)}
    fitted = strong_classifier() if probe == LOGISTIC else mlp_classifier().set_params(**drawn)
    predicted: NDArray[Any] = fit_quietly(fitted, train[labels >= 0], labels[labels >= 0]).predict(test)
    return predicted


def strong_accuracy(
    probe: str, train: NDArray[Any], labels: NDArray[Any], test: NDArray[Any], truth: NDArray[Any], seed: int = 0
) -> float:
    """The accuracy of ``strong_classify`` on ``test`` (M, D), where ``truth`` (M,) is not missing."""
    asked = truth >= 0
    return float((strong_classify(train, labels, test[asked], probe, seed) == truth[asked]).mean())


def strong_classify_each(train: Tensor, labels: Tensor, test: Tensor) -> Tensor:
    """Predict class indices (K, M) for ``test`` (K, M, D), by K logistic regressions fitted to ``train`` (K, N, D)."""
    pairs = zip(train.cpu().numpy(), test.cpu().numpy(), strict=True)
    return torch.stack([torch.from_numpy(strong_classify(fit, labels.cpu().numpy(), judge)) for fit, judge in pairs])


def strong_regress(train: Tensor, targets: Tensor, test: Tensor, probe: str = RIDGE_CV) -> Tensor:
    """Predict (M, W) numbers for ``test`` (M, D) by ``RIDGE_CV`` or ``MLP`` fitted to (N, D) and ``targets`` (N, W)."""
    if probe == RIDGE_CV:
        train, test = train.cpu().double(), test.cpu().double()  # MPS has no float64
    fit, wanted, judge = (part.cpu().numpy() for part in (train, targets, test))
    penalties = [penalty * len(fit) for penalty in _PENALTIES]
    fitted = make_pipeline(StandardScaler(), RidgeCV(penalties)) if probe == RIDGE_CV else mlp_regressor()
    flat = wanted[:, 0] if wanted.shape[1] == 1 else wanted  # scikit-learn warns of a single column
    predicted = fit_quietly(fitted, fit, flat).predict(judge)
    return torch.from_numpy(predicted.reshape(len(judge), -1)).to(targets)
