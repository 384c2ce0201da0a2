"""The settings that shape the model."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from contextssl_cli.config.methods import read_by
from contextssl_cli.plugin.options import UserValues

EncoderName = Literal["convnet", "mlp", "resnet18", "resnet34", "resnet50"]


class ModelConfig(UserValues):
    """Sizes and options of encoder and world model (paper, appendix B; names as in ``docs/configuration.md``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: EncoderName = "resnet18"
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """First layers of a ResNet: 7 x 7 with max-pool, or 3 x 3 without, for small images."""
    feature_dim: int = Field(default=512, ge=1)
    """D: numbers in a feature and in an embedding."""
    encoder_width: int = Field(default=64, ge=1)
    """Channels of the convnet, or hidden units of the MLP."""
    width: int = Field(default=2048, ge=1)
    """W: width of the transformer."""
    layers: int = Field(default=3, ge=1)
    heads: int = Field(default=4, ge=1)
    block_size: int = Field(default=128, ge=4, multiple_of=2)
    """T: tokens in a training sequence, two per pair."""
    aux_hidden: int = Field(default=1024, ge=1)
    """Hidden units of the auxiliary predictor."""
    instance_dim: int = Field(default=0, ge=0, json_schema_extra=read_by("contextssl"))
    """Outputs of the linear map that the instance loss compares; it needs at least 1. Not in the paper."""
    feature_norm: bool = True
    """Centre and scale features before the read-in (batch norm without parameters). Not in the paper."""
    standardise_actions: bool = True
    """Divide actions and the auxiliary errors by their standard deviation in the training data. Not in the paper."""
    activity_bits: bool = True
    """Add one number per action type to the first token of a pair, 1 if the type is active. Not in the paper."""
    skip: bool = False
    """Add the feature to the prediction: the transformer then predicts the change by the context. Not in the paper."""

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"model.width {self.width} is not a multiple of model.heads {self.heads}")
        return self

    @property
    def max_context(self) -> int:
        """The longest context in tokens: a sequence without the pair of the query."""
        return self.block_size - 2
