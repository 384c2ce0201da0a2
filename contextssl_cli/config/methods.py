"""Names and settings of the methods; ``docs/methods.md`` gives the source of each value."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from contextssl_cli.plugin.options import UserValues

MethodName = Literal["contextssl", "simclr", "vicreg", "simclr+", "vicreg+", "equimod", "sie", "sen"]
InstanceObjective = Literal["nt-xent", "vicreg"]


class MethodOptions(UserValues):
    """The settings of a method without settings of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SimCLRPlusOptions(MethodOptions):
    """SimCLR+, which has the transformer in place of the projector."""

    temperature: float = Field(default=0.5, gt=0)
    """As in appendix B.9 of Chen et al. (2020), for CIFAR-10."""


class SimCLROptions(SimCLRPlusOptions):
    """SimCLR (Chen et al. 2020)."""

    hidden: float = Field(default=1.0, gt=0)
    """Hidden units of the projector, as a multiple of ``model.feature_dim``."""
    output: int = Field(default=128, ge=1)
    """Numbers in a projection."""


class VICRegPlusOptions(MethodOptions):
    """VICReg+, which has the transformer in place of the expander; weights of Bardes et al. (2022), section 4.2."""

    invariance: float = Field(default=25.0, ge=0)
    variance: float = Field(default=25.0, ge=0)
    covariance: float = Field(default=1.0, ge=0)


class VICRegOptions(VICRegPlusOptions):
    """VICReg (Bardes et al. 2022)."""

    expansion: float = Field(default=4.0, gt=0)
    """Widths of the expander's three layers, as a multiple of ``model.feature_dim``."""


class EquiModOptions(SimCLROptions):
    """EquiMod on SimCLR (Devillers and Lefort 2023)."""

    equivariant_temperature: float = Field(default=0.2, gt=0)
    equivariant_hidden: float = Field(default=4.0, gt=0)
    """Hidden units of the equivariant projector, as a multiple of ``model.feature_dim``."""
    equivariance: float = Field(default=1.0, ge=0)
    """Weight of the equivariance module's loss."""


class SIEOptions(MethodOptions):
    """SIE (Garrido et al. 2023), with the weights that its authors' README trains with."""

    invariance: float = Field(default=10.0, ge=0)
    equivariance: float = Field(default=4.5, ge=0)
    variance: float = Field(default=10.0, ge=0)
    covariance: float = Field(default=1.0, ge=0)
    expansion: float = Field(default=4.0, gt=0)
    """Widths of the three layers of both projectors together, as a multiple of ``model.feature_dim``."""
    share: float = Field(default=0.5, gt=0, lt=1)
    """Fraction of the feature that is equivariant; the rest is invariant."""


class SENOptions(MethodOptions):
    """SEN (Park et al. 2022)."""

    contrast: Literal["softmax", "hinge"] = "softmax"
    """``softmax``: all other samples of the batch are negatives. ``hinge``: one negative, as in the paper."""
    hinge: float = Field(default=1.0, gt=0)
    """Energy above which a negative adds no loss, for ``hinge``."""
    sigma: float = Field(default=0.5, gt=0)
    """Unit of distances in the energy."""
    transition: int = Field(default=128, ge=1)
    """Hidden units of the transition model."""
    hidden: float = Field(default=1.0, gt=0)
    """Hidden units of the head for the latents, as a multiple of ``model.feature_dim``."""
    output: int = Field(default=128, ge=1)
    """Numbers in a latent."""


OPTIONS: dict[MethodName, type[MethodOptions]] = {
    "contextssl": MethodOptions,
    "simclr": SimCLROptions,
    "vicreg": VICRegOptions,
    "simclr+": SimCLRPlusOptions,
    "vicreg+": VICRegPlusOptions,
    "equimod": EquiModOptions,
    "sie": SIEOptions,
    "sen": SENOptions,
}
CONTEXTUAL: tuple[MethodName, ...] = ("contextssl", "simclr+", "vicreg+")
"""Methods with a transformer, which reads contexts."""
EQUIVARIANT: tuple[MethodName, ...] = ("equimod", "sie", "sen")
"""Methods that are conditioned on the action types to be equivariant to."""
PREDICTING = CONTEXTUAL + EQUIVARIANT
"""Methods that predict the view after an action; the tokens of ``simclr+`` and ``vicreg+`` carry no action."""


def read_by(*methods: MethodName) -> dict[str, Any]:
    """The metadata of a setting that only some methods read, as ``json_schema_extra`` of its field."""
    return {"methods": list(methods)}
