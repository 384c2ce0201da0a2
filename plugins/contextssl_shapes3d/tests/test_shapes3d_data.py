"""The data set as `prepare` makes it: splits, labels, latents, repeatability, and the files of 3DIEBench's layout."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from contextssl_cli import testing
from contextssl_cli.data.prepare import prepare
from contextssl_cli.errors import PluginError, UsageError
from contextssl_cli.plugin.task import resolve_task
from contextssl_cli.store.dataset import Store
from contextssl_shapes3d import contact_sheet, layout
from contextssl_shapes3d.families import FAMILIES
from contextssl_shapes3d.part import render_part
from contextssl_shapes3d.plan import Plan
from contextssl_shapes3d.shapes3d import Shapes3D

SMALL = {"objects": 10, "views": 4, "size": 16}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return prepare(Shapes3D(), out=tmp_path_factory.mktemp("stores") / "shapes3d.h5", options=SMALL)


def test_the_contract_holds() -> None:
    testing.check_dataset(Shapes3D())


def test_the_last_fifth_of_the_objects_is_test_data(store: Store) -> None:
    assert np.unique(store.train.objects()).tolist() == list(range(8))
    assert np.unique(store.test.objects()).tolist() == [8, 9]
    assert store.train.inputs().shape == (32, 16, 16, 3)
    assert np.array_equal(store.test.labels("family"), np.repeat([8, 9], 4))


def test_all_families_are_in_both_splits_of_the_default_plan() -> None:
    plan = Plan(2000, 20, 64, 0)
    for split, numbers in plan.splits.items():
        counts = np.bincount([plan.label(number) for number in numbers], minlength=len(FAMILIES))
        assert counts.min() > 0, split
        assert np.ptp(counts) <= 1
    assert [len(numbers) for numbers in plan.splits.values()] == [1600, 400]


def test_one_process_and_several_make_the_same_bytes(store: Store) -> None:
    plan = Plan(**SMALL, seed=0)
    for split, numbers in plan.splits.items():
        alone = [render_part(plan, split, range(number, number + 1), None) for number in numbers]
        stored = getattr(store, split)
        assert np.array_equal(np.concatenate([part.inputs for part in alone]), stored.inputs())
        for name in ("rotation", "color"):
            assert np.allclose(np.concatenate([part.latents[name] for part in alone]), stored.latents(name))


def test_the_seed_decides_everything(store: Store, tmp_path: Path) -> None:
    again, other = (prepare(Shapes3D(), out=tmp_path / f"{seed}.h5", options=SMALL | {"seed": seed}) for seed in (0, 1))
    assert again.content_hash == store.content_hash
    assert other.content_hash != store.content_hash


def test_the_actions_are_the_relative_rotation_and_the_differences_of_hue(store: Store) -> None:
    rotation, color = resolve_task("shapes3d-rotation-color").actions
    angles, hues = (torch.from_numpy(store.train.latents(name)) for name in ("rotation", "color"))
    first, second = angles[:16], angles[16:]
    expected = (Rotation.from_euler("xyz", first.numpy()).inv() * Rotation.from_euler("xyz", second.numpy())).as_quat()
    expected *= np.where(expected[:, 3:] < 0, -1, 1)
    assert np.allclose(rotation.relative(first, second).numpy(), expected, atol=1e-5)
    assert torch.equal(color.relative(hues[:16], hues[16:]), hues[16:] - hues[:16])
    assert hues.min() >= 0
    assert hues.max() <= 1


def test_the_layout_holds_the_same_images_and_latents(store: Store, tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "layout"
    options = SMALL | {"layout": "3diebench", "layout_dir": folder}
    written = prepare(Shapes3D(), out=tmp_path / "store.h5", options=options)
    assert written.content_hash == store.content_hash
    places, labels = (np.load(folder / f"val_{name}.npy") for name in ("images", "labels"))
    assert places.tolist() == ["/bottle/000008", "/letter_f/000009"]
    assert labels.tolist() == [8, 9]
    assert len(np.load(folder / "train_images.npy")) == 8
    place = folder / places[1][1:]
    assert len(list(place.iterdir())) == 2 * SMALL["views"]
    latents = np.stack([np.load(place / f"latent_{view}.npy") for view in range(4)])
    assert latents.shape == (4, 7)
    assert np.allclose(latents[:, :3], store.test.latents("rotation")[4:])
    assert np.allclose(latents[:, [3, 6]], store.test.latents("color")[4:])
    images = np.stack([np.asarray(Image.open(place / f"image_{view}.jpg")) for view in range(4)])
    assert np.abs(images.astype(int) - store.test.inputs()[4:]).mean() < 12  # as JPEG
    assert "not 3DIEBench" in " ".join((folder / "README.txt").read_text().split())


def test_a_layout_goes_on_in_its_own_folder_and_in_no_other(tmp_path: Path) -> None:
    plan = Plan(**SMALL, seed=0)
    layout.start_layout(tmp_path / "new", plan)
    layout.start_layout(tmp_path / "new", plan)
    with pytest.raises(UsageError, match="something else"):
        layout.start_layout(tmp_path / "new", Plan(12, 4, 16, 0))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="something else"):
        layout.start_layout(tmp_path / "file", plan)
    with pytest.raises(UsageError, match="something else"):
        layout.start_layout(tmp_path, plan)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("go together", {"layout": "3diebench"}),
        ("go together", {"layout_dir": "x"}),
        ("layout", {"layout": "imagenet", "layout_dir": "x"}),
        ("objects", {"objects": 1}),
        ("views", {"views": 1}),
        ("size", {"size": 4}),
        ("no option 'object'", {"object": 5}),
    ],
)
def test_a_wrong_option_is_named(words: str, options: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        prepare(Shapes3D(), out=tmp_path / "store.h5", options=options)


def test_a_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes no --source"):
        prepare(Shapes3D(), tmp_path, tmp_path / "store.h5")


def test_without_embreex_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embreex", None)
    with pytest.raises(PluginError, match=r'pip install "contextssl\[render\]"'):
        prepare(Shapes3D(), out=tmp_path / "store.h5", options=SMALL)


def test_the_contact_sheet_shows_every_family(tmp_path: Path) -> None:
    from PIL import Image

    contact_sheet.main([str(tmp_path / "sheet.png")])
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (3 * 4 * 64, 9 * 64)
    assert (tmp_path / "sheet.png").stat().st_size < 300_000
