"""The commands that reproduce a result, from the settings that the user asked for."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contextssl_cli import paths
from contextssl_cli.config.resolve import Asked, parse_setting
from contextssl_cli.errors import ContextSSLError
from contextssl_cli.evaluation.protocol import probe_config
from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.plugin.task import Task, resolve_task
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.run import Run

_FLAGS = {"steps": "--steps", "batch_size": "--batch-size", "lr": "--lr", "seed": "--seed", "method": "--method"}
_PROBE_FLAGS = {"metrics": "--metrics", "action_probes": "--probes", "context_lengths": "--lengths", "seed": "--seed",
                "judged_on": "--judge-on"}  # fmt: skip


def stored_task(report: ProbeReport) -> Task | None:
    """The task of a report with the default options; None if its plugins are not installed."""
    try:
        return resolve_task(report.task)
    except ContextSSLError:
        return None


def stored_asked(about: Mapping[str, Any]) -> Asked | None:
    """The settings that the user asked for when a run was started; None if its result does not keep them."""
    try:
        return Asked.model_validate(about["asked"])
    except (KeyError, ValidationError):
        return None


def stored_run(about: Mapping[str, Any]) -> Run | None:
    """The run that a result was measured on; None if it was removed, or trained since."""
    try:
        run = Run(Path(about["folder"]))
        return run if run.fingerprint() == about["fingerprint"] else None
    except (ContextSSLError, OSError):
        return None


def reproducing_commands(report: ProbeReport, task: Task, folders: Sequence[str], out: str = "results") -> list[str]:
    """Prepare, pretrain each run, and probe them; none if the result does not keep what was asked for.

    Args:
        report: of the runs.
        task: its own.
        folders: names for the runs, relative to the working folder.
        out: a name for the folder of the results.
    """
    asked = [stored_asked(run) for run in report.protocol["runs"]]
    runs = [run for run in map(stored_run, report.protocol["runs"]) if run]
    store = _store_name(Path(runs[0].record.store), task) if runs else ""
    trained = [_pretrain(task, one, store, folder) for one, folder in zip(asked, folders, strict=True) if one]
    if len(trained) < len(asked):
        return []
    return [_prepare(task, _provenance(report, runs), store), *trained, probe_command(report, folders, out)]


def _store_name(store: Path, task: Task) -> str:
    """A name for the store in the working folder; empty for the data set's default store."""
    own = paths.store_path(task.dataset.name)
    return "" if store.parts[-2:] == own.parts[-2:] else store.name  # CONTEXTSSL_HOME may differ


def _prepare(task: Task, provenance: Mapping[str, Any], store: str) -> str:
    words = ["contextssl", "prepare", task.dataset.name]
    if provenance.get("source") or task.dataset.needs_source:
        words += ["--source", str(provenance.get("source") or "DIR")]
    for name, value in provenance.get("options", {}).items():
        field = task.dataset.options.model_fields.get(name)
        if field is None or value in (field.default, None) or (value == [] and not field.default):
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words.append(",".join(map(str, value)) if isinstance(value, list) else str(value))
    return shlex.join([*words, *(["--out", store] if store else [])])


def _provenance(report: ProbeReport, runs: Sequence[Run]) -> dict[str, Any]:
    """How the store of the runs was made, if the store still exists."""
    for run in runs:
        try:
            store = Store(Path(run.record.store))
        except (ContextSSLError, OSError):
            continue
        if store.content_hash == report.protocol["store_hash"]:
            return store.provenance
    return {}


def _pretrain(task: Task, asked: Asked, store: str, out: str) -> str:
    words = ["contextssl", "pretrain", "--plugin", task.name, *(["--store", store] if store else []), *_preset(asked)]
    for key, value in asked.named().items():
        if key == "equivariant":
            words += [word for name in value for word in ("--equivariant", name)]
        elif key in _FLAGS and value is not None:
            words += [_FLAGS[key], str(value)]
        else:
            words += ["--set", f"{key}={_toml(value)}"]
    return shlex.join([*words, "--out", out])


def _preset(asked: Asked) -> list[str]:
    return ["--preset", asked.preset] if asked.preset != "default" else []


def probe_command(report: ProbeReport, folders: Sequence[str], out: str, *, compare: bool = False) -> str:
    """The command that probes or compares runs with the settings of a report; empty if plugins are missing."""
    task = stored_task(report)
    if task is None:
        return ""
    words = ["contextssl", "probe", *(word for folder in folders for word in ("--run", folder))]
    words += _probe_flags(report, task)
    return shlex.join([*words, *(["--compare"] if compare else []), "--out", out])


def sweep_command(report: ProbeReport, vary: Mapping[str, Sequence[Any]], seeds: Sequence[int], store: Path) -> str:
    """The command that reproduces a sweep; empty if a plugin is missing or the result does not keep its settings.

    Args:
        report: of one of its points.
        vary: values by key.
        seeds: of every point.
        store: that its runs were trained on.
    """
    task, asked = stored_task(report), stored_asked(report.protocol["runs"][0])
    if task is None or asked is None:
        return ""
    words = ["contextssl", "sweep", "--plugin", task.name]
    for key, values in vary.items():
        words += ["--vary", f"{key}={_listed(values)}"]
    words += ["--seeds", ",".join(map(str, seeds))]
    name = _store_name(store, task)
    words += ["--store", name] if name else []
    words += _preset(asked)
    for key, value in asked.named().items():
        if key != "seed" and not any(key == varied or key.startswith(f"{varied}.") for varied in vary):
            words += ["--set", f"{key}={_toml(value)}"]
    return shlex.join([*words, *_probe_flags(report, task)])


def settings_without_flags(report: ProbeReport, task: Task) -> list[str]:
    """The probe settings that differ from the task's and have no flag, as ``key = value``; only recipes set them."""
    default = probe_config(task.dataset).model_dump(mode="json")
    used = report.probe_settings.model_dump(mode="json")
    return [f"{key} = {used[key]}" for key in default if key not in _PROBE_FLAGS and used[key] != default[key]]


def _probe_flags(report: ProbeReport, task: Task) -> list[str]:
    words: list[str] = []
    default, used = probe_config(task.dataset).model_dump(mode="json"), report.probe_settings.model_dump(mode="json")
    for key, flag in _PROBE_FLAGS.items():
        value = used[key]
        if value != default[key]:
            words += [flag, (",".join(map(str, value)) or "none") if isinstance(value, list) else str(value)]
    return words


def _listed(values: Sequence[Any]) -> str:
    """Values as ``--vary`` reads them: bare words, unless one would be split."""
    split = any(isinstance(value, str) and ("," in value or not value.strip()) for value in values)
    return ",".join(map(_literal if split else _toml, values))


def _toml(value: Any) -> str:
    """A value as ``--set`` reads it; text is quoted only where it would be read as something else."""
    if value is None:
        return "none"
    plain = isinstance(value, str) and parse_setting(f"key={value}")[1] == value
    return value if plain else _literal(value)


def _literal(value: Any) -> str:
    """A TOML value in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_literal(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return json.dumps(value)
