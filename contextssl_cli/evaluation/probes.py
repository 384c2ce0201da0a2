"""Probes: how much of an action or a label can be read from an embedding.

The paper's probes are trained by gradient. Probes of several embeddings of the same samples (one per context) are
trained side by side. They share initial weights and batches, so a difference between two contexts is not due to the
seed; otherwise they are independent. Strong probes are in ``contextssl_cli.evaluation.strong_probes``.

Shapes: K embeddings, N samples, D numbers, W outputs, B samples in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from contextssl_cli.config.probe import ActionProbe, ProbeConfig
from contextssl_cli.data.random import Purpose, seeded
from contextssl_cli.evaluation.strong_probes import RIDGE_CV, strong_regress

PENALTY = 1e-2
"""Penalty of the closed-form probe, per sample and standardised column."""
KNN = "weighted kNN"


class StackedLinear(nn.Module):
    """K independent linear layers, initialised alike, as torch's ``nn.Linear``."""

    def __init__(self, count: int, inputs: int, outputs: int, generator: Generator) -> None:
        super().__init__()
        bound = inputs**-0.5
        weight = (torch.rand(inputs, outputs, generator=generator) * 2 - 1) * bound
        bias = (torch.rand(1, outputs, generator=generator) * 2 - 1) * bound
        self.weight = nn.Parameter(weight.repeat(count, 1, 1))
        self.bias = nn.Parameter(bias.repeat(count, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(K, B, inputs) -> (K, B, outputs)."""
        return torch.baddbmm(self.bias, x, self.weight)


def action_probe_name(kind: ActionProbe, config: ProbeConfig) -> str:
    """The name of a probe of actions in the results."""
    if kind == "ridge-cv":
        return RIDGE_CV
    if kind == "ridge":
        return f"ridge (closed form, standardised, penalty {PENALTY:g} N)"
    shape = "linear" if kind == "linear" else f"MLP {config.hidden}-{config.hidden}"
    return f"{shape} (Adam {config.lr:g}, {config.action_epochs} epochs of batches of {config.action_batch_size})"


def label_probe_name(config: ProbeConfig) -> str:
    """The name of the gradient-trained probe of labels in the results."""
    return f"linear (Adam {config.label_lr:g}, {config.label_epochs} epochs of batches of {config.label_batch_size})"


def regress(train: Tensor, targets: Tensor, test: Tensor, kind: ActionProbe, config: ProbeConfig) -> Tensor:
    """Predict (N, W) numbers by a probe of a kind.

    Args:
        train: (K, N, D).
        targets: (N, W), the same for every embedding.
        test: (K, M, D).
        kind: in closed form; or trained by gradient under mean squared error: linear, or an MLP D-hidden-hidden-W with
            ReLU.
        config: of the gradient-trained probes: epochs, rate, batch size, seed.

    Returns:
        (K, M, W).
    """
    if kind in ("ridge", "ridge-cv"):
        fit: Callable[[Tensor, Tensor, Tensor], Tensor] = ridge if kind == "ridge" else strong_regress
        return torch.stack([fit(own, targets, judge) for own, judge in zip(train, test, strict=True)])
    sizes = [train.shape[-1], *([config.hidden] * 2 if kind == "mlp" else []), targets.shape[-1]]
    schedule = config.lr, config.action_epochs, config.action_batch_size, config.seed
    return _outputs(train, targets, test, sizes, _mean_squared_error, *schedule)


def ridge(train: Tensor, targets: Tensor, test: Tensor, penalty: float = PENALTY) -> Tensor:
    """Predict (N, W) numbers by ridge regression in closed form, in float64.

    With standardised columns X and centred targets Y, ``W = (X'X + penalty N I)^-1 X'Y``. A constant column is ignored.

    Args:
        train: (N, D).
        targets: (N, W).
        test: (M, D).
        penalty: per sample.

    Returns:
        (M, W).
    """
    fit, wanted, judge = train.cpu().double(), targets.cpu().double(), test.cpu().double()  # MPS has no float64
    mean, std, centre = fit.mean(dim=0), fit.std(dim=0, correction=0), wanted.mean(dim=0)
    scale = torch.where(std > 1e-6 * fit.abs().amax(dim=0), 1 / std, torch.zeros_like(std))
    fit = (fit - mean) * scale
    gram = fit.T @ fit + penalty * len(fit) * torch.eye(fit.shape[1], dtype=fit.dtype, device=fit.device)
    weights: Tensor = torch.linalg.solve(gram, fit.T @ (wanted - centre))
    return (((judge - mean) * scale) @ weights + centre).to(targets)


def classify(train: Tensor, labels: Tensor, test: Tensor, classes: int, config: ProbeConfig) -> Tensor:
    """Predict classes by a linear probe under cross-entropy.

    Args:
        train: (K, N, D).
        labels: (N,) class indices.
        test: (K, M, D).
        classes: how many there are.
        config: epochs, rate, batch size, seed.

    Returns:
        (K, M) class indices.
    """
    sizes = [train.shape[-1], classes]
    schedule = config.label_lr, config.label_epochs, config.label_batch_size, config.seed
    return _outputs(train, labels, test, sizes, _cross_entropy, *schedule).argmax(dim=-1)


@dataclass(frozen=True)
class Neighbours:
    """The k nearest training embeddings of each of M test embeddings, with votes of exp(cosine similarity / t).

    Attributes:
        indices: (M, k) into the training embeddings.
        weights: (M, k).
    """

    indices: Tensor
    weights: Tensor

    def classify(self, labels: Tensor, classes: int) -> Tensor:
        """Class indices (M,) by weighted vote; training samples without a label (-1) have none."""
        votes = torch.zeros(len(self.indices), classes + 1, device=labels.device)
        votes.scatter_add_(1, labels[self.indices] % (classes + 1), self.weights)
        return votes[:, :classes].argmax(dim=1)


def nearest_neighbours(train: Tensor, test: Tensor, config: ProbeConfig) -> Neighbours:
    """Weighted nearest neighbours by cosine similarity (Wu et al. 2018, section 3.4).

    Args:
        train: (N, D) embeddings.
        test: (M, D).
        config: k and t.
    """
    train, test = F.normalize(train, dim=-1), F.normalize(test, dim=-1)
    k = min(config.knn_neighbours, len(train))
    found = [(queries @ train.T).topk(k, dim=1) for queries in test.split(1024)]
    similarity = torch.cat([part.values for part in found])
    return Neighbours(torch.cat([part.indices for part in found]), (similarity / config.knn_temperature).exp())


def can_be_read(fit: Tensor, judge: Tensor) -> bool:
    """Whether a probe can be fitted to class indices ``fit`` and judged on ``judge``; -1 is a missing label."""
    return len(fit[fit >= 0].unique()) > 1 and bool((judge >= 0).any())


def _outputs(
    train: Tensor, targets: Tensor, test: Tensor, sizes: Sequence[int], loss: Callable[[Tensor, Tensor], Tensor],
    lr: float, epochs: int, batch_size: int, seed: int,
) -> Tensor:  # fmt: skip
    """(K, M, outputs) of K probes with layers of these sizes, which are fitted to ``train`` (K, N, D) and targets."""
    generator = seeded(seed, Purpose.PROBE)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [StackedLinear(len(train), inputs, outputs, generator), nn.ReLU(inplace=True)]
    probe = nn.Sequential(*layers[:-1]).to(train.device)
    optimizer = torch.optim.Adam(probe.parameters(), lr=lr, fused=True)
    for _ in range(epochs):
        for rows in torch.randperm(train.shape[1], generator=generator).to(train.device).split(batch_size):
            optimizer.zero_grad(set_to_none=True)
            loss(probe(train[:, rows]), targets[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        return torch.cat([probe(part) for part in test.split(8192, dim=1)], dim=1)


# Each loss is a mean over samples and a sum over the K probes, so that one probe's gradient does not depend on K.


def _mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square().mean(dim=(1, 2)).sum()


def _cross_entropy(output: Tensor, labels: Tensor) -> Tensor:
    count = len(output)
    return F.cross_entropy(output.flatten(0, 1), labels.repeat(count)) * count
