"""Every vector that the authors' code computed, from their checkpoint as we import it.

``CONTEXTSSL_PARITY`` takes another pair of files: the path up to ``.pt`` and ``_expected.safetensors``;
``CONTEXTSSL_PARITY_HEADS`` their attention heads. Everything else is read from the files.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from contextssl_cli import Context, ContextEncoder
from contextssl_cli.cli.app import run as command
from contextssl_cli.data.actions import ActionSpace, Block
from contextssl_cli.model.contextssl import ContextSSL, nt_xent
from contextssl_cli.training.import_official import load_official
from contextssl_cli.training.metrics import pooled_r2

DEFAULT = Path(__file__).parents[3] / "shared" / "parity" / "official_resnet18"
STEM = os.environ.get("CONTEXTSSL_PARITY") or str(DEFAULT)
HEADS = int(os.environ.get("CONTEXTSSL_PARITY_HEADS", "4"))
CHECKPOINT, EXPECTED = Path(f"{STEM}.pt"), Path(f"{STEM}_expected.safetensors")
TOLERANCE = 1e-4
QUATERNION = 4  # the first block of 3DIEBench's action; colour is the rest
SIMILARITY_FLOOR = 1e-7  # the authors' clamp
GIVEN = {"images", "actions", "query_images", "r2/output", "r2/target"}

present = CHECKPOINT.is_file() and EXPECTED.is_file()
if os.environ.get("CONTEXTSSL_PARITY") and not present:
    raise FileNotFoundError(f"CONTEXTSSL_PARITY names no pair of files: {CHECKPOINT}, {EXPECTED}")
pytestmark = pytest.mark.skipif(not present, reason=f"the authors' numbers are not there: {CHECKPOINT}, {EXPECTED}")
expected = load_file(EXPECTED) if present else {}


def keys(prefix: str) -> list[str]:
    return sorted(name for name in expected if name.startswith(prefix))


def environment(key: str) -> tuple[str, ...]:
    name = key.split("/")[1]
    return () if name == "none" else tuple(name.split("+"))


def assert_agrees(found: Tensor, key: str) -> None:
    torch.testing.assert_close(found.squeeze(), expected[key].squeeze(), rtol=0, atol=TOLERANCE)


@functools.cache
def blocks() -> ActionSpace:
    colour = expected["actions"].shape[1] - QUATERNION
    return ActionSpace(blocks=(Block(name="rotation", width=QUATERNION), Block(name="color", width=colour)))


@functools.cache
def model() -> ContextSSL:
    tokens, _, size, _ = expected["images"].shape
    return load_official(CHECKPOINT, HEADS, blocks(), block_size=tokens, image_size=size)[0]


@functools.cache
def features() -> Tensor:
    with torch.no_grad():
        return model().encode(expected["images"])


def actions(active: tuple[str, ...]) -> Tensor:
    return expected["actions"] * model().space.active(active)


@functools.cache
def predictions(active: tuple[str, ...]) -> Tensor:
    """(tokens, D) for the sequence of all pairs."""
    z_x, z_y = features()[None, 0::2], features()[None, 1::2]
    masks = model().masks(len(features()))
    with torch.no_grad():
        return model().sequences(z_x, z_y, {active: actions(active)[None]}, masks)[0].view(len(features()), -1)


def test_every_number_of_the_file_is_checked() -> None:
    checked = [*keys("features"), *keys("predictions/"), *keys("aux/"), *keys("nt_xent_t"), *keys("query/"), "r2/value"]
    assert sorted([*GIVEN, *checked]) == sorted(expected)
    assert {kind.split("/")[0].split("_t")[0] for kind in checked} == {
        "features", "predictions", "aux", "nt_xent", "query", "r2",
    }  # fmt: skip


def test_features_agree() -> None:
    assert_agrees(features(), "features")


@pytest.mark.parametrize("key", keys("predictions/"))
def test_predictions_for_a_sequence_agree(key: str) -> None:
    assert_agrees(predictions(environment(key)), key)


@pytest.mark.parametrize("key", keys("aux/"))
def test_auxiliary_outputs_agree(key: str) -> None:
    with torch.no_grad():
        assert_agrees(model().latents(predictions(environment(key))), key)


@pytest.mark.parametrize("key", keys("nt_xent_t"))
def test_nt_xent_agrees(key: str) -> None:
    temperature = float(key.split("/")[0].removeprefix("nt_xent_t"))
    pairs = predictions(environment(key)).unflatten(0, (-1, 2))
    assert_agrees(nt_xent(pairs, temperature, SIMILARITY_FLOOR).mean(), key)


@pytest.mark.parametrize("key", keys("query/"))
def test_predictions_under_a_cached_context_agree(key: str) -> None:
    _, _, context, kind = key.split("/")
    active, pairs = environment(key), int(context.removeprefix("context")) // 2
    z, queries = features()[: 2 * pairs], expected["query_images"]
    asked = {"zero_action": None, "with_action": actions(active)[: len(queries)]}[kind]
    with torch.no_grad():
        cache = model().read_context(z[0::2], z[1::2], actions(active)[:pairs], active)
        found = model().predict(model().encode(queries), cache, asked, active)
    assert cache.tokens == 2 * pairs
    assert_agrees(found, key)


def test_pooled_r2_agrees() -> None:
    assert_agrees(torch.tensor(pooled_r2(expected["r2/output"], expected["r2/target"])), "r2/value")


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[ContextEncoder, float, float]:
    """The checkpoint as a run, which takes images in [0, 1]; and the mean and deviation that bring them there."""
    folder = tmp_path_factory.mktemp("imported") / "run"
    size = expected["images"].shape[-1]
    both = torch.cat([expected["images"], expected["query_images"]])
    std = 1 / float(both.max() - both.min())
    mean = -float(both.min()) * std
    code = command(
        ["import-official", str(CHECKPOINT), "--heads", str(HEADS), "--image-size", str(size), "--out", str(folder),
         "--blocks", ",".join(f"{block.name}={block.width}" for block in blocks().blocks),
         f"--mean={mean},{mean},{mean}", f"--std={std},{std},{std}"]
    )  # fmt: skip
    assert code == 0
    return ContextEncoder.load(folder, "cpu"), mean, std


@pytest.mark.parametrize("key", [key for key in keys("query/") if key.endswith("/zero_action")])
def test_the_imported_run_embeds_as_the_authors_do(key: str, imported: tuple[ContextEncoder, float, float]) -> None:
    encoder, mean, std = imported
    active, pairs = environment(key), int(key.split("/")[2].removeprefix("context")) // 2

    def as_user(images: Tensor) -> Tensor:
        return (images * std + mean).clamp(0, 1).permute(0, 2, 3, 1)

    images = as_user(expected["images"][: 2 * pairs]).numpy()
    named = {name: expected["actions"][:pairs, blocks().slices[name]].numpy() for name in active}
    context = Context(images[0::2], images[1::2], named) if pairs else None
    found = encoder.with_context(context).transform(as_user(expected["query_images"]).numpy())
    authors = torch.nn.functional.normalize(expected[key], dim=-1)
    torch.testing.assert_close(torch.from_numpy(found), authors, rtol=0, atol=TOLERANCE)
