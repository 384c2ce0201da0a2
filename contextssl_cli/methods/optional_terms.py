"""Terms that may be added to ContextSSL's loss: probe penalty, instance loss, features' loss. None is in the paper.

Shapes are those of ``model/contextssl.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from contextssl_cli.config.methods import SimCLROptions, VICRegOptions
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.pairs import PairBatch
from contextssl_cli.methods.base import Step, StepLoss, Terms
from contextssl_cli.methods.losses import weighted_sum
from contextssl_cli.methods.simclr import SimCLR
from contextssl_cli.methods.vicreg import VICReg
from contextssl_cli.model.contextssl import BatchReading, ContextSSL, Environment, nt_xent
from contextssl_cli.plugin.task import EVERY_ENVIRONMENT, environment_name


@dataclass(frozen=True)
class OptionalOutputs:
    """Outputs of the model that the optional terms of a step need.

    Attributes:
        queried: embeddings (S, P, 2, D) of both views, by environment.
        penalised: the environments whose inactive action types are penalised.
        projected: SimCLR's projections of the features of both views.
    """

    queried: dict[Environment, Tensor]
    penalised: tuple[Environment, ...]
    projected: dict[str, Tensor]


class OptionalTerms:
    """The optional terms of a configuration; a weight of 0 leaves a term out."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.simclr = SimCLR(SimCLROptions()) if config.feature_weight else None

    def add_modules(self, model: ContextSSL) -> None:
        """Give a model the modules that the terms need, with fresh weights."""
        if model.config.instance_dim:
            model.instance = nn.Linear(model.config.feature_dim, model.config.instance_dim, bias=False)
        model.heads = nn.ModuleDict(self.simclr.heads(model.config.feature_dim, actions=0) if self.simclr else {})

    def features_alone(self, model: ContextSSL, batch: PairBatch, step: Step) -> StepLoss | None:
        """The loss of a step before the world model is trained; None from ``world_start`` on."""
        if step.world or self.simclr is None:
            return None
        alone = self.simclr.loss(model, batch, step)
        return StepLoss(alone.total, {"features": alone.terms["contrast"]})

    def read(self, model: ContextSSL, reading: BatchReading, step: Step) -> OptionalOutputs:
        """The outputs that the terms need, at the precision of the caller."""
        penalised = self._penalised(model, step)
        asked = step.environments if self.config.instance_weight else penalised
        return OptionalOutputs(
            _query(model, reading, step.environments, asked), penalised, self._project(model, reading)
        )

    def terms(self, model: ContextSSL, batch: PairBatch, outputs: OptionalOutputs, step: Step) -> Terms:
        """The terms by name and environment, in float32, not weighted."""
        found: Terms = {}
        if outputs.penalised:
            found["probe_penalty"] = _penalties(model, batch, {env: outputs.queried[env] for env in outputs.penalised})
        if self.config.instance_weight:
            found["instance"] = {
                environment_name(environment): self._agreement(model, embeddings.flatten(0, 1), step)
                for environment, embeddings in outputs.queried.items()
            }
        if self.simclr:
            contrast = self.simclr.terms(outputs.projected, step.generator)["contrast"]
            found["features"] = {EVERY_ENVIRONMENT: contrast}
        return found

    def weights(self) -> dict[str, float]:
        """The weight of each term; a term counts as the mean over its environments."""
        config = self.config
        return {
            "probe_penalty": config.invariance_weight,
            "instance": config.instance_weight,
            "features": config.feature_weight,
        }

    def _penalised(self, model: ContextSSL, step: Step) -> tuple[Environment, ...]:
        """The environments with inactive action types, if the penalty applies in this step."""
        if not (step.penalise and self.config.invariance_weight):
            return ()
        return tuple(environment for environment in step.environments if not model.space.active(environment).all())

    def _project(self, model: ContextSSL, reading: BatchReading) -> dict[str, Tensor]:
        """SimCLR's projections of the features of both views."""
        if self.simclr is None:
            return {}
        rows = torch.cat([reading.z_x, reading.z_y]).flatten(0, -2)  # (2 N, D)
        projections = self.simclr.read(model.heads, rows, rows.new_zeros(len(rows), 0))
        return {view: projection.float() for view, projection in projections.items()}

    def _agreement(self, model: ContextSSL, embeddings: Tensor, step: Step) -> Tensor:
        """The instance loss: NT-Xent or VICReg of a linear map of embeddings (N, 2, D) of both views.

        The two views differ in every action, and no action is given: only properties that no action changes tell a
        pair from the others. The contrast of equation 2 can do without them, since the second view's own token carries
        them. NT-Xent divides the mapped vectors by their length, which a linear probe cannot do. VICReg does not, so a
        linear probe can read what it makes equal and uncorrelated; its published weights are divided by the first.
        """
        mapped = model.get_submodule("instance")
        if self.config.instance_objective == "nt-xent":
            return nt_xent(mapped(embeddings), self.config.temperature).mean()
        vicreg = VICReg(VICRegOptions())
        unit = embeddings.shape[-1] ** 0.5  # the inverse of the typical size of the D numbers, at unit length
        first, second = mapped(unit * embeddings).unbind(1)
        terms = vicreg.terms({"first": first, "second": second}, step.generator)
        return weighted_sum(terms, vicreg.weights()) / vicreg.weights()["invariance"]


