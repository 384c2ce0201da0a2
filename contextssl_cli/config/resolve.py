"""Where each value of a configuration comes from.

Flags go over ``CONTEXTSSL_*`` variables, over the TOML file, over the preset, over the data set's defaults, over the
defaults of ``TrainConfig``. An unknown key is an error everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contextssl_cli import files
from contextssl_cli.config.methods import without_effect
from contextssl_cli.config.model import ModelConfig
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.errors import UsageError, invalid_value, suggestion
from contextssl_cli.parsing import parse_toml
from contextssl_cli.plugin.kinds import Dataset

_PREFIX = "CONTEXTSSL_"
_GROUPS = 8  # in which a setting may be; no option of a plugin is as deep
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


def resolve_config(
    dataset: Dataset,
    *,
    preset: str | None = None,
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> TrainConfig:
    """The configuration of a new run: what the user asks for, over the data set's defaults.

    Args:
        dataset: whose defaults apply.
        preset: ``default`` or ``paper``.
        file: TOML.
        flags: values from the command line, by key; ``model.width`` names a nested one.
        environ: by default the process environment.

    Returns:
        The configuration. Its ``actions`` are what the user asks for: ``resolve_task`` checks them, and puts them over
        what the data set has for the task's action types.

    Raises:
        UsageError: on an unknown key or a value that does not fit.
        DataMissingError, CorruptFileError: if the file is missing or not TOML.
    """
    asked = asked_settings(dataset, preset=preset, file=file, flags=flags, environ=environ)
    _check_keys(dataset.training)
    defaults = {key: value for key, value in dataset.training.items() if key != "actions"}
    config = _validated(_merge(defaults, asked))
    named = flat_settings(asked_settings(dataset, file=file, flags=flags, environ=environ))  # all but the preset
    for key in sorted(without_effect(config.method).intersection(named)):
        own = ", ".join(f"method_options.{name}" for name in config.method_options)
        raise UsageError(f"{key} has no effect with the method {config.method}, whose own settings are {own}")
    return config


def asked_settings(
    dataset: Dataset,
    *,
    preset: str | None = None,
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What the user asks for, and nothing else, with nested keys as nested mappings.

    Args:
        dataset: decides what the preset ``paper`` takes as encoder.
        preset: ``default`` or ``paper``.
        file: TOML.
        flags: values from the command line, by key; ``model.width`` names a nested one.
        environ: by default the process environment.

    Raises:
        UsageError: on an unknown key.
        DataMissingError, CorruptFileError: if the file is missing or not TOML.
    """
    layers = [
        _preset(preset or "default", dataset),
        files.read_toml(file) if file else {},
        _from_environment(os.environ if environ is None else environ),
        _nested(flags or {}),
    ]
    merged: dict[str, Any] = {}
    for layer in layers:
        _check_keys(layer)
        merged = _merge(merged, layer)
    return merged


def changed_settings(config: TrainConfig, asked: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The keys that ``asked`` would change in ``config``, with the values before and after.

    A setting that the method does not read makes no difference: two runs of it are alike whatever it is.

    Raises:
        UsageError: if a value does not fit.
    """
    old = config.model_dump()
    kept = dict(old)
    if asked.get("method", config.method) != config.method:  # another method has other settings
        kept |= {"method_options": {}, "equivariant": ()}
    new = _validated(_merge(kept, asked))
    before, after = flat_settings(old), flat_settings(new.model_dump())
    silent = without_effect(config.method) & without_effect(new.method)
    keys = [key for key in dict.fromkeys([*before, *after]) if key not in silent]
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def parse_setting(text: str) -> tuple[str, Any]:
    """``key=value`` of ``--set``; the value is read as TOML, or as text if it is not TOML.

    Raises:
        UsageError: if there is no ``=``.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: expected key=value")
    return key.strip(), _parse_value(value.strip())


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse what are no seeds, and seeds that would make one run twice.

    Raises:
        UsageError: naming them.
    """
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UsageError(f"--seeds {','.join(map(str, seeds)) or '(empty)'}: expected different numbers from 0 on")


def _validated(values: Mapping[str, Any]) -> TrainConfig:
    try:
        return TrainConfig.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError(invalid_value(error, "configuration")) from error


def _preset(name: str, dataset: Dataset) -> dict[str, Any]:
    if name not in PRESETS:
        raise UsageError(f"there is no preset {name!r}: {suggestion(name, PRESETS)}")
    if name == "default":
        return {}
    return (
        _merge(PAPER, {"model": {"encoder": "resnet18", "feature_dim": 512}}) if dataset.modality == "image" else PAPER
    )


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        key = variable.removeprefix(_PREFIX)
        if key == variable or key in _OTHER_VARIABLES or not text:  # a script that cannot unset a variable empties it
            continue
        name = key.lower()
        dotted = f"model.{name.removeprefix('model_')}" if name.startswith("model_") else name
        values[dotted] = _parse_value(text)
    return _nested(values)


def _parse_value(text: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        found = parse_toml(f"value = {text}")
    except ValueError:
        return text
    return found["value"] if len(found) == 1 else text  # a line break would begin another key


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in values.items():
        *groups, name = key.split(".")
        if len(groups) > _GROUPS:
            raise UsageError(f"configuration: there is no key {key[:80]!r}..., {len(groups)} groups deep")
        place = result
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise UsageError(f"configuration: {group} is a group of settings, not one; set {key}")
        place[name] = value
    return result


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    if over.get("steps") is not None:
        merged["epochs"] = None
    if over.get("epochs") is not None:
        merged["steps"] = None
    for key, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if nested else value
    return merged


def _check_keys(layer: Mapping[str, Any]) -> None:
    known = set(TrainConfig.model_fields) | {f"model.{name}" for name in ModelConfig.model_fields}
    for key in flat_settings(layer):
        if key not in known and not key.startswith(("actions.", "method_options.")):  # their owners know those
            raise UsageError(f"configuration: there is no key {key!r}: {suggestion(key, known)}")


def flat_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings by dotted key, as ``model.width``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{name}": item for name, item in flat_settings(value).items()}
        else:
            flat[key] = value
    return flat
