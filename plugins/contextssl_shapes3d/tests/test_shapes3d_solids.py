"""The families: all different, no two objects alike, and none that looks the same when it is turned."""

from __future__ import annotations

import numpy as np
import pytest

from contextssl_shapes3d.families import FAMILIES, make_solid
from contextssl_shapes3d.mesh import axis_rotation, box, cylinder, superquadric, tube
from contextssl_shapes3d.render import render

GREY = np.full((3, 3), 0.5)


def solid(family: str, seed: int = 0) -> np.ndarray:
    return make_solid(family, np.random.default_rng(seed))[0].vertices


def test_there_are_at_least_twenty_families() -> None:
    assert len(FAMILIES) >= 20


@pytest.mark.parametrize("family", FAMILIES)
def test_a_solid_fits_the_unit_sphere_and_is_made_of_sound_triangles(family: str) -> None:
    for seed in range(20):
        mesh, palette = make_solid(family, np.random.default_rng(seed))
        assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(1)
        assert np.allclose(mesh.vertices.min(0), -mesh.vertices.max(0))
        assert np.isfinite(mesh.vertices).all()
        assert mesh.faces.min() >= 0
        assert mesh.faces.max() < len(mesh.vertices)
        assert len(mesh.tints) == len(mesh.faces)
        assert set(mesh.tints) >= {0, 1}, "a second tint tells the sides apart"
        assert ((palette > 0) & (palette < 1)).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_no_two_objects_of_a_family_are_equal(family: str) -> None:
    seen = {solid(family, seed).round(6).tobytes() for seed in range(200)}
    assert len(seen) == 200


@pytest.mark.parametrize("family", FAMILIES)
def test_no_turn_leaves_a_solid_looking_as_it_did(family: str) -> None:
    """Half and quarter turns about each axis: a picture would not tell them from none if the solid were symmetric."""
    mesh, palette = make_solid(family, np.random.default_rng(1))
    latents = np.array([[0.5, -0.4, 0.6, 0.3, 0.4, 1.0, 0.7]])
    plain = render(mesh, palette, latents, 64).astype(float)
    for axis in "xyz":
        for angle in (np.pi, np.pi / 2, -np.pi / 2):
            turned = render(mesh.turned(axis, angle), palette, latents, 64)
            changed = (np.abs(turned - plain).max(axis=-1) > 20).mean()
            assert changed > 0.02, f"{family} looks the same after {angle:.2f} about {axis}"


def test_parts_have_their_sizes() -> None:
    assert np.allclose(np.ptp(box((1, 2, 3)).vertices, axis=0), (1, 2, 3))
    assert np.allclose(np.ptp(cylinder(0.5, 2).vertices, axis=0), (1, 1, 2))
    assert np.allclose(np.abs(superquadric((1, 2, 3)).vertices).max(0), (1, 2, 3), rtol=0.01)
    line = np.linspace((0, 0, 0), (4, 0, 0), 5)
    assert np.allclose(np.ptp(tube(line, 0.5, segments=8).vertices, axis=0), (4, 1, 1))


def test_a_turn_is_counter_clockwise() -> None:
    assert np.allclose(axis_rotation("z", np.array(np.pi / 2)) @ (1, 0, 0), (0, 1, 0))
    assert np.allclose(axis_rotation("x", np.array(np.pi / 2)) @ (0, 1, 0), (0, 0, 1))
    assert np.allclose(axis_rotation("y", np.array(np.pi / 2)) @ (0, 0, 1), (1, 0, 0))
