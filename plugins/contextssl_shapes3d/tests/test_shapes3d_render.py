"""What the pictures show: each latent has its effect, and only that."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from contextssl_shapes3d import render as renderer
from contextssl_shapes3d.families import make_solid
from contextssl_shapes3d.latents import rotation_matrices
from contextssl_shapes3d.mesh import Mesh, ball, box
from contextssl_shapes3d.render import hsv_to_rgb, render

PLAIN = np.array([0.3, -0.2, 0.4, 0.6, 0.5, 1.0, 0.1])
GREY = np.full((3, 3), 0.5)
SIZE = 48


def view(mesh: Mesh, **changes: float) -> np.ndarray:
    names = ("x", "y", "z", "floor", "theta", "phi", "light")
    latents = np.array([changes.get(name, value) for name, value in zip(names, PLAIN, strict=True)])
    return render(mesh, GREY, latents[None], SIZE)[0].astype(int)


@pytest.fixture(scope="module")
def car() -> Mesh:
    return make_solid("car", np.random.default_rng(0))[0]


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.abs(first - second).max(axis=-1)


def test_every_latent_changes_the_picture(car: Mesh) -> None:
    plain = view(car)
    changes = {"x": 1.0, "y": 0.8, "z": -0.8, "floor": 0.2, "theta": 0.1, "phi": 3.0, "light": 0.6}
    for name, value in changes.items():
        assert (difference(view(car, **{name: value}), plain) > 10).mean() > 0.03, name


def test_the_floor_hue_leaves_the_solid_as_it_is(car: Mesh) -> None:
    first, second = view(car, floor=0.1), view(car, floor=0.6)
    solid = difference(first, second) <= 1
    assert 0.05 < solid.mean() < 0.7
    assert not solid[[0, 0, -1, -1], [0, -1, 0, -1]].any(), "the corners are floor"


def test_a_corner_in_white_light_has_the_hue_of_the_floor(car: Mesh) -> None:
    for hue in (0.05, 0.3, 0.55, 0.8):
        red, green, blue = (view(car, floor=hue, light=0.0)[0, 0] / 255) ** (1 / renderer.GAMMA)
        assert colorsys.rgb_to_hsv(red, green, blue)[0] == pytest.approx(hue, abs=0.02)


def test_hues_0_and_1_are_the_same_red(car: Mesh) -> None:
    assert np.array_equal(view(car, floor=0.0, light=0.0), view(car, floor=1.0, light=1.0))
    for hue in np.linspace(0, 1, 13):
        assert np.allclose(hsv_to_rgb(hue, 0.7, 0.9), colorsys.hsv_to_rgb(hue, 0.7, 0.9), atol=1e-6)


def test_turning_the_latents_is_turning_the_solid(car: Mesh) -> None:
    angles = PLAIN[:3]
    turn = rotation_matrices(angles[None])[0]
    turned = Mesh(car.vertices @ turn.T, car.faces, car.tints)
    assert (difference(view(turned, x=0, y=0, z=0), view(car)) > 2).mean() < 0.01


def test_the_shadow_lies_across_from_the_light() -> None:
    small, speck = ball(0.5), ball(0.005)
    solid = difference(view(small, floor=0.1), view(small, floor=0.6)) <= 1
    for phi, side in ((0.0, "left"), (np.pi, "right")):
        light = {"theta": 0.7, "phi": phi, "light": 0.0}
        darker = (view(speck, **light) - view(small, **light)).sum(axis=-1) > 40
        shadow = np.argwhere(darker & ~solid)
        assert len(shadow) > 50
        assert (shadow[:, 1].mean() < SIZE / 2) == (side == "left")


def test_a_solid_shades_itself() -> None:
    plate, roof = box((1.2, 1.2, 0.05), (0, 0, -0.4)), box((0.5, 0.5, 0.05), (0, 0, 0.5))
    both = Mesh(
        np.concatenate([plate.vertices, roof.vertices]),
        np.concatenate([plate.faces, roof.faces + len(plate.vertices)]),
        np.concatenate([plate.tints, roof.tints]),
    )
    straight = {"x": 0.0, "y": 0.0, "z": 0.0, "theta": 0.0}
    bare, covered = view(plate, **straight), view(both, **straight)
    below = slice(SIZE // 2, SIZE * 3 // 4), slice(SIZE // 2 - 4, SIZE // 2 + 4)
    assert (bare[below].sum(axis=-1) - covered[below].sum(axis=-1)).max() > 60


def test_a_view_does_not_depend_on_the_others(car: Mesh) -> None:
    rows = np.random.default_rng(0).uniform(-1, 1, (5, 7)) ** 2
    together = render(car, GREY, rows, SIZE)
    assert together.shape == (5, SIZE, SIZE, 3)
    assert together.dtype == np.uint8
    for row, image in zip(rows, together, strict=True):
        assert np.array_equal(render(car, GREY, row[None], SIZE)[0], image)


def test_pictures_of_two_sizes_show_the_same(car: Mesh) -> None:
    small, large = render(car, GREY, PLAIN[None], 32)[0], render(car, GREY, PLAIN[None], 64)[0]
    halved = large.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - small).mean() < 3
