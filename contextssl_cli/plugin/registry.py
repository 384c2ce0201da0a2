"""Finding plugins, one entry point at a time, so that a broken plugin does not affect the others."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import pluggy

from contextssl_cli.errors import PluginError, UsageError, suggestion
from contextssl_cli.plugin import spec
from contextssl_cli.plugin.kinds import ActionType, Dataset
from contextssl_cli.plugin.options import Options
from contextssl_cli.text import reason

NAME = re.compile(r"[a-z0-9][a-z0-9_]*\Z")
"""Names of data sets and action types; a hyphen separates them in ``pretrain --plugin``."""
RESERVED = frozenset({"none", "encoder", "all"})
"""Words with a meaning of their own where the name of an action type is expected."""

_DECLARED: dict[type[Any], dict[str, type[Any]]] = {
    Dataset: {
        **dict.fromkeys(("summary", "modality", "licence"), str),
        **dict.fromkeys(("trial", "training", "probing"), Mapping),
        "options": type,
        "actions": Sequence,
    },
    ActionType: {**dict.fromkeys(("summary", "modality", "probe"), str), "options": type, "order": int},
}
"""Attributes that every plugin of a kind has, and what they are."""


RECIPE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\.toml\Z")
"""Files of recipes."""

_HOOKS: dict[str, type[Any]] = {
    "contextssl_datasets": Dataset,
    "contextssl_action_types": ActionType,
    "contextssl_recipes": Path,
}


@dataclass
class PluginRow:
    """One entry point, with what it provides or why it could not be loaded."""

    name: str
    owner: str
    datasets: list[Dataset] = field(default_factory=list)
    actions: list[ActionType] = field(default_factory=list)
    recipes: list[Path] = field(default_factory=list)
    error: str = ""


class Registry:
    """All data sets, action types and recipes of the installed plugins, and a row for every plugin that failed.

    Args:
        entry_points: of the group ``contextssl``.
    """

    def __init__(self, entry_points: Iterable[metadata.EntryPoint]) -> None:
        self.rows: list[PluginRow] = []
        self.datasets: dict[str, Dataset] = {}
        self.actions: dict[str, ActionType] = {}
        self.recipes: dict[str, Path] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self._manager = pluggy.PluginManager(spec.GROUP)
        self._manager.add_hookspecs(spec)
        # Our own distribution first, then by name, so that the winner of a duplicate does not depend on sys.path.
        for point in sorted(entry_points, key=lambda p: (_owner(p) != "contextssl", _owner(p), p.name)):
            self._add(point)

    def dataset(self, name: str) -> Dataset:
        """The data set called ``name``.

        Raises:
            PluginError: if the plugin of that name failed to load.
            UsageError: if there is none, with a suggestion.
        """
        if name not in self.datasets:
            self._raise_failure(name)
            raise UsageError(
                f"there is no data set {name!r}: {suggestion(name, self.datasets)} (contextssl plugins lists all"
                f"{self._failures()})"
            )
        return self.datasets[name]

    def action(self, dataset: Dataset, name: str) -> ActionType:
        """The action type ``name`` on a data set: its own if it has one, else the one for its modality.

        Raises:
            PluginError: if the plugin of that name failed to load.
            UsageError: if there is none, or it works on another modality.
        """
        usable = self.actions_for(dataset)
        if name in usable:
            return usable[name]
        if name in self.actions:
            raise UsageError(
                f"the action type {name!r} works on {self.actions[name].modality} data, "
                f"{dataset.name} is {dataset.modality} data; it takes: {', '.join(sorted(usable))}"
            )
        self._raise_failure(name)
        raise UsageError(f"there is no action type {name!r} for {dataset.name}: {suggestion(name, usable)}")

    def actions_for(self, dataset: Dataset) -> dict[str, ActionType]:
        """Every action type that works on a data set."""
        applied = {name: action for name, action in self.actions.items() if action.modality == dataset.modality}
        return applied | {action.name: action for action in dataset.actions}

    def _add(self, point: metadata.EntryPoint) -> None:
        row = PluginRow(point.name, _owner(point))
        self.rows.append(row)
        twin = self._owners.setdefault(("plugin", point.name), row.owner)
        if twin is not row.owner:
            row.error = (
                f"duplicate: {twin} and {row.owner} both provide the plugin {point.name!r}; the one of {twin} is used"
            )
            return
        try:
            module = point.load()
            self._register(module, point.name)
            self._collect(module, row)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the code of a plugin may raise anything
            row.error = _reason(error)

    def _register(self, module: Any, name: str) -> None:
        unmarked = [
            key
            for key in vars(module)
            if key.startswith(f"{spec.GROUP}_")
            and hasattr(spec, key)
            and not hasattr(getattr(module, key), f"{spec.GROUP}_impl")
        ]
        if unmarked:
            raise PluginError(f"the hook {unmarked[0]} is not marked with @hookimpl")
        self._manager.register(module, name)
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            self._manager.unregister(module)
            hooks = [key for key in vars(spec) if key.startswith(f"{spec.GROUP}_")]
            raise PluginError(f"{error}; the hooks are {', '.join(hooks)}") from error

    def _collect(self, module: Any, row: PluginRow) -> None:
        others = [plugin for plugin in self._manager.get_plugins() if plugin is not module]
        found: dict[str, list[Any]] = {}
        for hook, kind in _HOOKS.items():
            results = self._manager.subset_hook_caller(hook, remove_plugins=others)()
            found[hook] = [_checked(item, kind, hook) for result in results for item in result]
        if not any(found.values()):
            raise PluginError("it provides no data set, action type or recipe")
        row.datasets = self._claim("data set", found["contextssl_datasets"], self.datasets, row)
        row.actions = self._claim("action type", found["contextssl_action_types"], self.actions, row)
        row.recipes = self._claim("recipe", found["contextssl_recipes"], self.recipes, row)

    def _claim(self, kind: str, items: Sequence[Any], table: dict[str, Any], row: PluginRow) -> list[Any]:
        kept = []
        for item in items:
            name = item.stem if isinstance(item, Path) else item.name
            here = f"{row.owner} ({row.name})"
            owner = self._owners.setdefault((kind, name), here)
            if name in table:
                row.error = (
                    f"duplicate: {owner} and {here} both provide the {kind} {name!r}; the one of {owner} is used"
                )
            else:
                table[name] = item
                kept.append(item)
        return kept

    def _failures(self) -> str:
        failed = [row.name for row in self.rows if row.error]
        return f"; failed: {', '.join(failed)}" if failed else ""

    def _raise_failure(self, name: str) -> None:
        for row in self.rows:
            if row.error and row.name in (name, f"{spec.GROUP}_{name}"):
                raise PluginError(f"the plugin {row.name} of {row.owner} failed: {row.error}")


@functools.cache
def registry() -> Registry:
    """The registry of the installed plugins."""
    return Registry(metadata.entry_points(group=spec.GROUP))


def _checked(item: Any, kind: type[Any], hook: str) -> Any:
    if not isinstance(item, kind):
        raise PluginError(f"{hook} returned {_shown(item)}, expected instances of {kind.__name__}")
    if isinstance(item, Path):
        if not RECIPE_NAME.match(item.name) or not item.is_file():
            raise PluginError(
                f"{hook} returned {item}, expected an existing file named with a-z, 0-9, _ and -, ending in .toml"
            )
        return item
    name = getattr(item, "name", "")
    if not isinstance(name, str) or not NAME.match(name):
        raise PluginError(f"{hook} returned {_shown(item)}, whose name has characters other than a-z, 0-9 and _")
    if name in RESERVED:
        raise PluginError(f"{hook} returned {_shown(item)}, whose name {name!r} is reserved; choose another")
    for name, declared in _DECLARED[kind].items():
        if not isinstance(getattr(item, name, None), declared):
            what = "text" if declared is str else declared.__name__.lower()
            raise PluginError(f"{hook} returned {item.name!r}, which has no {what} {name!r}")
        if declared is Mapping and not all(isinstance(key, str) for key in getattr(item, name)):
            raise PluginError(f"{hook} returned {item.name!r}, whose {name!r} has a key that is not text")
    if not issubclass(item.options, Options):
        raise PluginError(f"{hook} returned {item.name!r}, whose options are not a subclass of contextssl's Options")
    for action in getattr(item, "actions", ()):
        _checked(action, ActionType, f"the data set {item.name!r}")
    return item


def _shown(item: Any) -> str:
    """The ``repr`` of an object of a plugin, which may itself raise anything."""
    with contextlib.suppress(Exception):
        return repr(item)
    return f"an instance of {type(item).__name__}"


def _owner(point: metadata.EntryPoint) -> str:
    with contextlib.suppress(Exception):  # the metadata of a distribution may be damaged
        if point.dist and isinstance(point.dist.name, str):
            return point.dist.name
    return "unknown"


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) if isinstance(error, PluginError) else reason(error)
