"""The contract of action types."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from contextssl_cli.data.random import Purpose, seeded, seeded_numpy
from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.errors import PluginError
from contextssl_cli.plugin.kinds import ActionType
from contextssl_cli.store.schema import Column, Schema
from contextssl_cli.testing.checks import Checks
from contextssl_cli.testing.rules import (
    ROWS,
    TOLERANCE,
    check_like,
    check_names,
    check_options,
    check_random,
    require,
    title,
)


def check_action_type(
    action: ActionType,
    schema: Schema | None = None,
    inputs: Tensor | None = None,
    latents: Tensor | None = None,
    *,
    antisymmetric: bool | None = True,
    checks: Checks | None = None,
) -> None:
    """Check an action type on one data set.

    Args:
        action: the action type, with its default options or ``configured`` with others.
        schema: of the data set; by default a small one of random images, or a table with a column whose two categories
            are the attribute that the action type is named after.
        inputs: (N, ...) model inputs of that data set, by default random ones.
        latents: (N, latent width) recorded latents; needed for a recorded action type, which draws none.
        antisymmetric: whether the action from the second view to the first is minus the action from the first to the
            second. Use False for a representation such as quaternions; then the action of equal views has to be the
            same for all views, but not zero. None decides by the action of equal views: zero means a difference.
        checks: collects the results; by default the first broken rule is raised.

    Raises:
        PluginError: naming the rule that is broken.
    """
    checks = checks or Checks()
    subject = f"action type {getattr(action, 'name', None)}"
    with checks.rule(subject, "names"):
        check_names(action, "action type")
    with checks.rule(subject, "probe"):
        probe = action.probe
        require(probe in ("linear", "mlp"), f"{title(action)}: probe is {probe!r}, expected linear or mlp")
    with checks.rule(subject, "options"):
        check_options(action)
    schema = schema or example_schema(action)
    if inputs is None:
        inputs = example_inputs(schema)
    if action.recorded:
        if latents is None:
            raise PluginError(f"{title(action)} is recorded: give check_action_type the latents of its data set")
    else:
        latents = _check_applied(action, inputs, schema, subject, checks)
    if latents is not None:
        with checks.rule(subject, "action"):
            _check_actions(action, latents, schema, antisymmetric=antisymmetric)


def _check_applied(action: ActionType, inputs: Tensor, schema: Schema, subject: str, checks: Checks) -> Tensor | None:
    """Check drawing and transforming; return the latents, or None if none can be drawn."""
    latents: Tensor | None = None
    with checks.rule(subject, "sample"):
        latents = _drawn(action, inputs, schema)
    if latents is None:
        return None
    with checks.rule(subject, "partners"):
        _check_partners(action, inputs, schema)
    with checks.rule(subject, "sample is random"):
        check_random(
            f"{title(action)}.sample",
            lambda seed: action.sample(inputs, schema, seeded(seed, Purpose.CONTRACT)),
            constant=action.partners(inputs, schema) is not None,  # it may read the latents off the samples it pairs
        )
    with checks.rule(subject, "apply"):
        _check_apply(action, inputs, latents, schema)
    return latents


def example_schema(action: ActionType) -> Schema:
    """A small data set for an action type: images of 12 x 16, or a table that has the action type's attribute.

    Raises:
        PluginError: if its modality is neither; then the author names a schema.
    """
    if action.modality == "image":
        return Schema(
            dataset="example", modality="image", shape=(12, 16, 3), dtype="uint8", tasks={"class": ("a", "b")}
        )
    if action.modality != "table":
        raise PluginError(
            f"{title(action)} works on {action.modality!r} data: give check_action_type a schema and inputs"
        )
    categories = ("first", "second")
    columns = (
        Column(name="number", kind="numeric", start=0, stop=1),
        Column(name="attribute", kind="categorical", start=1, stop=3, categories=categories, attribute=action.name),
        Column(name="other", kind="numeric", start=3, stop=4),
    )
    return Schema(
        dataset="example",
        modality="table",
        shape=(4,),
        dtype="float32",
        columns=columns,
        attributes={action.name: categories},
    )


def example_inputs(schema: Schema, rows: int = ROWS) -> Tensor:
    """Random model inputs of a data set: images in [0, 1], tables with numbers and one-hot categories."""
    generator = seeded_numpy(0, Purpose.CONTRACT)
    if schema.modality == "image":
        return to_tensor(generator.random((rows, *schema.shape), dtype=np.float32), schema)
    table = generator.standard_normal((rows, *schema.shape)).astype(np.float32)
    for column in schema.columns:
        if column.kind == "categorical":
            codes = generator.integers(len(column.categories), size=rows)
            table[:, column.start : column.stop] = np.eye(len(column.categories), dtype=np.float32)[codes]
    return to_tensor(table, schema)


def _drawn(action: ActionType, inputs: Tensor, schema: Schema) -> Tensor:
    name = f"{title(action)}.sample"
    latents = action.sample(inputs, schema, seeded(0, Purpose.CONTRACT))
    require(
        latents.ndim == 2 and len(latents) == len(inputs),
        f"{name} gives the shape {tuple(latents.shape)}, expected ({len(inputs)}, latent width)",
    )
    require(bool(latents.isfinite().all()), f"{name} gives NaN or infinite latents; draw finite numbers")
    require(len(latents.unique(dim=0)) > 1, f"{name} gives every row the same latents; draw one per input")
    return latents


def _check_partners(action: ActionType, inputs: Tensor, schema: Schema) -> None:
    partners = action.partners(inputs, schema)
    if partners is None:
        return
    name, count = f"{title(action)}.partners", len(inputs)
    require(
        partners.ndim == 2 and len(partners) == count and not partners.is_floating_point(),
        f"{name} gives {partners.dtype} of the shape {tuple(partners.shape)}, expected row numbers ({count}, K)",
    )
    low, high = int(partners.min()), int(partners.max())
    require(low >= 0 and high < count, f"{name} gives rows from {low} to {high}, expected rows from 0 to {count - 1}")


def _check_apply(action: ActionType, inputs: Tensor, latents: Tensor, schema: Schema) -> None:
    name = f"{title(action)}.apply"
    given = inputs.clone(), latents.clone()
    out = action.apply(inputs, latents, schema)
    for what, before, after in (("inputs", given[0], inputs), ("latents", given[1], latents)):
        require(torch.equal(before, after), f"{name} changes its {what} in place; work on a copy")
    check_like(name, inputs, out, schema)
    require(
        torch.equal(out, action.apply(inputs, latents, schema)),
        f"{name} gives two results for the same latents; draw everything random in sample",
    )
    alone = torch.cat([action.apply(inputs[n : n + 1], latents[n : n + 1], schema) for n in range(4)])
    require(
        torch.allclose(alone, out[:4], atol=TOLERANCE),
        f"{name} treats a sample differently in a batch than alone; use its own row only",
    )
    if action.partners(inputs, schema) is not None:  # another sample is the second view
        return
    same = inputs[:1].expand_as(inputs).contiguous()
    results = action.apply(same, latents, schema)
    require(
        not torch.allclose(results, results[:1].expand_as(results), atol=TOLERANCE),
        f"{name} gives the same for all latents; it has no effect that a model could learn",
    )


def _check_actions(action: ActionType, latents: Tensor, schema: Schema, *, antisymmetric: bool | None) -> None:
    name, width = title(action), action.width(schema)
    require(isinstance(width, int) and width >= 1, f"{name}: width is {width!r}, expected an integer from 1 on")
    other = latents.roll(1, dims=0)
    found = {
        "relative": action.relative(latents, other),
        "absolute": action.absolute(latents),
        "relative of equal views": action.relative(latents, latents),
    }
    for method, value in found.items():
        require(
            value.shape == (len(latents), width),
            f"{name}: {method} has the shape {tuple(value.shape)}, expected ({len(latents)}, {width}) by width()",
        )
        require(bool(value.isfinite().all()), f"{name}: {method} holds NaN or infinite values; return finite numbers")
    nothing = found["relative of equal views"]
    zero = bool((nothing.abs() <= TOLERANCE).all())
    if antisymmetric is None:
        antisymmetric = zero
    if not antisymmetric:
        require(
            torch.allclose(nothing, nothing[:1].expand_as(nothing), atol=TOLERANCE),
            f"{name}: the action between equal views differs from view to view; it has to be the identity for all",
        )
        return
    require(
        zero,
        f"{name}: the action between equal views is not zero; return a difference, or say antisymmetric=False for a "
        "representation such as quaternions",
    )
    require(
        torch.allclose(action.relative(other, latents), -found["relative"], atol=TOLERANCE),
        f"{name}: the action back is not minus the action; say antisymmetric=False if that is meant",
    )
