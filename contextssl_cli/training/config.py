"""The configuration of a pretraining run, and where each value comes from.

Flags go over ``CONTEXTSSL_*`` variables, over the TOML file, over the preset, over the data set's defaults, over the
defaults below. An unknown key is an error everywhere.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from contextssl_cli.errors import CorruptFileError, DataMissingError, UsageError, invalid_value, suggestion
from contextssl_cli.methods.config import (
    CONTEXTUAL,
    EQUIVARIANT,
    OPTIONS,
    InstanceObjective,
    MethodName,
    without_effect,
)
from contextssl_cli.model.config import ModelConfig
from contextssl_cli.plugin.kinds import Dataset

_PREFIX = "CONTEXTSSL_"
_OTHER_VARIABLES = {"HOME", "PARITY", "PARITY_HEADS", "DEVICE", "DATA"}


class TrainConfig(BaseModel):
    """Everything that decides the weights of a run, beside its data."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(default=0, ge=0)
    method: MethodName = "contextssl"
    """How the encoder is trained; see ``docs/methods.md``."""
    equivariant: tuple[str, ...] = ()
    """The action types that ``equimod``, ``sie`` or ``sen`` is told to be equivariant to; all, if none is named."""
    method_options: dict[str, Any] = Field(default={}, validate_default=True)
    """The settings of a method other than ``contextssl``, by name; a run keeps all that were in force."""
    steps: int | None = Field(default=1000, ge=1)
    """Optimiser steps; unset, ``epochs`` decides."""
    epochs: int | None = Field(default=None, ge=1)
    """Passes over the training samples."""
    batch_size: int = Field(default=256, ge=2)
    """Pairs a step; a multiple of the pairs of a sequence (``model.block_size`` / 2)."""
    lr: float = Field(default=3e-3, gt=0)
    """Peak learning rate."""
    weight_decay: float = Field(default=1e-2, ge=0)
    optimizer: Literal["adamw", "adam"] = "adamw"
    beta2: float = Field(default=0.999, gt=0, lt=1)
    """Decay of the optimiser's mean of squared gradients; 0.95 steadies a run whose losses rise at the peak rate."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the steps in which the rate rises; then it falls to 0 along a cosine."""
    grad_clip: float | None = Field(default=1.0, gt=0)
    """Largest gradient norm."""
    temperature: float = Field(default=0.2, gt=0)
    """Of ContextSSL's NT-Xent."""
    similarity_floor: float | None = None
    """Clamp of the cosine similarities from below; the paper's code has 1e-7."""
    aux_weight: float = Field(default=2.0, ge=0)
    """Of the auxiliary predictor's loss."""
    invariance_weight: float = Field(default=0.0, ge=0)
    """Of the penalty on what a linear probe still reads of the zeroed action types. Not in the paper."""
    invariance_start: float = Field(default=0.4, ge=0, lt=1)
    """Fraction of the steps before that penalty sets in: first the contexts must come apart."""
    instance_weight: float = Field(default=0.0, ge=0)
    """Of the instance loss between the two views' embeddings, each read alone. Not in the paper."""
    instance_objective: InstanceObjective = "nt-xent"
    """Of the instance loss: NT-Xent at ``temperature``, or VICReg, for what a linear probe may read."""
    feature_weight: float = Field(default=0.0, ge=0)
    """Of SimCLR's loss between the two views' features, at its own temperature and projector. Not in the paper."""
    world_start: float = Field(default=0.0, ge=0, lt=1)
    """Fraction of the steps before the world model is trained; till then that loss is alone, with the weight 1."""
    context_mask: float = Field(default=0.9, ge=0, lt=1)
    """Probability that a token drops a context pair."""
    environments_per_step: Literal["all", "one"] = "all"
    """All environments on the same features, or one drawn for each step as in the paper."""
    context_contrast: bool = True
    """One softmax over all environments' predictions, so the other context is a negative. Not in the paper."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the matrix products; auto is bfloat16 on CUDA, float32 elsewhere."""
    holdout: float = Field(default=0.1, gt=0, lt=0.5)
    """Fraction of the training samples that is kept out to watch the adaptation gap."""
    monitor_every: int = Field(default=200, ge=1)
    """Steps between measurements of the adaptation gap on the held-out samples."""
    checkpoint_every: int = Field(default=200, ge=1)
    """Steps between checkpoints."""
    model: ModelConfig = ModelConfig()
    actions: dict[str, dict[str, Any]] = {}
    """Options of the action types, by name: those that the user names; a run keeps all that were in force."""

    @field_validator("method_options", mode="after")
    @classmethod
    def _fill_options(cls, given: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "method" not in info.data:  # that error is told first
            return given
        method: MethodName = info.data["method"]
        options = OPTIONS[method]
        for name in given:
            if name not in options.model_fields:
                raise ValueError(f"{method} has no option {name!r}: {suggestion(name, options.model_fields)}")
        return options.model_validate(given).model_dump(mode="json")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("set either steps or epochs")
        if self.equivariant and self.method not in EQUIVARIANT:
            raise ValueError(f"{self.method} is not told what to be equivariant to; {', '.join(EQUIVARIANT)} are")
        if len(set(self.equivariant)) < len(self.equivariant):
            raise ValueError("equivariant names an action type twice")
        pairs = self.model.block_size // 2
        if self.batch_size % pairs:
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of the {pairs} pairs of a sequence "
                "(model.block_size / 2)"
            )
        if self.method in CONTEXTUAL and self.model.width % self.model.heads:
            raise ValueError(
                f"model.width {self.model.width} is not a multiple of model.heads {self.model.heads}, which share it"
            )
        for name in ("invariance_weight", "instance_weight"):
            if getattr(self, name) and self.batch_size == pairs:
                raise ValueError(f"{name} needs a batch_size of two sequences (model.block_size pairs) or more")
        if self.method == "contextssl" and self.instance_weight and not self.model.instance_dim:
            raise ValueError("instance_weight needs model.instance_dim, for example as many as model.feature_dim")
        if self.world_start and not self.feature_weight:
            raise ValueError("world_start needs feature_weight: until then the features learn by that loss alone")
        if self.steps is not None and self.world_start * self.steps > self.steps - 1:
            raise ValueError(
                f"world_start = {self.world_start:g} leaves the world model none of the {self.steps} steps"
            )
        return self

    def total_steps(self, samples: int) -> int:
        """Optimiser steps over ``samples`` training samples."""
        return self.steps or -(-(self.epochs or 0) * samples // self.batch_size)


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
OF_NO_MATTER = frozenset({"seed", "checkpoint_every", "monitor_every"})
"""Settings in which runs may differ and still be repetitions of one another, whose figures are averaged."""


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
    for key in without_effect(config.method).intersection(named):
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
        _read_toml(file) if file else {},
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


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataMissingError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"{path} is not valid TOML: {error}") from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        key = variable.removeprefix(_PREFIX)
        if key == variable or key in _OTHER_VARIABLES:
            continue
        name = key.lower()
        dotted = f"model.{name.removeprefix('model_')}" if name.startswith("model_") else name
        values[dotted] = _parse_value(text)
    return _nested(values)


def _parse_value(text: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in values.items():
        *groups, name = key.split(".")
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
