"""Families of letters and brackets: bars with a depth, and a mark that tells the front."""

from __future__ import annotations

import numpy as np

from contextssl_shapes3d.mesh import ACCENT, DETAIL, Mesh, ball, box, cylinder, join, tube

Generator = np.random.Generator
DEEPER = 1.12
"""Parts that cross differ in depth: faces in one plane would flicker."""


def letter_f(rng: Generator) -> Mesh:
    """F: a stem and two arms."""
    width, depth = rng.uniform(0.22, 0.36), rng.uniform(0.25, 0.5)
    lower = rng.uniform(-0.1, 0.25)
    stem = box((width, depth, 2), (-0.5, 0, 0))
    upper_arm = box((rng.uniform(0.9, 1.3), DEEPER**2 * depth, width), (0, 0, 1 - width / 2))
    lower_arm = box((rng.uniform(0.6, 0.9), DEEPER * depth, width), (-0.15, 0, lower), ACCENT)
    return join([stem, upper_arm, lower_arm, _mark(-0.5, -depth / 2, -0.7)])


def letter_r(rng: Generator) -> Mesh:
    """R: a stem, a bow and a slanted leg."""
    width, depth = rng.uniform(0.2, 0.32), rng.uniform(0.25, 0.5)
    stem = box((width, depth, 2), (-0.5, 0, 0))
    angle = np.linspace(-np.pi / 2, np.pi / 2, 13)
    radius, reach = 0.45, rng.uniform(0.8, 1.2)
    path = np.stack([-0.4 + reach * np.cos(angle), np.zeros(13), 0.5 + radius * np.sin(angle)], axis=1)
    bow = tube(path, width / 2, segments=8).scaled(1, depth / width, 1)
    leg = box((width, DEEPER * depth, 1.25), tint=ACCENT).turned("y", -rng.uniform(0.4, 0.65)).moved(0.1, 0, -0.5)
    return join([stem, bow, leg, _mark(-0.5, -depth / 2, -0.7)])


def letter_g(rng: Generator) -> Mesh:
    """G: an open ring with a bar."""
    width, depth = rng.uniform(0.12, 0.2), rng.uniform(0.25, 0.5)
    angle = np.linspace(rng.uniform(0.6, 0.9), 2 * np.pi, 30)
    path = np.stack([rng.uniform(0.7, 0.95) * np.cos(angle), np.zeros(30), np.sin(angle)], axis=1)
    ring = tube(path, width, segments=8).scaled(1, depth / width / 2, 1)
    bar = box((rng.uniform(0.4, 0.6), DEEPER * depth, 2 * width), (0.6, 0, 0), ACCENT)
    return join([ring, bar, _mark(-0.8, -depth / 2, 0.2)])


def letter_k(rng: Generator) -> Mesh:
    """K: a stem and two slanted arms, the lower one longer."""
    width, depth = rng.uniform(0.2, 0.32), rng.uniform(0.25, 0.5)
    slant = rng.uniform(0.6, 0.9)
    upper = box((width, DEEPER * depth, rng.uniform(0.9, 1.2))).turned("y", slant).moved(0.05, 0, 0.45)
    lower = (
        box((width, DEEPER**2 * depth, rng.uniform(1.3, 1.6)), tint=ACCENT).turned("y", -slant).moved(0.15, 0, -0.45)
    )
    return join([box((width, depth, 2), (-0.5, 0, 0)), upper, lower, _mark(-0.5, -depth / 2, 0.7)])


def l_bracket(rng: Generator) -> Mesh:
    """Two plates at a right angle, a rib between them and a bolt on one."""
    width, thickness = rng.uniform(0.6, 1.1), rng.uniform(0.15, 0.28)
    base = box((rng.uniform(1.4, 2.0), DEEPER * width, thickness), (0.2, 0, -0.8))
    wall = box((thickness, width, rng.uniform(1.3, 1.9)), (-0.7, 0, 0))
    rib = box((1.0, 0.14, 0.2), tint=ACCENT).turned("y", rng.uniform(0.6, 0.9)).moved(-0.3, -width / 3, -0.45)
    bolt = cylinder(rng.uniform(0.12, 0.2), 0.35, tint=DETAIL).moved(0.6, width / 5, -0.65)
    return join([base, wall, rib, bolt])


def t_bracket(rng: Generator) -> Mesh:
    """A stem under a beam that reaches farther to the right, a pin in front."""
    depth, thickness = rng.uniform(0.4, 0.8), rng.uniform(0.22, 0.36)
    beam = box((rng.uniform(1.7, 2.2), depth, thickness), (rng.uniform(0.15, 0.35), 0, 0.8))
    stem = box((thickness, depth / DEEPER, 1.8))
    pin = cylinder(rng.uniform(0.12, 0.2), rng.uniform(0.5, 0.8), tint=DETAIL).turned("x", np.pi / 2)
    lug = box((0.3, depth * 1.3, 0.3), (1.1, 0, 0.6), ACCENT)
    return join([beam, stem, pin.moved(0, -depth / 2, -0.5), lug])


def u_bracket(rng: Generator) -> Mesh:
    """A channel whose left wall is the lower one, with a rod from the right wall and a tab in front."""
    depth, thickness = rng.uniform(0.6, 1.1), rng.uniform(0.16, 0.28)
    low, high = rng.uniform(0.5, 0.8), rng.uniform(1.2, 1.7)
    floor = box((1.5, DEEPER * depth, thickness), (0, 0, -0.8))
    left = box((thickness, depth, low), (-0.7, 0, -0.8 + low / 2))
    right = box((thickness * DEEPER, depth, high), (0.7, 0, -0.8 + high / 2))
    rod = cylinder(rng.uniform(0.08, 0.15), 0.8, tint=DETAIL).turned("y", np.pi / 2).moved(0.9, 0, high - 1)
    tab = box((rng.uniform(0.3, 0.5), 0.6, 1.3 * thickness), (-0.3, -depth / 2 - 0.1, -0.8), ACCENT)
    return join([floor, left, right, rod, tab])


def _mark(x: float, y: float, z: float) -> Mesh:
    return ball(0.17, (x, y, z), DETAIL)
