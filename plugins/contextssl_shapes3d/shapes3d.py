"""Procedural solids from many sides and in many lights: a stand-in for 3DIEBench, in its format, made on the spot."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from contextssl_cli.errors import UsageError
from contextssl_cli.plugin import Dataset, Options, Prepared, Schema
from contextssl_cli.plugin.recorded import RecordedDifference, RecordedRotation
from contextssl_shapes3d.families import FAMILIES
from contextssl_shapes3d.layout import start_layout
from contextssl_shapes3d.part import render_part
from contextssl_shapes3d.plan import Plan
from contextssl_shapes3d.render import require_embree

OBJECTS_PER_PART = 20
MEAN, STD = (0.535, 0.535, 0.535), (0.154, 0.154, 0.154)
"""Measured on the default training split; equal, because all hues are equally likely."""


class Shapes3DOptions(Options):
    """What is rendered."""

    objects: int = Field(default=2000, ge=2, description="Number of objects; the last fifth are test data.")
    views: int = Field(default=20, ge=2, description="Views of each object.")
    size: int = Field(default=64, ge=16, le=512, description="Height and width of the images, in pixels.")
    seed: int = Field(
        default=0, ge=0, description="Seed of shapes, colours and views; the same seed gives the same bytes."
    )
    layout: Literal["3diebench"] | None = Field(
        default=None, description="Also write images, latents and lists as files in the layout of 3DIEBench."
    )
    layout_dir: Path | None = Field(default=None, description="Folder for --layout.")

    @model_validator(mode="after")
    def _check_layout(self) -> Self:
        if (self.layout is None) != (self.layout_dir is None):
            raise ValueError("--layout 3diebench and --layout-dir DIR go together")
        return self


class Shapes3D(Dataset):
    """Rendered objects of 3DIEBench's format: it is not 3DIEBench, and its figures are not 3DIEBench's."""

    name = "shapes3d"
    summary = "procedural solids rendered in 3DIEBench's format (not 3DIEBench), with rotation and hues; no download"
    modality = "image"
    licence = "MIT (made by this package)"
    needs_source = False
    options = Shapes3DOptions
    trial: ClassVar[dict[str, Any]] = {"objects": 6, "views": 12, "size": 16}
    actions = (
        RecordedRotation(),
        RecordedDifference("color", 2, "hues of floor and spot light, each 0 to 1; two differences"),
    )
    training: ClassVar[dict[str, Any]] = {
        "steps": 3000,
        "model": {"encoder": "convnet", "feature_dim": 128, "encoder_width": 64, "width": 128, "aux_hidden": 256},
    }
    probing: ClassVar[dict[str, Any]] = {"action_batch_size": 512, "label_batch_size": 256}

    def prepare(self, source: Path | None, options: Shapes3DOptions) -> Prepared:
        """Render all objects; in parts, so that every core works.

        Raises:
            UsageError: if a source is given, or the layout's folder holds something else.
            PluginError: if embreex is not installed.
        """
        if source is not None:
            raise UsageError("shapes3d is rendered on the spot and takes no --source")
        require_embree()
        plan = Plan(options.objects, options.views, options.size, options.seed)
        if options.layout_dir:
            start_layout(options.layout_dir, plan)
        schema = Schema(
            dataset=self.name,
            modality=self.modality,
            shape=(options.size, options.size, 3),
            dtype="uint8",
            tasks={"family": tuple(FAMILIES)},
            latents={"rotation": 3, "color": 2},
            mean=MEAN,
            std=STD,
        )
        parts = [
            functools.partial(render_part, plan, split, numbers[start : start + OBJECTS_PER_PART], options.layout_dir)
            for split, numbers in plan.splits.items()
            for start in range(0, len(numbers), OBJECTS_PER_PART)
        ]
        return Prepared(schema, parts=parts)
