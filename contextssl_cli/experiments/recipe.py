"""Recipes: the TOML files of ``contextssl reproduce``, which plugins provide.

A recipe names data sets, runs, probes, tables and published figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from contextssl_cli import files
from contextssl_cli.config.methods import MethodName
from contextssl_cli.config.probe import ActionProbe, Metric
from contextssl_cli.errors import CorruptFileError, UsageError, invalid_value, suggestion
from contextssl_cli.plugin.options import UserValues
from contextssl_cli.plugin.registry import registry
from contextssl_cli.report.tables import MEASURES, TableColumn

Scale = Literal["demo", "full"]
TableName = Literal["methods", "lengths", "fairness", "sweep"]


class _Model(UserValues):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ProbeFlags(_Model):
    """Settings of ``probe_runs``; those that are not named are the data set's own."""

    metrics: tuple[Metric, ...] | None = None
    action_probes: tuple[ActionProbe, ...] | None = None
    context_lengths: tuple[int, ...] | None = None
    action_epochs: int | None = None
    label_epochs: int | None = None
    hidden: int | None = None

    def asked(self) -> dict[str, Any]:
        """The values that are named."""
        return self.model_dump(exclude_none=True)


class RunRecipe(_Model):
    """Runs of one method that differ in their seeds, or in the settings of ``vary``."""

    name: str = ""
    """The name in tables; by default the method and the action types that it is conditioned on."""
    method: MethodName = "contextssl"
    equivariant: tuple[str, ...] = ()
    """The action types that the method is conditioned on."""
    steps: int | None = Field(default=None, ge=1)
    """By default those of the settings or of the data set."""
    seeds: tuple[int, ...] = ()
    """By default those of the study."""
    settings: dict[str, Any] = Field(default={})
    """As for ``pretrain --set``: keys of the model are dotted."""
    vary: dict[str, tuple[Any, ...]] = Field(default={})
    """A grid of settings, as for ``sweep --vary``."""


class Study(_Model):
    """Runs on one data set that are compared with one another."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    plugin: str
    """As for ``pretrain --plugin``."""
    prepare: dict[str, Any] = Field(default={})
    """Options of the data set; with any, the study has a store of its own."""
    preset: Literal["default", "paper"] = "default"
    settings: dict[str, Any] = Field(default={})
    """Settings of all runs."""
    seeds: tuple[int, ...] = Field(min_length=1)
    budget_minutes: float = Field(gt=0)
    """Wall-clock time of one run, for which the steps were chosen."""
    budget_from: str
    """How the budget is known."""
    memory_gib: float = Field(gt=0)
    memory_from: str
    """How the memory is known."""
    probe: ProbeFlags = ProbeFlags()
    tables: tuple[TableName, ...] = ("methods",)
    guarded: bool = False
    """Whether to add the fairness table of strong probes: every context and guard, raw columns, and a reduction."""
    retrieval: bool = False
    """Whether to draw nearest neighbours under each context."""
    differs: str
    """What differs from the paper."""
    runs: tuple[RunRecipe, ...] = Field(min_length=1)

    @property
    def dataset(self) -> str:
        """The name of the data set."""
        return self.plugin.partition("-")[0]

    @model_validator(mode="after")
    def _check(self) -> Self:
        for run in self.runs:
            seeds = run.seeds or self.seeds
            if len(set(seeds)) < len(seeds):
                raise ValueError(f"{self.name}: a seed is named twice")
            if {"seed", "method", "equivariant", "steps"} & {*run.settings, *run.vary, *self.settings}:
                raise ValueError(f"{self.name}: seeds, method, equivariant and steps have keys of their own")
        return self

    def limited(self, seeds: int) -> Self:
        """The study with the first seeds only."""
        runs = tuple(run.model_copy(update={"seeds": run.seeds[:seeds]}) for run in self.runs)
        return self.model_copy(update={"seeds": self.seeds[:seeds], "runs": runs})


class PublishedFigures(_Model):
    """Figures of a paper, shown next to ours."""

    table: TableName
    studies: tuple[str, ...] = ()
    """The studies whose tables they belong to; all if none is named."""
    source: str
    figures: dict[str, dict[str, float | dict[str, float]]]
    """By the label of a row, then by metric as in ``results.json`` and, where it has one, by target:
    ``{ r2 = { rotation = 0.744 }, top1 = 0.804 }``. Accuracies are fractions."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for metric in (metric for line in self.figures.values() for metric in line):
            if metric not in MEASURES:
                raise ValueError(f"published: there is no metric {metric!r}: {suggestion(metric, MEASURES)}")
        return self

    def line(self, label: str) -> dict[TableColumn, float]:
        """The figures of a row by column; a figure without a target has a column without one."""
        return {
            TableColumn(metric, target): figure
            for metric, value in self.figures[label].items()
            for target, figure in (value.items() if isinstance(value, dict) else [("", value)])
        }


class Recipe(_Model):
    """One experiment, at two scales."""

    title: str
    summary: str
    """What the paper shows, and what this experiment measures."""
    published_note: str = ""
    """A remark on the published figures, or why there are none."""
    published: tuple[PublishedFigures, ...] = ()
    demo: tuple[Study, ...] = ()
    full: tuple[Study, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        for studies in (self.demo, self.full):
            names = [study.name for study in studies]
            if doubled := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"two studies of a scale are called {doubled[0]}")
        known = {study.name for study in (*self.demo, *self.full)}
        for name in (name for published in self.published for name in published.studies):
            if name not in known:
                raise ValueError(f"published: there is no study {name!r}: {suggestion(name, known)}")
        return self

    def studies(self, scale: Scale, only: Sequence[str] = ()) -> tuple[Study, ...]:
        """The studies of a scale, or some of them.

        Raises:
            UsageError: if there are none, or one of ``only`` is not among them.
        """
        found: tuple[Study, ...] = getattr(self, scale)
        if not found:
            raise UsageError(f"{self.title}: there is no study at --scale {scale}; use the other scale")
        known = [study.name for study in found]
        for name in only:
            if name not in known:
                raise UsageError(f"--only {name}: there is no such study: {suggestion(name, known)}")
        return tuple(study for study in found if not only or study.name in only)


def find_recipe(name: str) -> Recipe:
    """The recipe of this name, from the installed plugins.

    Raises:
        UsageError: if there is none, with a suggestion.
    """
    known = registry().recipes
    if not known:
        failed = ", ".join(row.name for row in registry().rows if row.error)
        raise UsageError(
            f"there is no recipe {name!r}: no plugin provides any (contextssl plugins lists them"
            f"{f'; failed: {failed}' if failed else ''})"
        )
    if name not in known:
        raise UsageError(f"there is no recipe {name!r}: {suggestion(name, known)} (contextssl plugins lists them)")
    return read_recipe(known[name])


def read_recipe(path: Path) -> Recipe:
    """Read and validate the file of a recipe.

    Raises:
        DataMissingError: if it cannot be read.
        CorruptFileError: if it is not TOML, or not a recipe; the key is named.
    """
    try:
        return Recipe.model_validate(files.read_toml(path))
    except ValidationError as error:
        raise CorruptFileError(f"{path} is not a recipe: {invalid_value(error)}") from error
