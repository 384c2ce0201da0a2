"""Triangle meshes and the primitives that every family of solids is put together from.

Parts of a solid may overlap: rays need no closed or united surface, only triangles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

BODY, ACCENT, DETAIL = 0, 1, 2
"""Tints of a part: an object has one colour for each."""


@dataclass(frozen=True)
class Mesh:
    """Triangles with a tint each.

    Attributes:
        vertices: (V, 3); x to the right, y away from the camera, z up.
        faces: (F, 3) vertex numbers; either winding.
        tints: (F,) ``BODY``, ``ACCENT`` or ``DETAIL``.
    """

    vertices: Floats
    faces: NDArray[np.int32]
    tints: NDArray[np.int8]

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Mesh:
        """Shifted."""
        return replace(self, vertices=self.vertices + np.array([x, y, z]))

    def scaled(self, x: float, y: float, z: float) -> Mesh:
        """Stretched along the axes, about the origin."""
        return replace(self, vertices=self.vertices * (x, y, z))

    def turned(self, axis: str, angle: float) -> Mesh:
        """Rotated about ``x``, ``y`` or ``z`` through the origin, counter-clockwise, in radians."""
        return replace(self, vertices=self.vertices @ axis_rotation(axis, np.array(angle)).T)

    def tinted(self, tint: int) -> Mesh:
        """All triangles in one tint."""
        return replace(self, tints=np.full(len(self.faces), tint, dtype=np.int8))

    def normalised(self) -> Mesh:
        """Centred by its bounding box, and scaled to touch the unit sphere from within."""
        centred = self.vertices - (self.vertices.min(axis=0) + self.vertices.max(axis=0)) / 2
        return replace(self, vertices=centred / np.linalg.norm(centred, axis=1).max())


def axis_rotation(axis: str, angle: Floats) -> Floats:
    """Rotation matrices (..., 3, 3) about one axis for angles (...) in radians."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., range(3), range(3)] = 1.0
    matrix[..., first, first] = matrix[..., second, second] = np.cos(angle)
    matrix[..., second, first] = np.sin(angle)
    matrix[..., first, second] = -matrix[..., second, first]
    return matrix


def join(parts: Sequence[Mesh]) -> Mesh:
    """One mesh of several parts."""
    starts = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)]).astype(np.int32),
        np.concatenate([part.tints for part in parts]),
    )


def box(size: ArrayLike, centre: ArrayLike = (0, 0, 0), tint: int = BODY) -> Mesh:
    """A cuboid with edges along the axes."""
    outline = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    x, y, z = np.asarray(size, dtype=float)
    return extrude(outline, 1.0, tint=tint).scaled(x, y, z).moved(*np.asarray(centre, dtype=float))


def extrude(outline: ArrayLike, height: float, *, taper: float = 1.0, twist: float = 0.0, tint: int = BODY) -> Mesh:
    """A prism along z, centred at the origin.

    Args:
        outline: (K, 2) corners in x and y; every corner must be visible from the origin, for the caps are fans.
        height: along z.
        taper: scale of the upper end.
        twist: turn of the upper end in radians.
        tint: of its triangles.
    """
    lower = np.asarray(outline, dtype=float)
    upper = lower @ axis_rotation("z", np.array(twist))[:2, :2].T * taper
    count, number = len(lower), np.arange(len(lower))
    after = (number + 1) % count
    vertices = np.zeros((2 * count + 2, 3))
    vertices[:count, :2], vertices[count : 2 * count, :2] = lower, upper
    vertices[:count, 2], vertices[count : 2 * count, 2] = -height / 2, height / 2
    vertices[2 * count :, 2] = -height / 2, height / 2
    bottom, top = np.full(count, 2 * count), np.full(count, 2 * count + 1)
    return _mesh(
        vertices,
        [
            (number, after, number + count), (after, after + count, number + count),
            (bottom, after, number), (top, number + count, after + count),
        ],
        tint,
    )  # fmt: skip


def lathe(profile: ArrayLike, segments: int = 24, tint: int = BODY) -> Mesh:
    """The surface that a line of (radius, z) points sweeps about the z axis; radius 0 closes it."""
    radius, z = np.asarray(profile, dtype=float).T
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    rings = np.stack(
        [radius[:, None] * np.cos(angle), radius[:, None] * np.sin(angle), np.repeat(z[:, None], segments, axis=1)],
        axis=-1,
    )
    return grid(rings, tint)


