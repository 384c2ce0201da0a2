"""SimCLR: Chen, Kornblith, Norouzi and Hinton, A Simple Framework for Contrastive Learning (ICML 2020)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Generator, Tensor, nn

from contextssl_cli.config.methods import SimCLROptions
from contextssl_cli.methods.base import Baseline, mlp, multiple
from contextssl_cli.methods.losses import as_pairs
from contextssl_cli.model.contextssl import nt_xent


class SimCLR(Baseline[SimCLROptions]):
    """SimCLR: NT-Xent of the projections of two views (equation 1).

    The features are the encoder's, before the projector (section 4.2).
    """

    def heads(self, dim: int, actions: int) -> dict[str, nn.Module]:
        """The projector, with one hidden layer (section 2.1)."""
        return {"projector": mlp(dim, multiple(self.options.hidden, dim), self.options.output)}

    def read(self, heads: nn.ModuleDict, features: Tensor, actions: Tensor) -> dict[str, Tensor]:
        """The projections of both views; actions are not read."""
        first, second = heads["projector"](features).chunk(2)
        return {"first": first, "second": second}

    def terms(self, outputs: Mapping[str, Tensor], generator: Generator) -> dict[str, Tensor]:
        """NT-Xent over the 2 N projections."""
        pairs = as_pairs(outputs["first"], outputs["second"])
        return {"contrast": nt_xent(pairs, self.options.temperature).mean()}