def _query(
    model: ContextSSL, reading: BatchReading, environments: Sequence[Environment], asked: Sequence[Environment]
) -> dict[Environment, Tensor]:
    """Embeddings (S, P, 2, D) of both views, by environment.

    They are queried as at test time, each sequence under the full context of its neighbour. Under the context mask the
    tokens of a sequence see different contexts, and what they reveal of an inactive type is lost in that noise. Under
    one full context it is small but consistent, and a well-fitted probe reads it.
    """
    if not asked:
        return {}
    sequences = len(reading.z_x)
    tokens = model.second_tokens(torch.stack([reading.z_x, reading.z_y], dim=2).roll(1, dims=0).flatten(1, 2))
    queried = {}
    for environment in asked:
        first = environments.index(environment) * sequences
        found = model.world.query(tokens, reading.cache.contexts(slice(first, first + sequences)))  # (S, T, D)
        queried[environment] = F.normalize(found.float().unflatten(1, (-1, 2)), dim=-1).roll(-1, dims=0)
    return queried


def _penalties(model: ContextSSL, batch: PairBatch, queried: Mapping[Environment, Tensor]) -> dict[str, Tensor]:
    """The probe penalty on the inactive types' latents, by environment, from embeddings (S, P, 2, D)."""
    views = [model.space.assemble(part, model.space.names, len(batch)) for part in (batch.first, batch.second)]
    target = torch.stack(views, dim=1).flatten(0, 1)  # (2 N, A)
    found = {}
    for environment, embeddings in queried.items():
        inactive = ~model.space.active(environment).to(target.device)
        found[environment_name(environment)] = probe_penalty(embeddings.flatten(0, 2), target[:, inactive])
    return found


def probe_penalty(embeddings: Tensor, latents: Tensor, ridge: float = 1e-3) -> Tensor:
    """R2 of a ridge regression from embeddings to latents in a batch, in closed form and differentiable.

    With standardised embeddings e and latents l of N samples, and c = e^T l / N, it is
    ``tr(c^T (e^T e / N + ridge I)^-1 c) / width``.

    Args:
        embeddings: (N, D).
        latents: (N, width).
        ridge: added to the diagonal of the embeddings' correlations.

    Returns:
        Between 0 and 1; about D / N for embeddings without information about the latents.
    """
    exact = torch.float32 if embeddings.device.type == "mps" else torch.float64  # MPS has no double precision
    e, target = _standardised(embeddings.to(exact)), _standardised(latents.to(exact))
    cross = e.T @ target / len(e)
    correlations = e.T @ e / len(e) + ridge * torch.eye(e.shape[1], dtype=e.dtype, device=e.device)
    explained: Tensor = (cross * torch.linalg.solve(correlations, cross)).sum()
    return explained.float() / target.shape[1]


def _standardised(columns: Tensor) -> Tensor:
    return (columns - columns.mean(dim=0)) / columns.std(dim=0, correction=0).clamp(min=1e-8)
