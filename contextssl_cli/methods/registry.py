"""Which method a configuration asks for."""

from __future__ import annotations

from typing import Any

from contextssl_cli.config.methods import OPTIONS, Settings
from contextssl_cli.methods.base import Method
from contextssl_cli.methods.contextssl import ContextSSLMethod
from contextssl_cli.methods.equimod import EquiMod
from contextssl_cli.methods.plus import Plus
from contextssl_cli.methods.sen import SEN
from contextssl_cli.methods.sie import SIE
from contextssl_cli.methods.simclr import SimCLR
from contextssl_cli.methods.vicreg import VICReg


def method_of(settings: Settings) -> Method[Any]:
    """The method that a run is trained with."""
    options: Any = OPTIONS[settings.method].model_validate(settings.method_options)
    match settings.method:
        case "contextssl":
            return ContextSSLMethod(settings)
        case "simclr":
            return SimCLR(options)
        case "vicreg":
            return VICReg(options)
        case "simclr+" | "vicreg+":
            return Plus(options, settings.context_mask)
        case "equimod":
            return EquiMod(options, settings.equivariant)
        case "sie":
            return SIE(options, settings.equivariant)
        case "sen":
            return SEN(options, settings.equivariant)
