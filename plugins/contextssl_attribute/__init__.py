"""The action type ``attribute``: a sensitive attribute of a table changes, or stays."""

from __future__ import annotations

from contextssl_attribute.chosen import ChosenAttribute
from contextssl_cli.plugin import ActionType, hookimpl


@hookimpl
def contextssl_action_types() -> list[ActionType]:
    """Bring the change of a chosen attribute."""
    return [ChosenAttribute()]
