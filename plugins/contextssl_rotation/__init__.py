"""The action type ``rotation``: a planar rotation of an image."""

from __future__ import annotations

from contextssl_cli.plugin import ActionType, hookimpl
from contextssl_rotation.rotation import Rotation


@hookimpl
def contextssl_action_types() -> list[ActionType]:
    """Bring the planar rotation."""
    return [Rotation()]
