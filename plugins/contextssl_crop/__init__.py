"""The action type ``crop``: a part of an image, enlarged to the size of the whole."""

from __future__ import annotations

from contextssl_cli.plugin import ActionType, hookimpl
from contextssl_crop.crop import Crop


@hookimpl
def contextssl_action_types() -> list[ActionType]:
    """Bring the crop."""
    return [Crop()]
