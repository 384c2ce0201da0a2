"""Families of everyday things, simplified: furniture, tools, vehicles, buildings."""

from __future__ import annotations

import numpy as np

from contextssl_shapes3d.mesh import ACCENT, BODY, DETAIL, Mesh, ball, box, cylinder, extrude, join, lathe, superquadric
from contextssl_shapes3d.solids import handle

Generator = np.random.Generator


def mug(rng: Generator) -> Mesh:
    """An open cup with a handle to the right and a badge in front."""
    lower, upper, wall = rng.uniform(0.5, 0.75), rng.uniform(0.6, 0.85), 0.08
    half = rng.uniform(0.6, 0.95)
    profile = [
        (0, -half),
        (lower, -half),
        (upper, half),
        (upper - wall, half),
        (lower - wall, 0.15 - half),
        (0, 0.15 - half),
    ]
    badge = box((rng.uniform(0.3, 0.5), 0.2, rng.uniform(0.3, 0.5)), (0, -(lower + upper) / 2, 0.1), DETAIL)
    return join([lathe(profile), handle((lower, 0, 0), half * rng.uniform(0.5, 0.75), rng.uniform(0.07, 0.12)), badge])


def table(rng: Generator) -> Mesh:
    """A top on four legs, with a drawer at the front left and a lamp foot at the back right."""
    x, y = rng.uniform(0.8, 1.2), rng.uniform(0.5, 0.8)
    leg, height = rng.uniform(0.1, 0.2), rng.uniform(0.8, 1.3)
    top = box((2 * x, 2 * y, rng.uniform(0.1, 0.2)), (0, 0, height / 2))
    inset = (x - leg / 2, y - leg / 2)
    legs = [box((leg, leg, height), (sx * inset[0], sy * inset[1], 0)) for sx in (-1, 1) for sy in (-1, 1)]
    drawer = box((x * rng.uniform(0.6, 0.9), y, 0.35), (-x / 2, -y / 2, height / 2 - 0.2), ACCENT)
    jar = cylinder(rng.uniform(0.12, 0.2), rng.uniform(0.35, 0.6), tint=DETAIL).moved(
        x * 0.6, y * 0.4, height / 2 + 0.3
    )
    return join([top, *legs, drawer, jar])


