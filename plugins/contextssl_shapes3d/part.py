"""Which objects there are, and the rendering of some of them: the work of one process at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contextssl_cli.plugin import Samples
from contextssl_shapes3d.families import FAMILIES, make_solid
from contextssl_shapes3d.latents import COLOR, ROTATION, draw_latents
from contextssl_shapes3d.mesh import Floats
from contextssl_shapes3d.render import Bytes, render

TEST_SHARE = 5


@dataclass(frozen=True)
class Plan:
    """What a data set is made of; every object follows from it and its own number alone."""

    objects: int
    views: int
    size: int
    seed: int

    @property
    def splits(self) -> dict[str, range]:
        """Object numbers by split: the last fifth are test data, so no object is in both."""
        test = max(1, self.objects // TEST_SHARE)
        return {"train": range(self.objects - test), "test": range(self.objects - test, self.objects)}

    def family(self, number: int) -> int:
        """The class of an object: the families take turns."""
        return number % len(FAMILIES)

    def draw(self, number: int) -> tuple[Bytes, Floats]:
        """The views of an object, (views, size, size, 3), and their latents, (views, 7)."""
        generator = np.random.default_rng([self.seed, number])
        mesh, palette = make_solid(list(FAMILIES)[self.family(number)], generator)
        latents = draw_latents(generator, self.views)
        return render(mesh, palette, latents, self.size), latents


def render_part(plan: Plan, split: str, numbers: range, layout: Path | None) -> Samples:
    """Render some objects of one split.

    Args:
        plan: of the data set.
        split: of all these objects.
        numbers: of the objects.
        layout: also write them as files into this folder.
    """
    images, latents = zip(*(plan.draw(number) for number in numbers), strict=True)
    if layout:
        from contextssl_shapes3d.layout import write_object

        for number, views, rows in zip(numbers, images, latents, strict=True):
            write_object(layout, plan, number, views, rows)
    rows = np.concatenate(latents)
    return Samples(
        split,
        np.concatenate(images),
        labels={"family": np.repeat([plan.family(number) for number in numbers], plan.views)},
        latents={"rotation": rows[:, ROTATION], "color": rows[:, COLOR]},
        objects=np.repeat(numbers, plan.views),
    )
