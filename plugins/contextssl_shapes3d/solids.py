"""Families of geometric solids. Each breaks its own symmetry with parts that stand off centre."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contextssl_shapes3d.mesh import (
    ACCENT,
    DETAIL,
    Floats,
    Mesh,
    ball,
    box,
    cylinder,
    extrude,
    join,
    lathe,
    superquadric,
    tube,
)  # fmt: skip

Generator = np.random.Generator


def superquadric_family(rng: Generator) -> Mesh:
    """A superquadric with a horn to the right and up, and a stud in front."""
    x, y, z = rng.uniform(0.55, 1.0, size=3)
    body = superquadric((x, y, z), rng.uniform(0.3, 1.6), rng.uniform(0.3, 1.6))
    horn = cylinder(rng.uniform(0.16, 0.28), rng.uniform(0.5, 0.9), upper=0.02, tint=ACCENT)
    horn = horn.turned("y", rng.uniform(0.5, 0.9)).moved(x * 0.75, 0, z * 0.8)
    return join([body, horn, ball(rng.uniform(0.14, 0.24), (0, -y, -0.1 * z), DETAIL)])


def prism(rng: Generator) -> Mesh:
    """A frustum over three to six corners with a rod at one side of its top and a panel in front."""
    corners = int(rng.integers(3, 7))
    height = rng.uniform(0.9, 1.7)
    body = extrude(polygon(corners), height, taper=rng.uniform(0.5, 0.95))
    rod = cylinder(rng.uniform(0.08, 0.14), rng.uniform(0.4, 0.8), tint=ACCENT).moved(0.3, 0, height / 2)
    panel = box((rng.uniform(0.3, 0.6), 0.3, rng.uniform(0.25, 0.5)), (-0.2, -0.7, -height / 4), DETAIL)
    return join([body, rod, panel])


def gear(rng: Generator) -> Mesh:
    """A toothed wheel; one tooth is long, and the hub stands out in front."""
    teeth, depth = int(rng.integers(7, 14)), rng.uniform(0.12, 0.25)
    radius = np.tile([1.0, 1.0, 1 - depth, 1 - depth], teeth)
    radius[:2] += rng.uniform(0.25, 0.4)
    angle = (np.arange(4 * teeth) + 0.5) * (np.pi / 2 / teeth) + np.pi / 2
    thickness = rng.uniform(0.25, 0.5)
    wheel = extrude(_polar(radius, angle), thickness).turned("x", np.pi / 2)
    hub = cylinder(rng.uniform(0.2, 0.35), rng.uniform(0.3, 0.6), tint=ACCENT).turned("x", np.pi / 2)
    key = box((0.5, thickness * 1.2, rng.uniform(0.12, 0.2)), (0.5, 0, 0), DETAIL)
    return join([wheel, hub.moved(y=-thickness / 2), key])


def star(rng: Generator) -> Mesh:
    """A star with one long ray and a raised middle in front."""
    rays, inner = int(rng.integers(4, 8)), rng.uniform(0.35, 0.55)
    radius = np.tile([1.0, inner], rays)
    radius[0] = rng.uniform(1.3, 1.6)
    thickness = rng.uniform(0.2, 0.4)
    body = extrude(_polar(radius, np.arange(2 * rays) * np.pi / rays + np.pi / 2), thickness).turned("x", np.pi / 2)
    middle = cylinder(inner, rng.uniform(0.3, 0.5), upper=0.05, tint=ACCENT).turned("x", np.pi / 2)
    return join([body, middle.moved(y=-thickness / 2), ball(0.18, (0.55, 0, 0), DETAIL)])


def torus(rng: Generator) -> Mesh:
    """A ring that swells towards its top, with a stone to the right and a bead in front."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    thin, thick = rng.uniform(0.1, 0.18), rng.uniform(0.26, 0.4)
    radius = thin + (thick - thin) * (1 + np.sin(angle)) / 2
    path = np.stack([np.cos(angle), np.zeros(40), rng.uniform(0.75, 1.1) * np.sin(angle)], axis=1)
    stone = box((0.4, 0.7, rng.uniform(0.35, 0.6)), (1.2, 0, 0), ACCENT)
    return join([tube(path, radius, closed=True), stone, ball(0.2, (-0.4, -0.25, 0.9), DETAIL)])


