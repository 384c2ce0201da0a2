"""Recipes: the TOML files behind ``contextssl reproduce``, which plugins bring.

An experiment is data: which data sets, which runs, which probes, and what was published.
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
from contextssl_cli.experiments.grid import twice
from contextssl_cli.plugin.options import UserValues
from contextssl_cli.plugin.registry import registry

Scale = Literal["demo", "full"]
TableName = Literal["methods", "lengths", "fairness", "sweep"]


class _Model(UserValues):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ProbeFlags(_Model):
    """What ``probe_runs`` is asked for; what is not named is the data set's own."""

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
    """Runs of one method that differ in their seeds, or in what ``vary`` names."""

    name: str = ""
    """What the tables call it; by default the method, and what it is told."""
    method: MethodName = "contextssl"
    equivariant: tuple[str, ...] = ()
    """The action types that it is told."""
    steps: int | None = Field(default=None, ge=1)
    """By default the settings' or the data set's."""
    seeds: tuple[int, ...] = ()
    """By default the study's."""
    settings: dict[str, Any] = Field(default={})
    """As ``pretrain --set``: keys of the model are dotted."""
    vary: dict[str, tuple[Any, ...]] = Field(default={})
    """A grid of settings, as ``sweep --vary``."""


class Study(_Model):
    """Runs on one data set that are compared with one another."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    plugin: str
    """As ``pretrain --plugin``."""
    prepare: dict[str, Any] = Field(default={})
    """Options of the data set; with any, the experiment has a store of its own."""
    preset: Literal["default", "paper"] = "default"
    settings: dict[str, Any] = Field(default={})
    """Of all runs."""
    seeds: tuple[int, ...] = Field(min_length=1)
    budget_minutes: float = Field(gt=0)
    """Wall-clock time of one run that the steps were chosen for."""
    budget_from: str
    """How the budget is known."""
    memory_gib: float = Field(gt=0)
    memory_from: str
    """How the memory is known."""
    probe: ProbeFlags = ProbeFlags()
    tables: tuple[TableName, ...] = ("methods",)
    guarded: bool = False
    """Whether to make the fairness table of strong probes too: every context and guard, raw columns, a reduction."""
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
            if twice(run.seeds or self.seeds):
                raise ValueError(f"{self.name}: a seed is named twice")
            if {"seed", "method", "equivariant", "steps"} & {*run.settings, *run.vary, *self.settings}:
                raise ValueError(f"{self.name}: seeds, method, equivariant and steps have keys of their own")
        return self

    def limited(self, seeds: int) -> Self:
        """The study with the first seeds only."""
        runs = tuple(run.model_copy(update={"seeds": run.seeds[:seeds]}) for run in self.runs)
        return self.model_copy(update={"seeds": self.seeds[:seeds], "runs": runs})


class Published(_Model):
    """Figures of a paper, which stand beside ours."""

    table: TableName
    studies: tuple[str, ...] = ()
    """Whose tables they belong to; all, if none is named."""
    source: str
    figures: dict[str, dict[str, float]]
    """By row, then by column, named as in the table."""


class Recipe(_Model):
    """One experiment, at two scales."""

    title: str
    summary: str
    """What the paper shows, and what is measured here."""
    published_note: str = ""
    """What is to be known of the published figures, or why there are none."""
    published: tuple[Published, ...] = ()
    demo: tuple[Study, ...] = ()
    full: tuple[Study, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        for studies in (self.demo, self.full):
            if doubled := twice(study.name for study in studies):
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
            raise UsageError(f"{self.title}: there is nothing at --scale {scale}; take the other scale")
        known = [study.name for study in found]
        for name in only:
            if name not in known:
                raise UsageError(f"--only {name}: there is no such part: {suggestion(name, known)}")
        return tuple(study for study in found if not only or study.name in only)


def find_recipe(name: str) -> Recipe:
    """The recipe that an installed plugin brings under a name.

    Raises:
        UsageError: if there is none, with a suggestion.
    """
    known = registry().recipes
    if not known:
        failed = ", ".join(row.name for row in registry().rows if row.error)
        raise UsageError(
            f"there is no recipe {name!r}: no plugin brings any (contextssl plugins lists them"
            f"{f'; failed: {failed}' if failed else ''})"
        )
    if name not in known:
        raise UsageError(f"there is no recipe {name!r}: {suggestion(name, known)} (contextssl plugins lists them)")
    return read_recipe(known[name])


def read_recipe(path: Path) -> Recipe:
    """A recipe's file.

    Raises:
        DataMissingError: if it cannot be read.
        CorruptFileError: if it is not TOML, or not a recipe; the key is named.
    """
    try:
        return Recipe.model_validate(files.read_toml(path))
    except ValidationError as error:
        raise CorruptFileError(f"{path} is not a recipe: {invalid_value(error)}") from error
