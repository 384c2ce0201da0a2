"""What ``pretrain --plugin`` trains on: ``<dataset>-<action>[-<action>...]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        """The options in force by action type, as ``run.json`` keeps them; only of those that have any."""
        chosen = {action.name: action.chosen.model_dump(mode="json") for action in self.actions}
        return {name: values for name, values in chosen.items() if values}

    def configured(self, options: Mapping[str, Mapping[str, Any]]) -> Task:
        """The task with options of its action types, by name.

        They override those of the data set (``Dataset.training["actions"]``), which override the action types' own.

        Raises:
            UsageError: if an option is wrong or belongs to no action type of the task.
        """
        known = [action.name for action in self.actions]
        for name in options:
            if name not in known:
                raise UsageError(f"actions.{name}: this task has no such action type: {suggestion(name, known)}")
        defaults = self.dataset.training.get("actions", {})
        values = ({**defaults.get(action.name, {}), **options.get(action.name, {})} for action in self.actions)
        actions = (action.configured(own) if own else action for action, own in zip(self.actions, values, strict=True))
        return Task(self.dataset, tuple(actions))


def resolve_task(
    name: str, plugins: Registry | None = None, *, options: Mapping[str, Mapping[str, Any]] | None = None
) -> Task:
    """Find the data set and the action types in the name of a task.

    Args:
        name: ``<dataset>-<action>[-<action>...]``.
        plugins: by default those that are installed.
        options: of the action types, by name, as for ``Task.configured``.

    Raises:
        UsageError: if a part is unknown (with a suggestion), missing or doubled; or an option is wrong.
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
    actions = tuple(plugins.action(dataset, action) for action in action_names)
    return Task(dataset, actions).configured(options or {})


EVERY_ENVIRONMENT = "*"
"""The name in place of an environment's for values that do not depend on one."""


def environment_name(environment: tuple[str, ...]) -> str:
    """``rotation``, ``color+rotation``, or ``none`` for the empty environment."""
    return "+".join(environment) or "none"
