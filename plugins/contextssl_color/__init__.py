"""The action type ``color``: brightness, contrast, saturation and hue."""

from __future__ import annotations

from contextssl_cli.plugin import ActionType, hookimpl
from contextssl_color.color import Color


@hookimpl
def contextssl_action_types() -> list[ActionType]:
    """Bring the four numbers of colour."""
    return [Color()]
