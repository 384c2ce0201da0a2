"""The action type ``gender``: the sensitive attribute of a table changes, or stays."""

from __future__ import annotations

from contextssl_cli.plugin import ActionType, hookimpl
from contextssl_gender.gender import Gender


@hookimpl
def contextssl_action_types() -> list[ActionType]:
    """Bring the change of gender."""
    return [Gender()]