def spiral(rng: Generator) -> Mesh:
    """A band that winds outwards and away from the camera, a ball at its outer end and a knob in the middle."""
    turns = rng.uniform(1.6, 2.6)
    along = np.linspace(0.12, 1, 90)
    angle = 2 * np.pi * turns * (along - 1)
    path = np.stack([along * np.cos(angle), along * rng.uniform(0.4, 0.9), along * np.sin(angle)], axis=1)
    end = ball(rng.uniform(0.18, 0.28), path[-1], ACCENT)
    knob = box((0.3, 0.3, 0.3), path[0] - (0, 0.1, 0), DETAIL)
    return join([tube(path, 0.05 + rng.uniform(0.04, 0.1) * along, segments=8), end, knob])


def spring(rng: Generator) -> Mesh:
    """A conical coil on a foot plate that reaches to the right, with a hook on top."""
    turns, along = rng.uniform(2.5, 4.5), np.linspace(0, 1, 110)
    angle, radius = 2 * np.pi * turns * along, 0.6 - rng.uniform(0.1, 0.35) * along
    height = rng.uniform(1.2, 1.8)
    path = np.stack([radius * np.cos(angle), radius * np.sin(angle), height * along], axis=1)
    plate = box((1.6, rng.uniform(0.5, 0.9), 0.15), (0.3, 0, -0.1), ACCENT)
    hook = box((0.2, rng.uniform(0.6, 1.0), 0.2), path[-1] + (0, -0.35, 0.05), DETAIL)
    return join([tube(path, rng.uniform(0.07, 0.12), segments=8), plate, hook])


def cone(rng: Generator) -> Mesh:
    """A leaning cone with a handle to the right and a door in front."""
    height, lean = rng.uniform(1.4, 2.0), rng.uniform(0.2, 0.5)
    body = cylinder(rng.uniform(0.7, 0.95), height, upper=rng.uniform(0.02, 0.15))
    body = Mesh(body.vertices + np.outer(body.vertices[:, 2], (0, lean, 0)), body.faces, body.tints)
    door = box((rng.uniform(0.3, 0.45), 0.5, rng.uniform(0.4, 0.6)), (-0.1, -0.75, -height * 0.3), DETAIL)
    return join([body, handle((0.55, 0, -0.2), rng.uniform(0.35, 0.5), 0.08), door])


def bottle(rng: Generator) -> Mesh:
    """A turned body with a spout to the left, a label in front and a stopper."""
    belly, neck = rng.uniform(0.5, 0.8), rng.uniform(0.14, 0.24)
    profile = [(0, -1), (belly * rng.uniform(0.6, 1), -1), (belly, rng.uniform(-0.6, -0.1)), (neck, 0.4), (neck, 0.9)]
    spout = cylinder(rng.uniform(0.1, 0.16), 0.8, upper=0.07, tint=ACCENT).turned("y", -rng.uniform(0.7, 1.0))
    label = box((belly * 0.9, 0.25, rng.uniform(0.25, 0.45)), (0, -belly * 0.85, -0.4), DETAIL)
    top = ball(neck * rng.uniform(1.2, 1.7), (0, 0, 0.95), DETAIL)
    return join([lathe(profile), spout.moved(-belly, 0, 0.15), label, top])


def handle(centre: tuple[float, float, float], radius: float, thickness: float) -> Mesh:
    """Half a ring that stands out to the right."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 15)
    path = np.stack([radius * np.cos(angle), np.zeros(15), radius * np.sin(angle)], axis=1) + centre
    return tube(path, thickness, segments=8, tint=ACCENT)


def polygon(corners: int) -> Floats:
    """The corners of a regular polygon of radius 1, one side towards the camera."""
    return _polar(np.ones(corners), (2 * np.arange(corners) + 1) * np.pi / corners - np.pi / 2)


def _polar(radius: NDArray[Any], angle: NDArray[Any]) -> Floats:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
