"""The rendering of some objects: the work of one process at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from contextssl_cli.plugin import Samples
from contextssl_shapes3d.families import make_solid
from contextssl_shapes3d.latents import COLOR, ROTATION, draw_latents
from contextssl_shapes3d.layout import write_object
from contextssl_shapes3d.mesh import Floats
from contextssl_shapes3d.plan import Plan
from contextssl_shapes3d.render import Bytes, render


def render_part(plan: Plan, split: str, numbers: range, layout: Path | None) -> Samples:
    """Render some objects of one split.

    Args:
        plan: of the data set.
        split: of all these objects.
        numbers: of the objects.
        layout: also write them as files into this folder.
    """
    images, latents = zip(*(render_object(plan, number) for number in numbers), strict=True)
    if layout:
        for number, views, rows in zip(numbers, images, latents, strict=True):
            write_object(layout, plan, number, views, rows)
    rows = np.concatenate(latents)
    return Samples(
        split,
        np.concatenate(images),
        labels={"family": np.repeat([plan.label(number) for number in numbers], plan.views)},
        latents={"rotation": rows[:, ROTATION], "color": rows[:, COLOR]},
        objects=np.repeat(numbers, plan.views),
    )


def render_object(plan: Plan, number: int) -> tuple[Bytes, Floats]:
    """The views of an object, (views, size, size, 3), and their latents, (views, 7)."""
    generator = np.random.default_rng([plan.seed, number])
    mesh, palette = make_solid(plan.family(number), generator)
    latents = draw_latents(generator, plan.views)
    return render(mesh, palette, latents, plan.size), latents
