"""The configuration of a training run: every setting, its default, and the checks between settings."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from contextssl_cli.config.methods import CONTEXTUAL, EQUIVARIANT, OPTIONS, InstanceObjective, MethodName, read_by
from contextssl_cli.config.model import ModelConfig
from contextssl_cli.errors import suggestion
from contextssl_cli.plugin.options import UserValues

OF_NO_MATTER = frozenset({"seed", "checkpoint_every", "monitor_every"})
"""Settings in which runs may differ and still be repetitions of one another, whose figures are averaged."""
_CONTEXTSSL = read_by("contextssl")


class TrainConfig(UserValues):
    """Everything that decides the weights of a run, apart from its data."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(default=0, ge=0)
    method: MethodName = "contextssl"
    """How the encoder is trained; see ``docs/methods.md``."""
    equivariant: tuple[str, ...] = Field(default=(), json_schema_extra=read_by(*EQUIVARIANT))
    """The action types that ``equimod``, ``sie`` or ``sen`` is conditioned on; all, if none is named."""
    method_options: dict[str, Any] = Field(default={}, validate_default=True)
    """The settings of a method other than ``contextssl``, by name; a run keeps all of them, with their defaults."""
    steps: int | None = Field(default=1000, ge=1)
    """Optimiser steps; ``epochs`` decides if it is unset."""
    epochs: int | None = Field(default=None, ge=1)
    """Passes over the training samples."""
    batch_size: int = Field(default=256, ge=2)
    """Pairs per step; a multiple of the pairs of a sequence (``model.block_size`` / 2)."""
    lr: float = Field(default=3e-3, gt=0)
    """Peak learning rate."""
    weight_decay: float = Field(default=1e-2, ge=0)
    optimizer: Literal["adamw", "adam"] = "adamw"
    beta2: float = Field(default=0.999, gt=0, lt=1)
    """Decay of the optimiser's mean of squared gradients; 0.95 steadies a run whose losses rise at the peak rate."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the steps in which the rate rises; afterwards it falls to 0 along a cosine."""
    grad_clip: float | None = Field(default=1.0, gt=0)
    """Largest gradient norm."""
    temperature: float = Field(default=0.2, gt=0, json_schema_extra=_CONTEXTSSL)
    """Temperature of ContextSSL's NT-Xent."""
    similarity_floor: float | None = Field(default=None, json_schema_extra=_CONTEXTSSL)
    """Clamp of the cosine similarities from below; the paper's code has 1e-7."""
    aux_weight: float = Field(default=2.0, ge=0, json_schema_extra=_CONTEXTSSL)
    """Weight of the auxiliary loss."""
    invariance_weight: float = Field(default=0.0, ge=0, json_schema_extra=_CONTEXTSSL)
    """Weight of the penalty on what a linear probe still reads of the zeroed action types. Not in the paper."""
    invariance_start: float = Field(default=0.4, ge=0, lt=1, json_schema_extra=_CONTEXTSSL)
    """Fraction of the steps before that penalty applies: first the contexts must come apart."""
    instance_weight: float = Field(default=0.0, ge=0, json_schema_extra=_CONTEXTSSL)
    """Weight of the instance loss between the two views' embeddings, each read alone. Not in the paper."""
    instance_objective: InstanceObjective = Field(default="nt-xent", json_schema_extra=_CONTEXTSSL)
    """Form of the instance loss: NT-Xent at ``temperature``, or VICReg, which serves linear probes."""
    feature_weight: float = Field(default=0.0, ge=0, json_schema_extra=_CONTEXTSSL)
    """Weight of SimCLR's loss between the two views' features, with a projector of its own. Not in the paper."""
    world_start: float = Field(default=0.0, ge=0, lt=1, json_schema_extra=_CONTEXTSSL)
    """Fraction of the steps before the world model is trained; until then SimCLR's loss is alone, with weight 1."""
    context_mask: float = Field(default=0.9, ge=0, lt=1, json_schema_extra=read_by(*CONTEXTUAL))
    """Probability that a token drops a context pair."""
    environments_per_step: Literal["all", "one"] = Field(default="all", json_schema_extra=_CONTEXTSSL)
    """All environments on the same features, or one drawn for each step as in the paper."""
    context_contrast: bool = Field(default=True, json_schema_extra=_CONTEXTSSL)
    """One softmax over all environments' predictions, so that the other context is a negative. Not in the paper."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the matrix products; auto is bfloat16 on CUDA, float32 elsewhere."""
    holdout: float = Field(default=0.1, gt=0, lt=0.5)
    """Fraction of the training objects that is held out to watch the adaptation gap."""
    monitor_every: int = Field(default=200, ge=1)
    """Steps between measurements of the adaptation gap on the held-out samples."""
    checkpoint_every: int = Field(default=200, ge=1)
    """Steps between checkpoints."""
    model: ModelConfig = ModelConfig()
    actions: dict[str, dict[str, Any]] = Field(default={})
    """Options of the action types, by name; a run keeps all of them, with their defaults."""

    @field_validator("method_options", mode="after")
    @classmethod
    def _fill_options(cls, given: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "method" not in info.data:  # its own error comes first
            return given
        method: MethodName = info.data["method"]
        options = OPTIONS[method]
        for name in given:
            if name not in options.model_fields:
                raise ValueError(f"{method} has no option {name!r}: {suggestion(name, options.model_fields)}")
        return options.model_validate(given).model_dump(mode="json")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("set either steps or epochs")
        if len(set(self.equivariant)) < len(self.equivariant):
            raise ValueError("equivariant names an action type twice")
        pairs = self.model.block_size // 2
        if self.batch_size % pairs:
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of the {pairs} pairs of a sequence "
                "(model.block_size / 2)"
            )
        for name in ("invariance_weight", "instance_weight"):
            if getattr(self, name) and self.batch_size == pairs:
                raise ValueError(f"{name} needs a batch_size of two sequences (model.block_size pairs) or more")
        if self.method == "contextssl" and self.instance_weight and not self.model.instance_dim:
            raise ValueError("instance_weight needs model.instance_dim, for example as many as model.feature_dim")
        if self.world_start and not self.feature_weight:
            raise ValueError("world_start needs feature_weight: until then the features learn by that loss alone")
        if self.steps is not None and self.world_start * self.steps > self.steps - 1:
            raise ValueError(
                f"world_start = {self.world_start:g} leaves the world model none of the {self.steps} steps"
            )
        return self

    def total_steps(self, samples: int) -> int:
        """Optimiser steps over ``samples`` training samples."""
        return self.steps or -(-(self.epochs or 0) * samples // self.batch_size)
