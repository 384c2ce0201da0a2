"""The figures that summarise adaptation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from contextssl_cli.model.contextssl import Environment


def pooled_r2(output: Tensor, target: Tensor) -> float:
    """R2 with one mean over all outputs, as in the authors' code (not one mean per column).

    ``1 - sum((t - o)^2) / sum((t - mean(t))^2)``; never clamped, so a probe worse than the mean is negative. A target
    that does not vary has nothing to predict: 0.

    Args:
        output: (N, width) predictions.
        target: (N, width).
    """
    target, output = target.cpu().double(), output.cpu().double()  # Apple's MPS has no float64
    residual = (target - output).square().sum()
    total = (target - target.mean()).square().sum()
    return float(1 - residual / total) if total else 0.0


def adaptation_gap(
    r2: Mapping[Environment, Mapping[str, float]], environments: Sequence[Environment], *, clip: bool = True
) -> float:
    """How much more equivariant the embedding is to an action type in its own context than in the others'.

    With types A and B: ``[R2_A(A) - R2_A(B)] + [R2_B(B) - R2_B(A)]``; with A alone: ``R2_A(A) - R2_A(none)``. With more
    types, the other contexts' R2 are averaged. The ceiling is the number of action types.

    An R2 below 0 means that the probe found nothing and overfits. It counts as 0; otherwise, overfitting would count as
    adaptation and the gap could exceed its ceiling.

    Args:
        r2: by environment (context), then by action type.
        environments: the task's, one per action type and, with a single type, the empty one.
        clip: whether a negative R2 counts as 0. The paper's definition (section 4.2) counts it as it is.
    """

    def value(environment: Environment, name: str) -> float:
        return max(0.0, r2[environment][name]) if clip else r2[environment][name]

    gap = 0.0
    for own in environments:
        others = [other for other in environments if other != own]
        for name in own:
            gap += value(own, name) - sum(value(other, name) for other in others) / len(others)
    return gap
