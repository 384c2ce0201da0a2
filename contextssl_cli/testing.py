"""The contract that every plugin must pass; a plugin's own tests call it.

    from contextssl_cli.testing import check_action_type, check_dataset, check_plugin

    def test_contract():
        check_plugin("contextssl_mirror")              # loads quickly, brings something
        check_action_type(Mirror())                    # on random images
        check_dataset(Flowers(), Path("tests/data"))   # from a small source

Every failure is a ``PluginError`` that says what is wrong and what to do.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from contextssl_cli.data.prepare import prepare
from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.errors import ContextSSLError, DataMissingError, PluginError
from contextssl_cli.evaluation.protocol import probe_config
from contextssl_cli.plugin.kinds import ActionType, Dataset
from contextssl_cli.store.dataset import Split, Store
from contextssl_cli.store.schema import Column, Schema
from contextssl_cli.training.config import resolve_config

NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
ROWS = 64
TOLERANCE = 1e-5
_HEAVY = ("torch", "sklearn", "polars", "matplotlib", "torchvision")
_LOADER = """
import importlib, sys
module = importlib.import_module({module!r})
items = [item for hook in ("contextssl_datasets", "contextssl_action_types") for item in getattr(module, hook, list)()]
heavy = [name for name in {heavy!r} if name in sys.modules]
print(len(items), *heavy)
"""


def check_plugin(module: str) -> None:
    """Load a plugin in a fresh process and call its hooks, as ``contextssl plugins`` does.

    Args:
        module: the import package that the entry point names.

    Raises:
        PluginError: if it does not load, brings nothing, or imports a heavy package before it is used.
    """
    program = _LOADER.format(module=module, heavy=_HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise PluginError(f"{module} does not load: {done.stderr.strip().splitlines()[-1]}")
    count, *heavy = done.stdout.splitlines()[-1].split()
    _require(count != "0", f"{module} brings neither a data set nor an action type: implement a hook with @hookimpl")
    _require(not heavy, f"{module} imports {', '.join(heavy)} when it is loaded: import it inside the methods")


def check_action_type(
    action: ActionType,
    schema: Schema | None = None,
    inputs: Tensor | None = None,
    latents: Tensor | None = None,
    *,
    antisymmetric: bool = True,
) -> None:
    """Check an action type on one data set.

    Args:
        action: the action type.
        schema: of the data set; by default a small one of random images, or a table with a column whose two categories
            are the attribute that the action type is named after.
        inputs: (N, ...) model inputs of that data set, by default random ones.
        latents: (N, latent width) recorded latents; needed for a recorded action type, which draws none.
        antisymmetric: whether the action from the second view to the first is minus the action from the first to the
            second. False for a representation, such as quaternions, in which it is not; there the action of equal views
            is not checked to be zero either, but to be the same for all views.

    Raises:
        PluginError: naming the rule that is broken.
    """
    _check_names(action, "action type")
    _require(action.probe in ("linear", "mlp"), f"{_name(action)}: probe is {action.probe!r}, expected linear or mlp")
    schema = schema or example_schema(action)
    if inputs is None:
        inputs = example_inputs(schema)
    if action.recorded:
        if latents is None:
            raise PluginError(f"{_name(action)} is recorded: give check_action_type the latents of its data set")
    else:
        latents = _check_sample(action, inputs, schema)
        _check_apply(action, inputs, latents, schema)
    _check_actions(action, latents, schema, antisymmetric=antisymmetric)


def check_dataset(dataset: Dataset, source: Path | None = None) -> None:
    """Check a data set: its definition, what it does without its source, and the store that it writes.

    Args:
        dataset: the data set.
        source: its source; may be left out only if the data set needs none.

    Raises:
        PluginError: naming the rule that is broken.
    """
    check_dataset_definition(dataset)
    if dataset.needs_source and source is None:
        raise PluginError(
            f"{_name(dataset)} needs a source: give check_dataset a small one, or call check_dataset_definition"
        )
    with tempfile.TemporaryDirectory() as folder:
        with prepare(dataset, source, Path(folder) / "first.h5") as store:
            _check_store(dataset, store)
            hashes = {store.content_hash}
        with prepare(dataset, source, Path(folder) / "second.h5") as store:
            hashes.add(store.content_hash)
    _require(len(hashes) == 1, f"{_name(dataset)}: two runs of prepare wrote different content; seed what it draws")


def check_dataset_definition(dataset: Dataset) -> None:
    """Check what can be checked of a data set without its source.

    Raises:
        PluginError: naming the rule that is broken.
    """
    _check_names(dataset, "data set")
    licence = getattr(dataset, "licence", "")
    _require(bool(licence.strip()), f"{_name(dataset)} names no licence: set the class attribute licence")
    for action in dataset.actions:
        _require(isinstance(action, ActionType), f"{_name(dataset)}: actions holds {action!r}, expected ActionType")
    defaults: dict[str, Callable[[], object]] = {
        "training": lambda: resolve_config(dataset, environ={}),
        "probing": lambda: probe_config(dataset),
    }
    for name, resolve in defaults.items():
        try:
            resolve()
        except ContextSSLError as error:
            raise PluginError(f"{_name(dataset)}: its {name} defaults are not valid: {error}") from error
    if dataset.needs_source:
        _check_missing_source(dataset)


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
            f"{_name(action)} works on {action.modality!r} data: give check_action_type a schema and inputs"
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
    generator = np.random.default_rng(0)
    if schema.modality == "image":
        return to_tensor(generator.random((rows, *schema.shape), dtype=np.float32), schema)
    table = generator.standard_normal((rows, *schema.shape)).astype(np.float32)
    for column in schema.columns:
        if column.kind == "categorical":
            codes = generator.integers(len(column.categories), size=rows)
            table[:, column.start : column.stop] = np.eye(len(column.categories), dtype=np.float32)[codes]
    return to_tensor(table, schema)


def _check_names(plugin: ActionType | Dataset, kind: str) -> None:
    name = getattr(plugin, "name", None)
    _require(
        isinstance(name, str) and bool(NAME.match(name)),
        f"{type(plugin).__name__}: the {kind}'s name is {name!r}, expected a-z, 0-9 and _, a letter first",
    )
    for attribute in ("summary", "modality"):
        text = getattr(plugin, attribute, None)
        _require(
            isinstance(text, str) and bool(text.strip()) and "\n" not in text,
            f"{_name(plugin)}: the class attribute {attribute} is {text!r}, expected one line of text",
        )


def _check_sample(action: ActionType, inputs: Tensor, schema: Schema) -> Tensor:
    def sample(seed: int) -> Tensor:
        return action.sample(inputs, schema, Generator().manual_seed(seed))

    name = f"{_name(action)}.sample"
    latents = sample(0)
    _require(
        latents.ndim == 2 and len(latents) == len(inputs),
        f"{name} gives the shape {tuple(latents.shape)}, expected ({len(inputs)}, latent width)",
    )
    _require(bool(latents.isfinite().all()), f"{name} gives NaN or infinite latents")
    _require(len(latents.unique(dim=0)) > 1, f"{name} gives every row the same latents; draw one per input")
    _check_random(name, sample)
    return latents


def _check_apply(action: ActionType, inputs: Tensor, latents: Tensor, schema: Schema) -> None:
    name = f"{_name(action)}.apply"
    given = inputs.clone(), latents.clone()
    out = action.apply(inputs, latents, schema)
    for what, before, after in (("inputs", given[0], inputs), ("latents", given[1], latents)):
        _require(torch.equal(before, after), f"{name} changes its {what} in place; work on a copy")
    _check_like(name, inputs, out, schema)
    _require(
        torch.equal(out, action.apply(inputs, latents, schema)),
        f"{name} gives two results for the same latents; draw everything random in sample",
    )
    alone = torch.cat([action.apply(inputs[n : n + 1], latents[n : n + 1], schema) for n in range(4)])
    _require(
        torch.allclose(alone, out[:4], atol=TOLERANCE),
        f"{name} treats a sample differently in a batch than alone; use its own row only",
    )
    same = inputs[:1].expand_as(inputs).contiguous()
    results = action.apply(same, latents, schema)
    _require(
        not torch.allclose(results, results[:1].expand_as(results), atol=TOLERANCE),
        f"{name} gives the same for all latents; it has no effect that a model could learn",
    )


def _check_like(name: str, inputs: Tensor, out: Tensor, schema: Schema) -> None:
    _require(out.shape == inputs.shape, f"{name} turns {tuple(inputs.shape)} into {tuple(out.shape)}; keep the shape")
    _require(out.dtype == inputs.dtype, f"{name} turns {inputs.dtype} into {out.dtype}; keep the type")
    _require(bool(out.isfinite().all()), f"{name} gives NaN or infinite values")
    if schema.modality == "image":
        _require(
            out.min().item() >= -TOLERANCE and out.max().item() <= 1 + TOLERANCE,
            f"{name} gives values from {out.min():g} to {out.max():g}; images stay in [0, 1]",
        )


def _check_actions(action: ActionType, latents: Tensor, schema: Schema, *, antisymmetric: bool) -> None:
    name, width = _name(action), action.width(schema)
    _require(isinstance(width, int) and width >= 1, f"{name}: width is {width!r}, expected an integer from 1 on")
    other = latents.roll(1, dims=0)
    found = {
        "relative": action.relative(latents, other),
        "absolute": action.absolute(latents),
        "relative of equal views": action.relative(latents, latents),
    }
    for method, value in found.items():
        _require(
            value.shape == (len(latents), width),
            f"{name}: {method} has the shape {tuple(value.shape)}, expected ({len(latents)}, {width}) by width()",
        )
        _require(bool(value.isfinite().all()), f"{name}: {method} holds NaN or infinite values")
    nothing = found["relative of equal views"]
    if not antisymmetric:
        _require(
            torch.allclose(nothing, nothing[:1].expand_as(nothing), atol=TOLERANCE),
            f"{name}: the action between equal views differs from view to view",
        )
        return
    _require(bool((nothing.abs() <= TOLERANCE).all()), f"{name}: the action between equal views is not zero")
    _require(
        torch.allclose(action.relative(other, latents), -found["relative"], atol=TOLERANCE),
        f"{name}: the action back is not minus the action; say antisymmetric=False if that is meant",
    )


def _check_missing_source(dataset: Dataset) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for case, source in (("an empty folder", Path(folder)), ("a missing path", Path(folder) / "missing")):
            name = f"{_name(dataset)}.prepare"
            try:
                list(dataset.prepare(source).samples)
            except DataMissingError:
                continue
            except Exception as error:
                kind = type(error).__name__
                raise PluginError(f"{name} raises {kind} for {case} ({error}); raise DataMissingError") from error
            raise PluginError(f"{name} accepts {case} as its source; raise DataMissingError")


def _check_store(dataset: Dataset, store: Store) -> None:
    schema, name = store.schema, _name(dataset)
    for field, expected in (("dataset", dataset.name), ("modality", dataset.modality)):
        found = getattr(schema, field)
        _require(found == expected, f"{name}: the schema says {field} {found!r}, the data set {expected!r}")
    if schema.modality == "image":
        _require(len(schema.shape) == 3, f"{name}: images have the shape (height, width, channels), not {schema.shape}")
    _check_columns(name, schema)
    for split in (store.train, store.test):
        _check_classes(name, split)
    inputs = to_tensor(store.train.inputs()[:ROWS], schema)
    _check_nuisance(dataset, inputs, schema)
    for action in dataset.actions:
        _check_own_action(dataset, action, store, inputs)


def _check_columns(name: str, schema: Schema) -> None:
    end = 0
    for column in schema.columns:
        _require(column.start == end, f"{name}: the column {column.name!r} begins at {column.start}, expected {end}")
        end = column.stop
    _require(
        not schema.columns or schema.shape == (end,),
        f"{name}: the columns end at {end}, the inputs have the shape {schema.shape}",
    )


def _check_classes(name: str, split: Split) -> None:
    schema = split.schema
    groups = {task: (split.labels(task), classes, -1) for task, classes in schema.tasks.items()}
    groups |= {key: (split.attribute(key), classes, 0) for key, classes in schema.attributes.items()}
    for target, (codes, classes, lowest) in groups.items():
        low, high = int(codes.min()), int(codes.max())
        _require(
            low >= lowest and high < len(classes),
            f"{name}: {target} in the {split.name} split has codes from {low} to {high} for {len(classes)} classes",
        )


def _check_nuisance(dataset: Dataset, inputs: Tensor, schema: Schema) -> None:
    name, before = f"{_name(dataset)}.nuisance", inputs.clone()

    def nuisance(seed: int) -> Tensor:
        return dataset.nuisance(inputs, schema, Generator().manual_seed(seed))

    out = nuisance(0)
    _require(torch.equal(inputs, before), f"{name} changes its inputs in place; work on a copy")
    _check_like(name, inputs, out, schema)
    _check_random(name, nuisance, constant=torch.equal(out, inputs))


def _check_own_action(dataset: Dataset, action: ActionType, store: Store, inputs: Tensor) -> None:
    if not action.recorded:
        check_action_type(action, store.schema, inputs)
        return
    declared = action.name in store.schema.latents
    _require(declared, f"{_name(dataset)}: {action.name} is recorded, but the schema declares no latents of that name")
    latents = torch.from_numpy(store.train.latents(action.name)[:ROWS])
    check_action_type(action, store.schema, inputs, latents, antisymmetric=False)
    _, counts = np.unique(store.train.objects(), return_counts=True)
    _require(
        counts.min() >= 2, f"{_name(dataset)}: {action.name} is recorded, but an object has one view; two are needed"
    )


def _check_random(name: str, draw: Callable[[int], Tensor], *, constant: bool = False) -> None:
    """Whether the generator alone decides: the global generators neither matter nor move."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = _global_states()
        first = draw(0)
        _require(before == _global_states(), f"{name} draws from a global generator; draw from the one it is given")
        torch.manual_seed(2)
        _require(torch.equal(first, draw(0)), f"{name} gives two results for one seed; draw from the generator alone")
    _require(
        constant or not torch.equal(first, draw(1)), f"{name} gives the same for two seeds; draw from the generator"
    )


def _global_states() -> tuple[object, ...]:
    found = np.random.get_state(legacy=False)["state"]  # noqa: NPY002 - watched, not used
    return torch.get_rng_state().numpy().tobytes(), found["key"].tobytes(), found["pos"], random.getstate()


def _name(plugin: ActionType | Dataset) -> str:
    return f"{type(plugin).__name__} ({plugin.name})"


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise PluginError(message)
