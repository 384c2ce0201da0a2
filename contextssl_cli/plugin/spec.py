"""The hooks that a plugin may implement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from contextssl_cli.plugin.kinds import ActionType, Dataset

GROUP = "contextssl"
"""The entry-point group, and the prefix of every hook."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def contextssl_datasets() -> Sequence[Dataset]:
    """Return the data sets of this plugin."""
    raise NotImplementedError  # a specification: pluggy never calls it


@hookspec
def contextssl_action_types() -> Sequence[ActionType]:
    """Return the action types of this plugin, for all data sets of their modality."""
    raise NotImplementedError  # a specification: pluggy never calls it


@hookspec
def contextssl_recipes() -> Sequence[Path]:
    """Return the recipes of this plugin for ``contextssl reproduce``: one TOML file for each, named like it."""
    raise NotImplementedError  # a specification: pluggy never calls it
