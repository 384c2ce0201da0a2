"""Settle the settings of a run, once.

Flags override ``CONTEXTSSL_*`` variables, which override the TOML file, the preset, the defaults of the data set, and
the defaults of ``TrainConfig``, in this order. An unknown key is an error everywhere. Settings are kept flat here, by
dotted key, as ``model.width``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from contextssl_cli import files
from contextssl_cli.config.methods import EQUIVARIANT, MethodName
from contextssl_cli.config.model import ModelConfig
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.errors import UsageError, invalid_value, suggestion
from contextssl_cli.parsing import parse_toml
from contextssl_cli.plugin.kinds import Dataset
from contextssl_cli.plugin.task import Task, resolve_task

_PREFIX = "CONTEXTSSL_"
_GROUPS = 8  # the deepest nesting of a setting; no option of a plugin is as deep
_OTHER_VARIABLES = {"HOME", "PARITY", "PARITY_HEADS", "DEVICE", "DATA"}

PAPER: dict[str, Any] = {
    "steps": None, "epochs": 1000, "batch_size": 512, "lr": 1e-4, "optimizer": "adam", "beta2": 0.999,
    "weight_decay": 1e-3, "warmup": 0.01, "grad_clip": None, "temperature": 0.1, "similarity_floor": 1e-7,
    "aux_weight": 5.0, "context_mask": 0.9, "environments_per_step": "one", "context_contrast": False,
    "invariance_weight": 0.0, "instance_weight": 0.0, "instance_objective": "nt-xent", "feature_weight": 0.0,
    "world_start": 0.0,
    "model": {"width": 2048, "layers": 3, "heads": 4, "block_size": 128, "aux_hidden": 1024, "instance_dim": 0,
              "feature_norm": False, "standardise_actions": False, "activity_bits": False, "skip": False},
}  # fmt: skip
"""The paper's recipe (section 4 and appendix B; rate 5e-5 x batch / 256). Images take its ResNet-18."""
PRESETS = ("default", "paper")


