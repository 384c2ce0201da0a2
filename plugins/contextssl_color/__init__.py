"""The action type ``color``: two hues, of foreground and background."""

from __future__ import annotations

from contextssl_cli.plugin import ActionType, hookimpl
from contextssl_color.color import Color


@hookimpl
def contextssl_action_types() -> list[ActionType]:
    """Bring the two hues."""
    return [Color()]
