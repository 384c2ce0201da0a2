"""EquiMod on SimCLR: Devillers and Lefort, An Equivariance Module (ICLR 2023)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor, nn

from contextssl_cli.config.methods import EquiModOptions
from contextssl_cli.methods.base import Predicting, mlp, multiple
from contextssl_cli.methods.losses import as_pairs
from contextssl_cli.model.contextssl import nt_xent


class EquiMod(Predicting[EquiModOptions]):
    """SimCLR's loss, and a module that predicts where an action moves an embedding (section 3).

    There is an equivariant projector in addition to SimCLR's. From the projection of x and the action, the module
    predicts the projection of y. The prediction and the projection of y are a positive pair of NT-Xent; every other
    prediction and projection is a negative. The features are the encoder's, before both projectors (section 4).
    """

    weighted = ("equivariance",)

    def heads(self, dim: int, actions: int) -> dict[str, nn.Module]:
        """Both projectors, the projection of the action, and the module: one linear layer, as in the authors' code."""
        output = self.options.output
        hidden = multiple(self.options.equivariant_hidden, dim)
        return {
            "projector": mlp(dim, multiple(self.options.hidden, dim), output),
            "equivariant": nn.Sequential(
                mlp(dim, hidden, hidden, output, last_bias=False), nn.BatchNorm1d(output, affine=False)
            ),
            "action": nn.Sequential(nn.Linear(actions, output, bias=False), nn.BatchNorm1d(output)),
            "module": nn.Sequential(nn.Linear(2 * output, output, bias=False), nn.BatchNorm1d(output, affine=False)),
        }

    def read(self, heads: nn.ModuleDict, features: Tensor, actions: Tensor) -> dict[str, Tensor]:
        """The projections of both views, the equivariant one of y, and the module's prediction of it."""
        first, second = heads["projector"](features).chunk(2)
        before, after = self.represent(heads, features).chunk(2)
        predicted = self.predict(heads, before, actions)
        return {"first": first, "second": second, "after": after, "predicted": predicted}

    def represent(self, heads: nn.ModuleDict, features: Tensor) -> Tensor:
        """The equivariant projections."""
        projected: Tensor = heads["equivariant"](features)
        return projected

    def predict(self, heads: nn.ModuleDict, representations: Tensor, actions: Tensor) -> Tensor:
        """The projections after actions, as the module predicts them."""
        predicted: Tensor = heads["module"](torch.cat([representations, heads["action"](actions)], dim=1))
        return predicted

    def terms(self, outputs: Mapping[str, Tensor], generator: Generator) -> dict[str, Tensor]:
        """NT-Xent of the views, and NT-Xent of predictions and projections."""
        views = as_pairs(outputs["first"], outputs["second"])
        predictions = as_pairs(outputs["predicted"], outputs["after"])
        return {
            "invariance": nt_xent(views, self.options.temperature).mean(),
            "equivariance": nt_xent(predictions, self.options.equivariant_temperature).mean(),
        }
