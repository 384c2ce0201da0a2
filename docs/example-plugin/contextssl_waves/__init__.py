"""An example plugin: the data set ``waves``, and the action types ``shift`` and ``gain`` for all signals."""

from __future__ import annotations

from contextssl_cli.plugin import ActionType, Dataset, hookimpl
from contextssl_waves.gain import Gain
from contextssl_waves.shift import Shift
from contextssl_waves.waves import Waves


@hookimpl
def contextssl_datasets() -> list[Dataset]:
    """Bring the waves."""
    return [Waves()]


@hookimpl
def contextssl_action_types() -> list[ActionType]:
    """Bring the shift and the gain."""
    return [Shift(), Gain()]
