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
    """The data sets that this plugin brings."""
    raise NotImplementedError  # a specification: pluggy never calls it


@hookspec
def contextssl_action_types() -> Sequence[ActionType]:
    """The action types that this plugin brings for every data set of their modality."""
    raise NotImplementedError  # a specification: pluggy never calls it


@hookspec
def contextssl_recipes() -> Sequence[Path]:
    """The experiments that this plugin brings for ``contextssl reproduce``: a TOML file each, named like it."""
    raise NotImplementedError  # a specification: pluggy never calls it