class Asked(BaseModel):
    """The settings that a user asked for, as ``run.json`` keeps them in addition to the resolved configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = "default"
    file: dict[str, Any] = {}
    """Settings from the TOML file."""
    environment: dict[str, Any] = {}
    """Settings from ``CONTEXTSSL_*`` variables."""
    flags: dict[str, Any] = {}
    """Settings from the command line."""

    def named(self) -> dict[str, Any]:
        """The settings by key, without those of the preset."""
        return _override(_override(self.file, self.environment), self.flags)


@dataclass(frozen=True)
class Settled:
    """A run whose settings are settled.

    Attributes:
        task: data set and action types, with the options of the configuration.
        config: every setting, with all options of the action types.
        asked: the settings that the user asked for.
    """

    task: Task
    config: TrainConfig
    asked: Asked

    def origins(self) -> dict[str, str]:
        """Where the value of each setting comes from, by key, such as ``flag`` or ``data set digits``."""
        dataset = self.task.dataset
        layers = [
            dict.fromkeys(flat_settings(dataset.training), f"data set {dataset.name}"),
            dict.fromkeys(_preset(self.asked.preset, dataset), f"--preset {self.asked.preset}"),
            dict.fromkeys(self.asked.file, "--config"),
            {key: _variable(key) for key in self.asked.environment},
            dict.fromkeys(self.asked.flags, "flag"),
            dict.fromkeys(unread_settings(self.config.method), f"not used by {self.config.method}"),
        ]
        found = dict.fromkeys(flat_settings(self.config.model_dump(mode="json")), "default")
        for layer in layers:
            for key, other in (("steps", "epochs"), ("epochs", "steps")):  # each of the two unsets the other
                if key in layer:
                    layer.setdefault(other, layer[key])
            found |= {key: origin for key, origin in layer.items() if key in found}
        return found


def settle(
    plugin: str | Task,
    *,
    flags: Mapping[str, Any] | None = None,
    file: Path | None = None,
    preset: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settled:
    """Settle the task and the configuration of a run.

    Args:
        plugin: ``<dataset>-<action>[-<action>...]``, or the task.
        flags: settings from the command line, by key.
        file: TOML.
        preset: ``default`` or ``paper``.
        environ: by default the process environment.

    Raises:
        UsageError: on an unknown name or key, or a value that does not fit.
        DataMissingError, CorruptFileError: if the file is missing or not TOML.
    """
    task = resolve_task(plugin) if isinstance(plugin, str) else plugin
    asked = ask(flags=flags, file=file, preset=preset, environ=environ)
    config = resolve_config(task.dataset, asked)
    task = task.configured(config.actions)
    names = tuple(action.name for action in task.actions)
    for name in config.equivariant:
        if name not in names:
            raise UsageError(f"equivariant: {task.name} has no action type {name!r}: {suggestion(name, names)}")
    equivariant = (config.equivariant or names) if config.method in EQUIVARIANT else ()
    return Settled(task, config.model_copy(update={"actions": task.options, "equivariant": equivariant}), asked)


def ask(
    *,
    flags: Mapping[str, Any] | None = None,
    file: Path | None = None,
    preset: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Asked:
    """Collect the settings that a user asks for; arguments as for ``settle``.

    Raises:
        UsageError: on an unknown key or preset.
        DataMissingError, CorruptFileError: if the file is missing or not TOML.
    """
    if preset is not None and preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}: {suggestion(preset, PRESETS)}")
    asked = Asked(
        preset=preset or "default",
        file=flat_settings(files.read_toml(file)) if file else {},
        environment=_from_environment(os.environ if environ is None else environ),
        flags=flat_settings(flags or {}),
    )
    _check_keys(asked.file)
    _check_keys(asked.environment, variables=True)
    _check_keys(asked.flags)
    return asked


def resolve_config(dataset: Dataset, asked: Asked) -> TrainConfig:
    """The configuration for a data set: what the user asked for, over its defaults.

    ``actions`` holds only the options that the user asked for; ``Task.configured`` adds the others.

    Raises:
        UsageError: on an unknown key, a value that does not fit, or a setting that the method does not read.
    """
    defaults = flat_settings({key: value for key, value in dataset.training.items() if key != "actions"})
    _check_keys(defaults)
    named = asked.named()
    config = _validated(_override(_override(defaults, _preset(asked.preset, dataset)), named), asked)
    for key in sorted(unread_settings(config.method).intersection(named)):
        own = ", ".join(f"method_options.{name}" for name in config.method_options)
        hint = f", whose own settings are {own}" if own else ""
        raise UsageError(f"{key} has no effect with the method {config.method}{hint}")
    return config


def changed_settings(run: TrainConfig, asked: Asked, dataset: Dataset) -> dict[str, tuple[Any, Any]]:
    """The settings that ``asked`` would change in the configuration of a run, with the values before and after.

    Raises:
        UsageError: if a value does not fit.
    """
    over = _override(_preset(asked.preset, dataset), asked.named())
    base = flat_settings(run.model_dump())
    if over.get("method", run.method) != run.method:  # another method has other options
        base = {key: value for key, value in base.items() if not key.startswith(("method_options.", "equivariant"))}
    return differing_settings(run, _validated(_override(base, over)))


def differing_settings(one: TrainConfig, other: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """The settings in which two configurations differ, with both values, if either method reads them."""
    before, after = flat_settings(one.model_dump()), flat_settings(other.model_dump())
    silent = unread_settings(one.method) & unread_settings(other.method)
    keys = [key for key in dict.fromkeys([*before, *after]) if key not in silent]
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def unread_settings(method: MethodName) -> frozenset[str]:
    """The settings that a method does not read, by the metadata of their fields."""
    fields = {**TrainConfig.model_fields, **{f"model.{key}": field for key, field in ModelConfig.model_fields.items()}}
    found = []
    for key, field in fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and method not in extra.get("methods", [method]):  # type: ignore[operator]
            found.append(key)
    return frozenset(found)


def parse_setting(text: str) -> tuple[str, Any]:
    """Parse ``key=value`` of ``--set``. The value is read as TOML, or as text if it is not TOML.

    Raises:
        UsageError: if there is no ``=``.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: expected key=value")
    return key.strip(), _parse_value(value.strip())


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse values that are no seeds, and duplicates.

    Raises:
        UsageError: naming the values.
    """
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UsageError(f"--seeds {','.join(map(str, seeds)) or '(empty)'}: expected different numbers from 0 on")


def _validated(settings: Mapping[str, Any], asked: Asked | None = None) -> TrainConfig:
    if settings.get("epochs") is not None and "steps" not in settings:
        settings = {**settings, "steps": None}
    try:
        return TrainConfig.model_validate(_nested(settings))
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"]))
        from_variable = asked is not None and key in asked.environment and key not in asked.flags
        raise UsageError(invalid_value(error, _variable(key) if from_variable else "configuration")) from error


def _variable(key: str) -> str:
    """The environment variable of a setting."""
    group, _, name = key.partition(".")
    return f"{_PREFIX}{f'model_{name}' if group == 'model' else group}".upper()


def _preset(name: str, dataset: Dataset) -> dict[str, Any]:
    if name == "default":
        return {}
    encoder = {"model.encoder": "resnet18", "model.feature_dim": 512} if dataset.modality == "image" else {}
    return flat_settings(PAPER) | encoder


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        key = variable.removeprefix(_PREFIX)
        if key == variable or key in _OTHER_VARIABLES or not text:  # a script that cannot unset a variable empties it
            continue
        name = key.lower()
        dotted = f"model.{name.removeprefix('model_')}" if name.startswith("model_") else name
        values[dotted] = _parse_value(text)
    return flat_settings(values)


def _parse_value(text: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        found = parse_toml(f"value = {text}")
    except ValueError:
        return text
    return found["value"] if len(found) == 1 else text  # a line break would begin another key


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in settings.items():
        *groups, name = key.split(".")
        if len(groups) > _GROUPS:
            raise UsageError(f"configuration: there is no key {key[:80]!r}..., {len(groups)} groups deep")
        place = result
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise UsageError(f"configuration: {group} is a group of settings; set {key} alone")
        if isinstance(place.get(name), dict):
            raise UsageError(f"configuration: {key} is a group of settings; set one of them, as {key}.NAME=VALUE")
        place[name] = value
    return result


def _override(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the settings of ``over``; steps replace epochs, and the other way round."""
    rivals = {"steps": "epochs", "epochs": "steps"}
    dropped = {rivals[key] for key in rivals if over.get(key) is not None}
    return {key: value for key, value in base.items() if key not in dropped} | dict(over)


def _check_keys(settings: Mapping[str, Any], *, variables: bool = False) -> None:
    known = set(TrainConfig.model_fields) | {f"model.{name}" for name in ModelConfig.model_fields}
    for key in settings:
        if key not in known and not key.startswith(("actions.", "method_options.")):  # their owners check those
            where = _variable(key) if variables else "configuration"
            raise UsageError(f"{where}: there is no key {key!r}: {suggestion(key, known)}")


def flat_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings by dotted key, as ``model.width``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{name}": item for name, item in flat_settings(value).items()}
        else:
            flat[key] = list(value) if isinstance(value, tuple) else value  # as JSON and TOML have it
    return flat
