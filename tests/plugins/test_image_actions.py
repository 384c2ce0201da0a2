"""What holds for every applied action type of images, and for several of them on one image."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from contextssl_cli.plugin import ActionType
from contextssl_cli.plugin.registry import registry
from tests import tiny
from tests.draws import seeded
from tests.places import built_in

ACTIONS = [action for action in registry().actions.values() if action.modality == "image" and not action.recorded]
SCHEMA = tiny.image_schema(24, 32)
LAST_BITS = 1e-6

every_action = pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)


@pytest.fixture
def threads() -> Iterator[None]:
    """The number of threads as it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def images(count: int = 13) -> Tensor:
    return torch.rand(count, 3, 24, 32, generator=seeded(0))


def view(action: ActionType, inputs: Tensor, seed: int = 0) -> Tensor:
    return action.apply(inputs, action.sample(inputs, SCHEMA, seeded(seed)), SCHEMA)


@every_action
def test_a_seed_gives_the_same_views_on_any_number_of_threads(action: ActionType, threads: None) -> None:
    views = []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        views.append(view(action, images(64)))
    assert torch.equal(views[0], views[1])
    assert torch.equal(views[0], views[2])


@every_action
def test_parameters_do_not_depend_on_how_the_samples_are_batched(action: ActionType) -> None:
    inputs, generator = images(), seeded(0)
    parts = [action.sample(part, SCHEMA, generator) for part in inputs.split(4)]
    assert torch.equal(torch.cat(parts), action.sample(inputs, SCHEMA, seeded(0)))


@every_action
@pytest.mark.parametrize("size", [1, 5])
def test_a_view_does_not_depend_on_the_others_of_its_batch(action: ActionType, size: int) -> None:
    inputs = images()
    latents = action.sample(inputs, SCHEMA, seeded(0))
    parts = [action.apply(*both, SCHEMA) for both in zip(inputs.split(size), latents.split(size), strict=True)]
    torch.testing.assert_close(torch.cat(parts), action.apply(inputs, latents, SCHEMA), rtol=0, atol=LAST_BITS)


@every_action
def test_the_order_of_the_numbers_in_memory_does_not_matter(action: ActionType) -> None:
    last = images().to(memory_format=torch.channels_last)
    torch.testing.assert_close(view(action, last), view(action, images()), rtol=0, atol=LAST_BITS)


@every_action
def test_black_and_white_stay_in_the_range(action: ActionType) -> None:
    found = view(action, images(200).round())
    assert -LAST_BITS <= float(found.min()) <= float(found.max()) <= 1 + LAST_BITS


@every_action
def test_actions_add_up_along_three_views(action: ActionType) -> None:
    a, b, c = (action.sample(images(), SCHEMA, seeded(number)) for number in range(3))
    torch.testing.assert_close(action.relative(a, b) + action.relative(b, c), action.relative(a, c))
    torch.testing.assert_close(action.absolute(a) + action.relative(a, b), action.absolute(b))


@every_action
def test_everything_happens_on_the_device_of_the_images(action: ActionType) -> None:
    """Tensors of the device "meta" have no numbers, and refuse to meet those of the processor."""
    inputs = images().to("meta")
    latents = action.sample(inputs, SCHEMA, seeded(0))
    assert action.apply(inputs, latents, SCHEMA).device.type == "meta"
    assert action.relative(latents, latents).device.type == "meta"


def composed(inputs: Tensor, latents: dict[str, Tensor]) -> Tensor:
    """The view that the latents of several action types make, in their order."""
    for action in sorted((a for a in ACTIONS if a.name in latents), key=lambda action: action.order):
        inputs = action.apply(inputs, latents[action.name], SCHEMA)
    return inputs


def spot(down: float, right: float, size: float) -> Tensor:
    """(1, 3, 96, 96) light at a place of an image whose coordinates run from -1 to 1."""
    at = (torch.arange(96) + 0.5) / 48 - 1
    light = torch.exp(-((at[:, None] - down) ** 2 + (at - right) ** 2) / (2 * size**2))
    return (0.1 + 0.3 * light).expand(1, 3, -1, -1)


def moments(image: Tensor) -> tuple[float, float, float]:
    """Where the light above the ground is, down and right, and its variance across, in the image's coordinates."""
    at = (torch.arange(image.shape[-1]) + 0.5) * 2 / image.shape[-1] - 1
    light = (image[0, 0] - image[0, 0].median()).clamp(min=0)
    light = light / light.sum()
    down, right = (light.sum(1) * at).sum(), (light.sum(0) * at).sum()
    return float(down), float(right), float((light.sum(0) * (at - right) ** 2).sum())


def test_a_crop_is_one_of_the_original_image_whatever_turns_it_afterwards() -> None:
    built_in("color", "crop", "blur", "rotation")
    latents = {
        "crop": torch.tensor([[0.2, -0.1, 0.6, 0.6]]),
        "rotation": torch.tensor([[0.5]]),
        "color": torch.tensor([[0.5, 0.2, 0.0, 0.0]]),
        "blur": torch.tensor([[0.8]]),
    }
    # At a third of the crop's half width right of its middle; an eighth of a turn takes it up and right.
    down, right, _ = moments(composed(spot(0.2, -0.1 + 0.6 / 3, 0.06), latents)[..., 24:72, 24:72])
    assert (down / 2, right / 2) == (
        pytest.approx(-math.sqrt(0.5) / 3, abs=0.01),
        pytest.approx(math.sqrt(0.5) / 3, abs=0.01),
    )


@pytest.mark.parametrize("size", [1.0, 0.6])
def test_a_blur_widens_a_view_by_its_sigma_however_much_a_crop_enlarged_it(size: float) -> None:
    built_in("crop", "blur")
    sigma, crop = 1.2, torch.tensor([[0.0, 0.0, size, size]])
    image = spot(0, 0, 0.1)
    sharp = moments(composed(image, {"crop": crop}))[2]
    found = moments(composed(image, {"crop": crop, "blur": torch.tensor([[sigma]])}))[2]
    assert found - sharp == pytest.approx((sigma / 16) ** 2, rel=0.03)  # 32nds of the side, in half sides


@pytest.mark.parametrize("name", ["crop", "blur"])
def test_a_colour_changes_a_pixel_alike_whatever_part_is_seen_how_sharply(name: str) -> None:
    built_in("color", name)
    image = 0.4 + 0.1 * torch.rand(1, 3, 24, 32, generator=seeded(0))
    color = torch.tensor([[0.3, 0.5, 0.6, -0.4]])
    other = registry().actions[name].sample(image, SCHEMA, seeded(1))
    whole = registry().actions["color"].apply(image, color, SCHEMA)
    expected = registry().actions[name].apply(whole, other, SCHEMA)
    torch.testing.assert_close(composed(image, {"color": color, name: other}), expected)


def test_uncovered_corners_are_black_whatever_else_is_active() -> None:
    built_in("color", "crop", "blur", "rotation")
    latents = {action.name: action.sample(images(1), SCHEMA, seeded(3)) for action in ACTIONS}
    latents["rotation"] = torch.tensor([[0.5]])
    found = composed(0.3 + 0.4 * images(1), latents)
    assert not found[..., 0, 0].any()
    assert not found[..., -1, -1].any()
