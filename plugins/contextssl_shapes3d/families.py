"""The classes of shapes3d: one family of solids each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from contextssl_shapes3d import letters, solids, things
from contextssl_shapes3d.mesh import ACCENT, BODY, DETAIL, Floats, Mesh
from contextssl_shapes3d.render import hsv_to_rgb

FAMILIES: dict[str, Callable[[np.random.Generator], Mesh]] = {
    "superquadric": solids.superquadric_family,
    "prism": solids.prism,
    "gear": solids.gear,
    "star": solids.star,
    "torus": solids.torus,
    "spiral": solids.spiral,
    "spring": solids.spring,
    "cone": solids.cone,
    "bottle": solids.bottle,
    "letter_f": letters.letter_f,
    "letter_g": letters.letter_g,
    "letter_k": letters.letter_k,
    "letter_r": letters.letter_r,
    "l_bracket": letters.l_bracket,
    "t_bracket": letters.t_bracket,
    "u_bracket": letters.u_bracket,
    "mug": things.mug,
    "table": things.table,
    "chair": things.chair,
    "lamp": things.lamp,
    "hammer": things.hammer,
    "key": things.key,
    "house": things.house,
    "stairs": things.stairs,
    "aeroplane": things.aeroplane,
    "car": things.car,
}
"""A maker of meshes by class name, upright and facing the camera at rotation zero."""


def make_solid(family: str, generator: np.random.Generator) -> tuple[Mesh, Floats]:
    """One object: its mesh, inside the unit sphere, and its palette, (tints, 3) linear RGB.

    Args:
        family: a key of ``FAMILIES``.
        generator: decides shape, proportions and colours.
    """
    mesh = FAMILIES[family](generator).scaled(*generator.uniform(0.85, 1.15, size=3)).normalised()
    palette = np.empty((3, 3))
    for tint, values in ((BODY, (0.7, 0.95)), (ACCENT, (0.3, 0.5)), (DETAIL, (0.04, 0.15))):
        # Nearly grey: the hue of the light must be readable from the object.
        palette[tint] = hsv_to_rgb(generator.uniform(), generator.uniform(0, 0.25), generator.uniform(*values))
    return mesh, palette
