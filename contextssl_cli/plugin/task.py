"""What ``pretrain --plugin`` trains on: ``<dataset>-<action>[-<action>...]``."""

from __future__ import annotations

from dataclasses import dataclass

from contextssl_cli.errors import UsageError, suggestion
from contextssl_cli.plugin.kinds import ActionType, Dataset
from contextssl_cli.plugin.registry import Registry, registry


@dataclass(frozen=True)
class Task:
    """A data set with the action types to train on, in the order they were named."""

    dataset: Dataset
    actions: tuple[ActionType, ...]

    @property
    def name(self) -> str:
        """As the user writes it."""
        return "-".join([self.dataset.name, *(action.name for action in self.actions)])

    @property
    def environments(self) -> tuple[tuple[str, ...], ...]:
        """The symmetry groups: one per action type; a single action type adds the empty one."""
        single = tuple((action.name,) for action in self.actions)
        return single if len(single) > 1 else (*single, ())


def resolve_task(name: str, plugins: Registry | None = None) -> Task:
    """Find the data set and the action types that a task's name stands for.

    Raises:
        UsageError: if a part is unknown (with a suggestion), missing or doubled.
        PluginError: if a part belongs to a plugin that failed to load.
    """
    plugins = plugins or registry()
    dataset_name, *action_names = name.split("-")
    dataset = plugins.dataset(dataset_name)
    if not action_names:
        usable = sorted(plugins.actions_for(dataset))
        example = f"{dataset_name}-{usable[0]}" if usable else f"{dataset_name}-<action>"
        raise UsageError(f"{name!r} names no action type; write for example {example} ({suggestion('', usable)})")
    if len(set(action_names)) < len(action_names):
        raise UsageError(f"{name!r} names an action type twice")
    return Task(dataset, tuple(plugins.action(dataset, action) for action in action_names))


def environment_name(environment: tuple[str, ...]) -> str:
    """``rotation``, ``color+rotation``, or ``none`` for the empty environment."""
    return "+".join(environment) or "none"
