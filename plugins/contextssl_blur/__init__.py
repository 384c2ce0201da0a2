"""The action type ``blur``: a Gaussian blur."""

from __future__ import annotations

from contextssl_blur.blur import Blur
from contextssl_cli.plugin import ActionType, hookimpl


@hookimpl
def contextssl_action_types() -> list[ActionType]:
    """Bring the blur."""
    return [Blur()]
