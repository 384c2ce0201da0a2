"""Encoders f: input -> feature z of D numbers, and the model that the methods have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor, nn

from contextssl_cli.config.model import ModelConfig
from contextssl_cli.data.actions import ActionSpace
from contextssl_cli.errors import UsageError
from contextssl_cli.store.schema import Schema


class EncoderModel(nn.Module):
    """An encoder with the units of its data set's actions.

    Args:
        encoder: from N inputs to features (N, D).
        config: sizes and options.
        space: the declared action blocks.
    """

    action_std: Tensor
    heads: nn.ModuleDict
    """Modules that only the loss of a method uses; set by ``Method.build``."""

    def __init__(self, encoder: nn.Module, config: ModelConfig, space: ActionSpace) -> None:
        super().__init__()
        self.config = config
        self.space = space
        self.encoder = encoder
        self.feature_norm = nn.BatchNorm1d(config.feature_dim, affine=False) if config.feature_norm else nn.Identity()
        self.register_buffer("action_std", torch.ones(space.width))

    @property
    def device(self) -> torch.device:
        """The device that holds the weights."""
        return self.action_std.device

    def standardise(self, actions: Tensor, latents: Tensor) -> None:
        """Set the units of actions and latents from a sample (N, A) of each."""
        self.action_std.copy_(standard_deviation(actions))

    def encode(self, inputs: Tensor) -> Tensor:
        """Features z (N, D) of N model inputs."""
        features: Tensor = self.feature_norm(self.encoder(inputs))
        return features


def standard_deviation(columns: Tensor) -> Tensor:
    """Standard deviations (A,) of the columns of (N, A); 1 for a column that does not vary."""
    std = columns.std(dim=0)
    return torch.where(std > 1e-6 * columns.abs().amax(dim=0), std, torch.ones_like(std))


class Normalise(nn.Module):
    """Per-channel centring and scaling of images in [0, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return (images - self.mean) / self.std


_STRIDE_ONE_AT, _LAST = 16, 4  # pixels of the shorter side, in the convnet


def build_encoder(config: ModelConfig, schema: Schema) -> nn.Module:
    """Build the encoder of a configuration for a data set, with fresh weights.

    Raises:
        UsageError: if the encoder does not take inputs of the data set's shape.
    """
    if config.encoder == "mlp":
        if len(schema.shape) != 1:
            raise UsageError(f"the encoder mlp takes tables, {schema.dataset} has inputs of the shape {schema.shape}")
        return _mlp(schema.shape[0], config)
    if len(schema.shape) != 3:
        raise UsageError(
            f"the encoder {config.encoder} takes images, {schema.dataset} has inputs of the shape "
            f"{schema.shape}; choose mlp"
        )
    match config.encoder:
        case "convnet":
            body = _convnet(schema.shape, config)
        case "resnet18" | "resnet34" | "resnet50":
            body = _resnet(config)
        case _:
            assert_never(config.encoder)
    return nn.Sequential(Normalise(schema.mean, schema.std), body) if schema.mean else body


def _mlp(features: int, config: ModelConfig) -> nn.Module:
    width = config.encoder_width
    return nn.Sequential(
        nn.Linear(features, width), nn.BatchNorm1d(width), nn.ReLU(inplace=True),
        nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(inplace=True),
        nn.Linear(width, config.feature_dim),
    )  # fmt: skip


def _convnet(shape: tuple[int, ...], config: ModelConfig) -> nn.Module:
    """A network for small images; its dense layer over about 4 x 4 places keeps the position of what it sees.

    Strided convolutions halve the image until its shorter side has 16 pixels or fewer. After one convolution without
    stride, strided ones halve it until 4 are left. The channels are E / 2 at first, then E, then doubled each time.
    """
    height, width, channels = shape
    base = config.encoder_width
    layers = [*_convolution(channels, base // 2, stride=2)]
    now, height, width = base // 2, -(-height // 2), -(-width // 2)
    while min(height, width) > _STRIDE_ONE_AT:
        layers += _convolution(now, base // 2, stride=2)
        now, height, width = base // 2, -(-height // 2), -(-width // 2)
    layers += _convolution(now, base, stride=1) + _convolution(base, base, stride=2)
    now, height, width = base, -(-height // 2), -(-width // 2)
    while min(height, width) > _LAST:
        layers += _convolution(now, 2 * now, stride=2)
        now, height, width = 2 * now, -(-height // 2), -(-width // 2)
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(now * height * width, 2 * base, bias=False), nn.BatchNorm1d(2 * base), nn.ReLU(inplace=True),
        nn.Linear(2 * base, config.feature_dim),
    )  # fmt: skip


def _convolution(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def _resnet(config: ModelConfig) -> nn.Module:
    """Torchvision's ResNet without its last layer; D is the width of that layer's input (512, or 2048 for 50)."""
    import torchvision

    network: nn.Module = getattr(torchvision.models, config.encoder)(weights=None)
    found = int(network.fc.in_features)  # type: ignore[union-attr,arg-type]
    if found != config.feature_dim:
        raise UsageError(f"the encoder {config.encoder} gives features of {found}, feature_dim is {config.feature_dim}")
    if config.stem == "cifar":
        network.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
        network.maxpool = nn.Identity()
    network.fc = nn.Identity()
    return network
