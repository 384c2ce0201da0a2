"""The methods' names and their own settings; ``docs/methods.md`` says where each value comes from."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from pydantic import ConfigDict, Field

from contextssl_cli.plugin.options import UserValues

MethodName = Literal["contextssl", "simclr", "vicreg", "simclr+", "vicreg+", "equimod", "sie", "sen"]
InstanceObjective = Literal["nt-xent", "vicreg"]


class MethodOptions(UserValues):
    """The settings of a method that has none of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SimCLROptions(MethodOptions):
    """Of SimCLR (Chen et al. 2020)."""

    temperature: float = Field(default=0.5, gt=0)
    """Appendix B.9, CIFAR-10."""
    hidden: float = Field(default=1.0, gt=0)
    """Hidden units of the projector, as a multiple of ``model.feature_dim``."""
    output: int = Field(default=128, ge=1)
    """Numbers in a projection."""


class SimCLRPlusOptions(MethodOptions):
    """Of SimCLR+, which has the transformer in place of the projector."""

    temperature: float = Field(default=0.5, gt=0)


class VICRegPlusOptions(MethodOptions):
    """Of VICReg+, which has the transformer in place of the expander; weights of Bardes et al. (2022), section 4.2."""

    invariance: float = Field(default=25.0, ge=0)
    variance: float = Field(default=25.0, ge=0)
    covariance: float = Field(default=1.0, ge=0)


class VICRegOptions(VICRegPlusOptions):
    """Of VICReg (Bardes et al. 2022)."""

    expansion: float = Field(default=4.0, gt=0)
    """Widths of the expander's three layers, as a multiple of ``model.feature_dim``."""


class EquiModOptions(SimCLROptions):
    """Of EquiMod on SimCLR (Devillers and Lefort 2023)."""

    equivariant_temperature: float = Field(default=0.2, gt=0)
    equivariant_hidden: float = Field(default=4.0, gt=0)
    """Hidden units of the equivariant projector, as a multiple of ``model.feature_dim``."""
    equivariance: float = Field(default=1.0, ge=0)
    """Weight of the equivariance module's loss."""


class SIEOptions(MethodOptions):
    """Of SIE (Garrido et al. 2023), with the weights that its authors' README trains with."""

    invariance: float = Field(default=10.0, ge=0)
    equivariance: float = Field(default=4.5, ge=0)
    variance: float = Field(default=10.0, ge=0)
    covariance: float = Field(default=1.0, ge=0)
    expansion: float = Field(default=4.0, gt=0)
    """Widths of the projectors' three layers together, as a multiple of ``model.feature_dim``."""
    share: float = Field(default=0.5, gt=0, lt=1)
    """Of the feature's numbers that is equivariant; the rest is invariant."""


class SENOptions(MethodOptions):
    """Of SEN (Park et al. 2022)."""

    contrast: Literal["softmax", "hinge"] = "softmax"
    """Every other sample of the batch as a negative in one softmax, or one negative against the paper's hinge."""
    hinge: float = Field(default=1.0, gt=0)
    """Energy from which on a negative is far enough, for ``hinge``."""
    sigma: float = Field(default=0.5, gt=0)
    """Unit of distances in the energy."""
    transition: int = Field(default=128, ge=1)
    """Hidden units of the transition model."""
    hidden: float = Field(default=1.0, gt=0)
    """Hidden units of the head that gives the latents, as a multiple of ``model.feature_dim``."""
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
"""Methods that are told which action types to be equivariant to."""
PREDICTING = CONTEXTUAL + EQUIVARIANT
"""Methods that predict the view after an action, or could: the tokens of ``simclr+`` and ``vicreg+`` carry none."""
_OBJECTIVE = frozenset(
    (
        "temperature",
        "similarity_floor",
        "aux_weight",
        "invariance_weight",
        "invariance_start",
        "instance_weight",
        "instance_objective",
        "feature_weight",
        "world_start",
        "model.instance_dim",
        "environments_per_step",
        "context_contrast",
    )
)


def without_effect(method: MethodName) -> frozenset[str]:
    """The settings of ContextSSL's objective that another method does not read."""
    if method == "contextssl":
        return frozenset()
    return _OBJECTIVE if method in CONTEXTUAL else _OBJECTIVE | {"context_mask"}


class Settings(Protocol):
    """What the methods read of the configuration of a run; ``TrainConfig`` has it all."""

    @property
    def method(self) -> MethodName:
        """Which method."""

    @property
    def equivariant(self) -> tuple[str, ...]:
        """The action types that an equivariant baseline is told."""

    @property
    def method_options(self) -> dict[str, Any]:
        """Of the method, all that are in force."""

    @property
    def temperature(self) -> float:
        """Of ContextSSL's NT-Xent."""

    @property
    def similarity_floor(self) -> float | None:
        """Clamp of ContextSSL's similarities."""

    @property
    def aux_weight(self) -> float:
        """Of ContextSSL's auxiliary loss."""

    @property
    def invariance_weight(self) -> float:
        """Of ContextSSL's invariance penalty."""

    @property
    def instance_weight(self) -> float:
        """Of ContextSSL's instance loss."""

    @property
    def instance_objective(self) -> InstanceObjective:
        """What that loss asks of the two views."""

    @property
    def feature_weight(self) -> float:
        """Of SimCLR's loss on ContextSSL's features."""

    @property
    def context_mask(self) -> float:
        """Probability that a token drops a context pair."""

    @property
    def context_contrast(self) -> bool:
        """One softmax over all environments' predictions."""
