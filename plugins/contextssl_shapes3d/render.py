"""Pictures of one object: camera, floor, spot light, shading and hard shadow, by ray casting (embree).

The camera and the floor stand still, so their rays are computed once per image size; the object's triangles stand
still too, and rays, light and camera are turned into its frame instead. One object is built once for all its views.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from contextssl_cli.errors import PluginError
from contextssl_shapes3d.latents import FLOOR_HUE, LIGHT_HUE, LIGHT_PHI, LIGHT_THETA, ROTATION, rotation_matrices
from contextssl_shapes3d.mesh import Floats, Mesh

Floats32 = NDArray[np.float32]
Bytes = NDArray[np.uint8]

SAMPLES = 2
"""Rays a pixel, in each direction."""
CAMERA_DISTANCE = 4.0
CAMERA_ELEVATION = math.radians(40)
FRAME = 0.275
"""Tangent of half the field of view; the object's unit sphere takes 0.26 of it."""
FLOOR_Z = -1.15
LIGHT_DISTANCE = 6.0
CONE_INNER, CONE_OUTER = math.cos(math.radians(12)), math.cos(math.radians(16))
SKY = np.array([0.35, -0.45, 0.82], dtype=np.float32)
"""Where the white light comes from that casts no shadow."""
SKY_BASE, SKY_LAMBERT, SPOT = 0.16, 0.34, 0.9
"""Strengths: white light on every side, white light from ``SKY``, the spot."""
FLOOR_SATURATION, FLOOR_VALUE = 0.6, 0.6
LIGHT_SATURATION, LIGHT_VALUE = 0.9, 1.0
GAMMA = 1 / 2.2
LIFT = 1e-3
"""How far a shadow ray starts from its surface."""


@dataclass(frozen=True)
class Frame:
    """The rays of one image size, and the floor that they meet."""

    origin: Floats32
    directions: Floats32
    near: NDArray[np.intp]
    """Rays that meet the unit sphere about the origin, which holds every object."""
    floor: Floats32


def render(mesh: Mesh, palette: Floats, latents: Floats, size: int) -> Bytes:
    """Views of one object.

    Args:
        mesh: inside the unit sphere.
        palette: (tints, 3) linear RGB.
        latents: (V, 7), as ``latents.py`` orders them.
        size: of the images.

    Returns:
        (V, size, size, 3).

    Raises:
        PluginError: if embreex is not installed.
    """
    caster = Caster(mesh)
    colours = palette[mesh.tints].astype(np.float32)
    rotations = rotation_matrices(latents[:, ROTATION]).astype(np.float32)
    frame = camera(size)
    images = [_view(caster, colours, frame, row, turn) for row, turn in zip(latents, rotations, strict=True)]
    return np.stack([_develop(image, size) for image in images])


class Caster:
    """Rays against one mesh, all in the mesh's own frame."""

    def __init__(self, mesh: Mesh) -> None:
        scenes, meshes = require_embree()
        vertices = mesh.vertices.astype(np.float32)
        self._scene = scenes.EmbreeScene()
        meshes.TriangleMesh(self._scene, vertices, mesh.faces)
        corners = vertices[mesh.faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        self.normals = normals / np.maximum(lengths, np.finfo(np.float32).tiny)
        self.offsets = (self.normals * corners[:, 0]).sum(axis=1)

    def first(self, origin: Floats32, directions: Floats32) -> NDArray[np.int32]:
        """(N,) number of the triangle that each ray meets first, -1 for none."""
        start = np.ascontiguousarray(np.broadcast_to(origin, directions.shape))
        found: NDArray[np.int32] = self._scene.run(start, directions)
        return found

    def blocked(self, points: Floats32, target: Floats32) -> NDArray[np.bool_]:
        """(N,) whether the mesh is between each point and the target, which is outside the mesh."""
        if not len(points):
            return np.zeros(0, dtype=bool)
        return np.asarray(self._scene.run(points, target - points, query="OCCLUDED") != -1)


@functools.cache
def camera(size: int) -> Frame:
    """The rays of the fixed camera, ``SAMPLES`` x ``SAMPLES`` a pixel."""
    back = np.array([0.0, -np.cos(CAMERA_ELEVATION), np.sin(CAMERA_ELEVATION)])
    right = np.array([1.0, 0.0, 0.0])
    up = np.cross(back, right)
    places = ((np.arange(size * SAMPLES) + 0.5) / (size * SAMPLES) * 2 - 1) * FRAME
    x, y = np.meshgrid(places, -places)
    rays = x[..., None] * right + y[..., None] * up - back
    rays = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).reshape(-1, 3)
    origin = back * CAMERA_DISTANCE
    along = rays @ -origin
    near = np.flatnonzero(origin @ origin - along**2 < 1)
    floor = origin + rays * ((FLOOR_Z - origin[2]) / rays[:, 2:])
    return Frame(origin.astype(np.float32), rays.astype(np.float32), near, floor.astype(np.float32))


