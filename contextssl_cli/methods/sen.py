"""SEN: Park, Biza, Zhao, van de Meent and Walters, Learning Symmetric Embeddings (ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from contextssl_cli.config.methods import SENOptions
from contextssl_cli.methods.base import Predicting, mlp, multiple
from contextssl_cli.methods.losses import squared_distances


class SEN(Predicting[SENOptions]):
    """Latents that a transition model moves as the action moves the input (section 4, the contrastive loss).

    The energy of two latents is their squared distance, divided by twice sigma squared. The energy of the moved latent
    of x and the latent of y is made small. With ``hinge``, as in the paper, the energy of the latents of two samples is
    pushed above the hinge (after Kipf et al. 2020, Contrastive Learning of Structured World Models). With ``softmax``,
    the energies of the moved latent and all latents of y in the batch enter one softmax. The features are the
    encoder's, before the head.
    """

    similarity_name = "distance"

    def heads(self, dim: int, actions: int) -> dict[str, nn.Module]:
        """The head for the latents, and the transition model of the authors' Reacher experiments."""
        output, hidden = self.options.output, self.options.transition
        return {
            "latent": mlp(dim, multiple(self.options.hidden, dim), output),
            "transition": nn.Sequential(
                nn.Linear(output + actions, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.LayerNorm(hidden),
                nn.ReLU(), nn.Linear(hidden, output),
            ),
        }  # fmt: skip

    def read(self, heads: nn.ModuleDict, features: Tensor, actions: Tensor) -> dict[str, Tensor]:
        """The latents of both views, and that of the first one moved."""
        before, after = self.represent(heads, features).chunk(2)
        return {"x": before, "y": after, "moved": self.predict(heads, before, actions)}

    def represent(self, heads: nn.ModuleDict, features: Tensor) -> Tensor:
        """The latents."""
        latents: Tensor = heads["latent"](features)
        return latents

    def predict(self, heads: nn.ModuleDict, representations: Tensor, actions: Tensor) -> Tensor:
        """The latents moved by the transition model, which predicts the difference."""
        moved: Tensor = heads["transition"](torch.cat([representations, actions], dim=1))
        return representations + moved

    def similarity(self, predicted: Tensor, views: Tensor) -> Tensor:
        """Minus the energy, so that latents are ranked by the distance in the loss."""
        return -self.energy(predicted[:, None], views)

    def terms(self, outputs: Mapping[str, Tensor], generator: Generator) -> dict[str, Tensor]:
        """The softmax of energies, or the energy of the pairs and the hinge loss of two samples."""
        before, moved, after = outputs["x"], outputs["moved"], outputs["y"]
        if self.options.contrast == "softmax":
            own = torch.arange(len(after), device=after.device)
            return {"contrast": F.cross_entropy(-squared_distances(moved, after) / self._units(), own)}
        # Each sample's negative is the next one in a random order, so never the sample itself.
        order = torch.randperm(len(before), generator=generator)
        other = torch.empty_like(order).scatter_(0, order, order.roll(-1)).to(before.device)
        return {
            "positive": self.energy(moved, after).mean(),
            "negative": F.relu(self.options.hinge - self.energy(before, before[other])).mean(),
        }

    def energy(self, one: Tensor, other: Tensor) -> Tensor:
        """The energy of latents, (..., D) twice -> (...)."""
        return (one - other).square().sum(dim=-1) / self._units()

    def _units(self) -> float:
        """The unit of squared distances: twice sigma squared."""
        return 2 * self.options.sigma**2
