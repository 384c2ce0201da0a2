"""The action type ``skeleton``: hooks only; nothing heavy is imported here, so that listing plugins stays quick."""

from __future__ import annotations

from contextssl_cli.plugin import ActionType, hookimpl
from contextssl_skeleton.action import SkeletonAction


@hookimpl
def contextssl_action_types() -> list[ActionType]:
    """Bring the action type, for every data set of its modality."""
    return [SkeletonAction()]