def chair(rng: Generator) -> Mesh:
    """A seat with four legs, a back and one armrest, to the right."""
    x, y = rng.uniform(0.5, 0.7), rng.uniform(0.5, 0.7)
    leg, height, back = rng.uniform(0.1, 0.16), rng.uniform(0.7, 1.0), rng.uniform(0.8, 1.2)
    legs = [
        box((leg, leg, height), (sx * (x - leg / 2), sy * (y - leg / 2), -height / 2))
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    seat = box((2 * x, 2 * y, 0.14))
    rest = box((2 * x, 0.12, back), (0, y, back / 2), ACCENT)
    arm = box((0.14, 1.5 * y, 0.12), (x, 0.2 * y, rng.uniform(0.35, 0.5)), DETAIL)
    post = box((0.12, 0.12, 0.45), (x, -0.4 * y, 0.2), DETAIL)
    return join([*legs, seat, rest, arm, post])


def lamp(rng: Generator) -> Mesh:
    """A foot, a pole and a shade on an arm to the right, a switch in front."""
    foot = cylinder(rng.uniform(0.45, 0.65), 0.15, tint=ACCENT).moved(z=-1)
    pole = cylinder(rng.uniform(0.06, 0.1), 2.0)
    reach = rng.uniform(0.5, 0.8)
    arm = cylinder(0.07, reach).turned("y", np.pi / 2).moved(reach / 2, 0, 1)
    shade = cylinder(rng.uniform(0.45, 0.6), rng.uniform(0.5, 0.7), upper=rng.uniform(0.15, 0.3)).moved(reach, 0, 0.75)
    switch = box((0.25, rng.uniform(0.3, 0.5), 0.2), (0, -0.5, -0.9), DETAIL)
    return join([foot, pole, arm, shade.tinted(BODY), switch])


def hammer(rng: Generator) -> Mesh:
    """A handle with a head: block to the right, wedge to the left, a ring in front."""
    shaft = cylinder(rng.uniform(0.09, 0.14), 2.0, upper=rng.uniform(0.07, 0.12)).moved(z=-0.2)
    size = rng.uniform(0.35, 0.5)
    block = box((rng.uniform(0.5, 0.7), size, size), (0.25, 0, 0.8), ACCENT)
    wedge = extrude([(-1, 0), (0, -0.5), (0, 0.5)], size).scaled(rng.uniform(0.5, 0.8), size, 1)
    wedge = wedge.turned("x", np.pi / 2).tinted(ACCENT).moved(0, 0, 0.8)
    stud = ball(rng.uniform(0.14, 0.2), (0, -0.12, -0.5), DETAIL)
    return join([shaft, block, wedge, stud])


def key(rng: Generator) -> Mesh:
    """A shaft with a disc above and two bits below to the right, the lower one longer; a boss in front."""
    disc = cylinder(rng.uniform(0.4, 0.55), rng.uniform(0.2, 0.35)).turned("x", np.pi / 2).moved(z=0.8)
    shaft = box((rng.uniform(0.14, 0.22), 0.2, 1.7), (0, 0, -0.3))
    bits = [
        box((length, 0.22, rng.uniform(0.15, 0.25)), (length / 2, 0, height), ACCENT)
        for length, height in ((rng.uniform(0.3, 0.45), -0.55), (rng.uniform(0.55, 0.75), -0.95))
    ]
    boss = box((0.3, 0.3, rng.uniform(0.3, 0.5)), (0, -0.15, 0.8), DETAIL)
    return join([disc, shaft, *bits, boss])


def house(rng: Generator) -> Mesh:
    """Walls under a gable roof, a chimney at the right, a door at the front left."""
    x, y, z = rng.uniform(0.7, 1.0), rng.uniform(0.5, 0.8), rng.uniform(0.4, 0.7)
    walls = box((2 * x, 2 * y, 2 * z))
    rise = rng.uniform(0.5, 0.9)
    gable = extrude([(-0.5, -0.4), (0.5, -0.4), (0, 0.6)], 2.2 * x, tint=ACCENT).scaled(2.3 * y, rise, 1)
    roof = gable.turned("x", np.pi / 2).turned("z", np.pi / 2).moved(z=z + rise / 3)
    chimney = box((0.25, 0.25, rng.uniform(0.7, 1.0)), (x * 0.6, y * 0.3, z + rise * 0.7), DETAIL)
    door = box((rng.uniform(0.3, 0.45), 0.2, z), (-x * 0.4, -y, -z / 2), DETAIL)
    return join([walls, roof, chimney, door])


def stairs(rng: Generator) -> Mesh:
    """Three to five steps that rise to the right, a rail at the back and a bollard in front."""
    steps, width = int(rng.integers(3, 6)), rng.uniform(0.7, 1.2)
    run, rise = 1.8 / steps, rng.uniform(1.2, 1.8) / steps
    blocks = [box((run, width, rise * (n + 1)), (run * (n + 0.5) - 0.9, 0, rise * (n + 1) / 2)) for n in range(steps)]
    rail = (
        box((2.2, 0.2, 0.12), tint=ACCENT).turned("y", -np.arctan2(rise, run)).moved(0, width / 2, rise * steps * 0.8)
    )
    bollard = cylinder(rng.uniform(0.1, 0.16), rng.uniform(0.5, 0.8), tint=DETAIL).moved(-0.7, -width / 2 - 0.15, 0.3)
    return join([*blocks, rail, bollard])


def aeroplane(rng: Generator) -> Mesh:
    """A fuselage to the right with wings, a fin, and one engine under the near wing."""
    body = superquadric((1.0, rng.uniform(0.14, 0.2), rng.uniform(0.14, 0.22)), 1.0, 1.0)
    wings = box((rng.uniform(0.3, 0.5), rng.uniform(1.5, 1.9), 0.07), (rng.uniform(-0.05, 0.2), 0, 0), ACCENT)
    tail = box((0.22, rng.uniform(0.5, 0.8), 0.06), (-0.85, 0, 0.05))
    fin = box((rng.uniform(0.2, 0.3), 0.06, rng.uniform(0.4, 0.6)), (-0.85, 0, 0.3), ACCENT)
    engine = superquadric((0.25, 0.12, 0.12), 0.5, 1.0, DETAIL).moved(0.15, -0.5, -0.12)
    return join([body, wings, tail, fin, engine])


def car(rng: Generator) -> Mesh:
    """A body facing right with a cabin, four wheels, and a mast at the back left."""
    length, width, height = rng.uniform(0.9, 1.1), rng.uniform(0.4, 0.55), rng.uniform(0.3, 0.45)
    body = box((2 * length, 2 * width, height))
    cabin = box((rng.uniform(0.7, 1.1), 1.7 * width, rng.uniform(0.35, 0.5)), (-0.3, 0, height / 2 + 0.2), ACCENT)
    radius = rng.uniform(0.2, 0.3)
    wheel = cylinder(radius, 0.2, tint=DETAIL).turned("x", np.pi / 2)
    wheels = [wheel.moved(sx * length * 0.6, sy * width, -height / 2) for sx in (-1, 1) for sy in (-1, 1)]
    mast = box((0.1, 0.1, rng.uniform(0.7, 1.0)), (-length * 0.9, -width * 0.8, 0.5), DETAIL)
    return join([body, cabin, *wheels, mast])
