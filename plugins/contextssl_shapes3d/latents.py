"""The latents of a view, seven numbers in 3DIEBench's order, drawn from its ranges.

Rotation x, y, z (radians, about the fixed axes in that order), floor hue, light theta, light phi, light hue.
"""

from __future__ import annotations

import numpy as np

from contextssl_shapes3d.mesh import Floats, axis_rotation

ROTATION = slice(0, 3)
FLOOR_HUE, LIGHT_THETA, LIGHT_PHI, LIGHT_HUE = 3, 4, 5, 6
COLOR = (FLOOR_HUE, LIGHT_HUE)
LOWEST = np.array([-np.pi / 2, -np.pi / 2, -np.pi / 2, 0, 0, 0, 0])
HIGHEST = np.array([np.pi / 2, np.pi / 2, np.pi / 2, 1, np.pi / 4, 2 * np.pi, 1])


def draw_latents(generator: np.random.Generator, views: int) -> Floats:
    """(views, 7), each uniform in its range."""
    return generator.uniform(LOWEST, HIGHEST, size=(views, len(LOWEST)))


def rotation_matrices(angles: Floats) -> Floats:
    """(N, 3) extrinsic x, y, z angles to (N, 3, 3) matrices that turn columns: first about x, then y, then z."""
    x, y, z = (axis_rotation(axis, angle) for axis, angle in zip("xyz", angles.T, strict=True))
    return np.asarray(z @ y @ x)
