"""VICReg: Bardes, Ponce and LeCun, Variance-Invariance-Covariance Regularization (ICLR 2022)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Generator, Tensor, nn
from torch.nn import functional as F

from contextssl_cli.config.methods import VICRegOptions
from contextssl_cli.methods.base import Baseline, mlp, multiple
from contextssl_cli.methods.losses import covariance, variance


class VICReg(Baseline[VICRegOptions]):
    """VICReg: invariance, variance and covariance of the expanded views (equation 6).

    The features are the encoder's, before the expander (section 4.1).
    """

    weighted = ("invariance", "variance", "covariance")

    def heads(self, dim: int, actions: int) -> dict[str, nn.Module]:
        """The expander, with three layers of one width (section 4.2)."""
        width = multiple(self.options.expansion, dim)
        return {"expander": mlp(dim, width, width, width)}

    def read(self, heads: nn.ModuleDict, features: Tensor, actions: Tensor) -> dict[str, Tensor]:
        """The expanded views; actions are not read."""
        first, second = heads["expander"](features).chunk(2)
        return {"first": first, "second": second}

    def terms(self, outputs: Mapping[str, Tensor], generator: Generator) -> dict[str, Tensor]:
        """The three terms (equations 1 to 5) of the expanded views, (N, D) each.

        As in the authors' code, equation 5 is divided by D and the two variance terms are averaged: the published
        weights are those of the code.
        """
        first, second = outputs["first"], outputs["second"]
        return {
            "invariance": F.mse_loss(first, second),
            "variance": (variance(first) + variance(second)) / 2,
            "covariance": covariance(first) + covariance(second),
        }
