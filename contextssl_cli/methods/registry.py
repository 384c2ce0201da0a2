"""The method that a configuration names."""

from __future__ import annotations

from typing import Any

from contextssl_cli.config.methods import OPTIONS, SimCLROptions, VICRegOptions
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.methods.base import Method
from contextssl_cli.methods.contextual import ContextSSLMethod, Plus
from contextssl_cli.methods.equimod import EquiMod
from contextssl_cli.methods.sen import SEN
from contextssl_cli.methods.sie import SIE
from contextssl_cli.methods.simclr import SimCLR
from contextssl_cli.methods.vicreg import VICReg


def method_of(config: TrainConfig) -> Method[Any]:
    """The method that a run is trained with, set up from its configuration."""
    options: Any = OPTIONS[config.method].model_validate(config.method_options)
    match config.method:
        case "contextssl":
            return ContextSSLMethod(config)
        case "simclr":
            return SimCLR(options)
        case "vicreg":
            return VICReg(options)
        case "simclr+":
            return Plus(SimCLR(SimCLROptions(**dict(options))), config.context_mask)
        case "vicreg+":
            return Plus(VICReg(VICRegOptions(**dict(options))), config.context_mask)
        case "equimod":
            return EquiMod(options, config.equivariant)
        case "sie":
            return SIE(options, config.equivariant)
        case "sen":
            return SEN(options, config.equivariant)