def _view(caster: Caster, colours: Floats32, frame: Frame, latents: Floats, turn: Floats32) -> Floats32:
    """Linear RGB of every ray, (N, 3)."""
    light = _light_place(latents)
    spot = SPOT * hsv_to_rgb(latents[LIGHT_HUE], LIGHT_SATURATION, LIGHT_VALUE)
    seen = caster.first(frame.origin @ turn, frame.directions[frame.near] @ turn)
    rows = frame.near[seen >= 0]
    image = _floor(caster, frame, latents, turn, light, spot, rows)
    image[rows] = _solid(caster, colours, frame, turn, light, spot, rows, seen[seen >= 0])
    return image


def _floor(
    caster: Caster, frame: Frame, latents: Floats, turn: Floats32, light: Floats32, spot: Floats32,
    hidden: NDArray[np.intp],
) -> Floats32:  # fmt: skip
    albedo = hsv_to_rgb(latents[FLOOR_HUE], FLOOR_SATURATION, FLOOR_VALUE)
    towards = light - frame.floor
    distance = _length(towards)
    along = (towards @ light / distance).astype(np.float32, copy=False)
    strength = _cone(along) * towards[:, 2] / distance
    # Only where the way to the light passes through the unit sphere can there be a shadow.
    maybe = (strength > 0) & (along**2 > light @ light - 1)
    maybe[hidden] = False
    near = np.flatnonzero(maybe)
    strength[near[caster.blocked(frame.floor[near] @ turn, light @ turn)]] = 0
    return np.asarray(strength[:, None] * (albedo * spot) + albedo * (SKY_BASE + SKY_LAMBERT * SKY[2]))


def _solid(
    caster: Caster, colours: Floats32, frame: Frame, turn: Floats32, light: Floats32, spot: Floats32,
    rows: NDArray[np.intp], faces: NDArray[np.int32],
) -> Floats32:  # fmt: skip
    rays, eye, lamp = frame.directions[rows] @ turn, frame.origin @ turn, light @ turn
    normals = caster.normals[faces]
    slope = np.einsum("ij,ij->i", normals, rays)
    points = eye + rays * ((caster.offsets[faces] - normals @ eye) / slope)[:, None]
    normals = normals * -np.sign(slope)[:, None]
    towards = lamp - points
    distance = _length(towards)
    lambert = np.einsum("ij,ij->i", normals, towards) / distance
    facing = np.flatnonzero(lambert > 0)
    dark = caster.blocked(points[facing] + LIFT * normals[facing], lamp)
    strength = np.zeros_like(lambert)
    strength[facing] = np.where(dark, 0, lambert[facing] * _cone(towards[facing] @ lamp / distance[facing]))
    sky = SKY_BASE + SKY_LAMBERT * np.maximum(normals @ (SKY @ turn), 0)
    return np.asarray(colours[faces] * (sky[:, None] + strength[:, None] * spot))


def _cone(along: Floats32) -> Floats32:
    """Strength of the spot, which aims at the origin: 1 within the inner cone, 0 outside the outer one.

    Args:
        along: (N,) projection of the light's place on the way to it.
    """
    cosine = along / np.float32(LIGHT_DISTANCE)
    return np.asarray(np.clip((cosine - CONE_OUTER) / (CONE_INNER - CONE_OUTER), 0, 1), dtype=np.float32)


def _length(vectors: Floats32) -> Floats32:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))


def _light_place(latents: Floats) -> Floats32:
    theta, phi = latents[LIGHT_THETA], latents[LIGHT_PHI]
    place = np.array([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])
    return (LIGHT_DISTANCE * place).astype(np.float32)


def _develop(image: Floats32, size: int) -> Bytes:
    """Mean over the rays of a pixel, gamma, 8 bits."""
    rays = image.reshape(size, SAMPLES, size, SAMPLES, 3)
    # Slice by slice: numpy's mean over two axes takes five times as long.
    total = np.zeros((size, size, 3), dtype=np.float32)
    for row, column in np.ndindex(SAMPLES, SAMPLES):
        total += rays[:, row, :, column]
    grey = np.clip(total / SAMPLES**2, 0, 1) ** GAMMA
    return np.asarray(np.rint(grey * 255), dtype=np.uint8)


def hsv_to_rgb(hue: float, saturation: float, value: float) -> Floats32:
    """Linear RGB of a hue in turns; 0 and 1 are the same red."""
    ramp = np.clip([abs(hue * 6 - 3) - 1, 2 - abs(hue * 6 - 2), 2 - abs(hue * 6 - 4)], 0, 1)
    return (value * (1 - saturation + saturation * ramp)).astype(np.float32)


def require_embree() -> tuple[ModuleType, ModuleType]:
    """The modules of embreex for scenes and for meshes.

    Raises:
        PluginError: if it is not installed.
    """
    try:
        from embreex import mesh_construction, rtcore_scene
    except ImportError as error:
        raise PluginError(f'shapes3d renders with embreex ({error}): pip install "contextssl[render]"') from error
    return rtcore_scene, mesh_construction