def cylinder(radius: float, height: float, *, upper: float | None = None, tint: int = BODY) -> Mesh:
    """A closed cylinder along z, centred at the origin; with ``upper``, the radius of its upper end."""
    half = height / 2
    top = radius if upper is None else upper
    return lathe([(0, -half), (radius, -half), (top, half), (0, half)], tint=tint)


def tube(path: ArrayLike, radius: ArrayLike, *, segments: int = 10, closed: bool = False, tint: int = BODY) -> Mesh:
    """A round tube about a line of points.

    Args:
        path: (K, 3); consecutive points differ.
        radius: one, or one for each point.
        segments: corners of the cross-section.
        closed: whether the last point joins the first.
        tint: of its triangles.
    """
    line = np.asarray(path, dtype=float)
    radii = np.broadcast_to(np.asarray(radius, dtype=float), len(line))
    ahead, behind = np.roll(line, -1, axis=0), np.roll(line, 1, axis=0)
    if not closed:
        ahead[-1], behind[0] = line[-1], line[0]
    side, up = _frames(ahead - behind)
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)[None, :, None]
    rings = line[:, None] + radii[:, None, None] * (np.cos(angle) * side[:, None] + np.sin(angle) * up[:, None])
    if closed:
        return grid(np.concatenate([rings, rings[:1]]), tint)
    ends = np.broadcast_to(line[[0, -1], None], (2, segments, 3))
    return grid(np.concatenate([ends[:1], rings, ends[1:]]), tint)


def superquadric(size: ArrayLike, e1: float = 1.0, e2: float = 1.0, tint: int = BODY) -> Mesh:
    """An ellipsoid (exponents 1) that turns into a cuboid (towards 0) or a double pyramid (2).

    Barr, "Superquadrics and angle-preserving transformations", 1981, equation 2.

    Args:
        size: half axes.
        e1: exponent of the section through the poles.
        e2: exponent of the section along the equator.
        tint: of its triangles.
    """
    polar = np.linspace(-np.pi / 2, np.pi / 2, 17)[:, None]
    around = np.linspace(-np.pi, np.pi, 32, endpoint=False)[None]
    points = np.stack(
        [
            _power(np.cos(polar), e1) * _power(np.cos(around), e2),
            _power(np.cos(polar), e1) * _power(np.sin(around), e2),
            np.broadcast_to(_power(np.sin(polar), e1), (17, 32)),
        ],
        axis=-1,
    )
    return grid(points * np.asarray(size, dtype=float), tint)


def ball(radius: float, centre: ArrayLike = (0, 0, 0), tint: int = BODY) -> Mesh:
    """A sphere."""
    return superquadric((radius, radius, radius), tint=tint).moved(*np.asarray(centre, dtype=float))


def grid(points: Floats, tint: int = BODY) -> Mesh:
    """Triangles between the neighbours of (rows, columns, 3) points; the last column joins the first."""
    rows, columns = points.shape[:2]
    number = np.arange((rows - 1) * columns)
    right = number // columns * columns + (number + 1) % columns
    faces = [(number, right, number + columns), (right, right + columns, number + columns)]
    return _mesh(points.reshape(-1, 3), faces, tint)


def _mesh(vertices: Floats, corners: Sequence[tuple[NDArray[np.int64], ...]], tint: int) -> Mesh:
    faces = np.concatenate([np.stack(part, axis=1) for part in corners]).astype(np.int32)
    return Mesh(vertices, faces, np.full(len(faces), tint, dtype=np.int8))


def _power(base: Floats, exponent: float) -> Floats:
    return np.asarray(np.sign(base) * np.abs(base) ** exponent)


def _frames(tangents: Floats) -> tuple[Floats, Floats]:
    """Two directions across each tangent, carried along so that the tube does not twist."""
    along = tangents / np.linalg.norm(tangents, axis=1, keepdims=True)
    across = np.eye(3)[np.abs(along[0]).argmin()]
    sides = np.empty_like(along)
    for number, direction in enumerate(along):
        across = across - direction * (across @ direction)
        across = across / np.linalg.norm(across)
        sides[number] = across
    return sides, np.cross(along, sides)
