"""Rules that hold for both kinds of plugin."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from contextssl_cli.errors import PluginError
from contextssl_cli.plugin.kinds import ActionType, Dataset
from contextssl_cli.plugin.options import Options
from contextssl_cli.plugin.registry import NAME
from contextssl_cli.store.schema import Schema

ROWS = 64
TOLERANCE = 1e-5


def require(holds: bool, message: str) -> None:
    """Refuse a plugin that breaks a rule."""
    if not holds:
        raise PluginError(message)


def title(plugin: ActionType | Dataset) -> str:
    """The name of a plugin in messages."""
    return f"{type(plugin).__name__} ({plugin.name})"


def check_names(plugin: ActionType | Dataset, kind: str) -> None:
    """Check name, summary and modality."""
    name = getattr(plugin, "name", None)
    require(
        isinstance(name, str) and bool(NAME.match(name)),
        f"{type(plugin).__name__}: the {kind}'s name is {name!r}, expected a-z, 0-9 and _",
    )
    for attribute in ("summary", "modality"):
        text = getattr(plugin, attribute, None)
        require(
            isinstance(text, str) and bool(text.strip()) and "\n" not in text,
            f"{title(plugin)}: the class attribute {attribute} is {text!r}, expected one line of text",
        )


def check_options(plugin: ActionType | Dataset) -> None:
    """Check the model of the options; each needs a description, which ``--help`` shows."""
    options = plugin.options
    require(
        isinstance(options, type) and issubclass(options, Options),
        f"{title(plugin)}: options is {options!r}, expected a subclass of contextssl_cli.plugin.Options",
    )
    silent = [name for name, field in options.model_fields.items() if not field.description]
    require(
        not silent,
        f"{title(plugin)}: the option {''.join(silent[:1])} has no description: write Field(description=...)",
    )
    if isinstance(plugin, ActionType):
        needed = [name for name, field in options.model_fields.items() if field.is_required()]
        require(
            not needed, f"{title(plugin)}: the option {''.join(needed[:1])} has no default: pretrain needs one to start"
        )


def check_like(name: str, inputs: Tensor, out: Tensor, schema: Schema) -> None:
    """Check that the result is of the same kind as the inputs."""
    require(out.shape == inputs.shape, f"{name} turns {tuple(inputs.shape)} into {tuple(out.shape)}; keep the shape")
    require(out.dtype == inputs.dtype, f"{name} turns {inputs.dtype} into {out.dtype}; keep the type")
    require(bool(out.isfinite().all()), f"{name} gives NaN or infinite values; guard divisions, roots and logarithms")
    if schema.modality == "image":
        require(
            out.min().item() >= -TOLERANCE and out.max().item() <= 1 + TOLERANCE,
            f"{name} gives values from {out.min():g} to {out.max():g}; images stay in [0, 1]: clamp them",
        )


def check_random(name: str, draw: Callable[[int], Tensor], *, constant: bool = False) -> None:
    """Check that the draw depends on the generator alone: the global generators neither matter nor change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = _global_states()
        first = draw(0)
        require(before == _global_states(), f"{name} draws from a global generator; draw from the one it is given")
        torch.manual_seed(2)
        require(torch.equal(first, draw(0)), f"{name} gives two results for one seed; draw from the generator alone")
    require(
        constant or not torch.equal(first, draw(1)), f"{name} gives the same for two seeds; draw from the generator"
    )


def _global_states() -> tuple[object, ...]:
    found = np.random.get_state(legacy=False)["state"]  # noqa: NPY002 - watched, not used
    return torch.get_rng_state().numpy().tobytes(), found["key"].tobytes(), found["pos"], random.getstate()
