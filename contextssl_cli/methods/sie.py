"""SIE: Garrido, Najman and LeCun, Split Invariant Equivariant Representations (ICML 2023)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from contextssl_cli.config.methods import SIEOptions
from contextssl_cli.methods.base import Predicting, mlp
from contextssl_cli.methods.losses import covariance, variance


class HyperNetwork(nn.Module):
    """A linear predictor whose matrix is a linear function of the action (section 4, "hypernetwork").

    It starts near the identity. The authors' network has no separate matrix for the action 0, because their action is
    a quaternion, which is never 0. Here the action may be a difference, and 0 then means no change.

    Args:
        dim: size of inputs and predictions.
        actions: numbers in an action.
    """

    def __init__(self, dim: int, actions: int) -> None:
        super().__init__()
        self.still = nn.Parameter(torch.eye(dim))
        self.moved = nn.Parameter(torch.randn(actions, dim, dim) / dim)

    def forward(self, inputs: Tensor, actions: Tensor) -> Tensor:
        """(N, dim) and (N, A) -> (N, dim): ``(I + sum over k of a_k W_k) x``; no sample's matrix is formed."""
        by_number = F.linear(inputs, self.moved.flatten(0, 1)).unflatten(-1, self.moved.shape[:2])  # (N, A, dim)
        predicted: Tensor = F.linear(inputs, self.still) + (actions.unsqueeze(-1) * by_number).sum(1)
        return predicted


class SIE(Predicting[SIEOptions]):
    """VICReg with an invariant and an equivariant part of the feature (section 4, the final loss).

    The invariant parts of both views are made equal. The hypernetwork predicts the equivariant part of y from that of
    x. Variance and covariance are computed over both parts together, so that neither repeats the other, and the
    variance also over the prediction. The features are both parts of the encoder's, before the projectors (section 5).
    """

    weighted = ("invariance", "equivariance", "variance", "covariance")

    def heads(self, dim: int, actions: int) -> dict[str, nn.Module]:
        """A projector for each part, as wide as its share, and the hypernetwork."""
        part = self.part(dim)
        invariant, equivariant = (max(1, round(self.options.expansion * size)) for size in (dim - part, part))
        return {
            "invariant": mlp(dim - part, invariant, invariant, invariant, last_bias=False),
            "equivariant": mlp(part, equivariant, equivariant, equivariant, last_bias=False),
            "predictor": HyperNetwork(equivariant, actions),
        }

    def part(self, dim: int) -> int:
        """The number of equivariant numbers, at the end of a feature of ``dim`` numbers."""
        return min(dim - 1, max(1, round(self.options.share * dim)))

    def read(self, heads: nn.ModuleDict, features: Tensor, actions: Tensor) -> dict[str, Tensor]:
        """Both projected parts of both views, and the prediction."""
        part = self.part(features.shape[1])
        invariant = heads["invariant"](features[:, :-part]).chunk(2)
        equivariant = self.represent(heads, features).chunk(2)
        return {
            "invariant x": invariant[0],
            "invariant y": invariant[1],
            "equivariant x": equivariant[0],
            "equivariant y": equivariant[1],
            "predicted": self.predict(heads, equivariant[0], actions),
        }

    def represent(self, heads: nn.ModuleDict, features: Tensor) -> Tensor:
        """The projected equivariant part."""
        projected: Tensor = heads["equivariant"](features[:, -self.part(features.shape[1]) :])
        return projected

    def predict(self, heads: nn.ModuleDict, representations: Tensor, actions: Tensor) -> Tensor:
        """The equivariant parts after actions, as the hypernetwork predicts them."""
        predicted: Tensor = heads["predictor"](representations, actions)
        return predicted

    def terms(self, outputs: Mapping[str, Tensor], generator: Generator) -> dict[str, Tensor]:
        """Invariance, equivariance, variance and covariance."""
        views = [torch.cat([outputs[f"invariant {view}"], outputs[f"equivariant {view}"]], dim=1) for view in "xy"]
        predicted = outputs["predicted"]
        return {
            "invariance": F.mse_loss(outputs["invariant x"], outputs["invariant y"]),
            "equivariance": F.mse_loss(predicted, outputs["equivariant y"]),
            "variance": (variance(views[0]) + variance(views[1]) + variance(predicted)) / 2,
            "covariance": covariance(views[0]) + covariance(views[1]),
        }
