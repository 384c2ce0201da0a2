"""Reading a tree of the original layout: what comes out, in every form that the lists and latents take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diebench_tree import TEST, TRAIN, VIEWS, prepared, write_lists, write_tree
from scipy.spatial.transform import Rotation

from contextssl_3diebench.diebench import DIEBench
from contextssl_cli import testing
from contextssl_cli.data.prepare import prepare
from contextssl_cli.errors import CorruptFileError, DataMissingError, UsageError
from contextssl_cli.plugin.registry import registry
from contextssl_cli.plugin.task import resolve_task
from contextssl_cli.store.dataset import Store
from tests.places import built_in


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared; a test that changes it makes its own."""
    return write_tree(tmp_path_factory.mktemp("trees") / "3DIEBench")


@pytest.fixture(scope="module")
def store(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return prepared(tree, tmp_path_factory.mktemp("stores"))


def test_the_contract_holds(tree: Path) -> None:
    testing.check_dataset(DIEBench(), tree, {"size": 16})


def test_it_is_found_by_its_name() -> None:
    assert [action.name for action in resolve_task("3diebench-rotation-color").actions] == ["rotation", "color"]
    assert registry().dataset("3diebench").needs_source


def test_files_are_kept_byte_by_byte_and_read_at_the_size_asked_for(tree: Path, store: Store) -> None:
    files = store.train.encoded(np.arange(len(store.train)))
    assert files == [(tree / place[1:] / f"image_{view}.jpg").read_bytes() for place in TRAIN for view in range(VIEWS)]
    assert store.train.inputs().shape == (20, 128, 128, 3)
    assert store.test.inputs().shape == (10, 128, 128, 3)


def test_labels_objects_and_latents_stand_beside_their_images(tree: Path, store: Store) -> None:
    assert store.schema.tasks == {"class": ("02691156", "04379243")}
    assert np.array_equal(store.train.labels("class"), np.repeat([0, 0, 1, 1], VIEWS))
    assert np.array_equal(store.train.objects(), np.repeat([0, 1, 2, 3], VIEWS))
    assert np.array_equal(store.test.objects(), np.repeat([4, 5], VIEWS))
    latents = np.stack([np.load(tree / place[1:] / f"latent_{view}.npy") for place in TRAIN for view in range(VIEWS)])
    assert np.allclose(store.train.latents("rotation"), latents[:, :3])
    assert np.allclose(store.train.latents("color"), latents[:, [3, 6]])


def test_the_action_is_that_of_the_authors_code(tree: Path, store: Store) -> None:
    """``inv(R1) * R2`` of extrinsic angles, by scipy, with w >= 0; the difference of the two hues."""
    rotation, color = resolve_task("3diebench-rotation-color").actions
    views = [np.load(tree / TRAIN[0][1:] / f"latent_{view}.npy") for view in (0, 1)]
    first, second = (Rotation.from_euler("xyz", view[:3]) for view in views)
    expected = (first.inv() * second).as_quat(canonical=True)
    latents = {name: torch.from_numpy(store.train.latents(name)) for name in ("rotation", "color")}
    found = rotation.relative(latents["rotation"][:1], latents["rotation"][1:2])[0]
    assert np.allclose(found, expected, atol=1e-5)
    hues = color.relative(latents["color"][:1], latents["color"][1:2])[0]
    assert np.allclose(hues, (views[1] - views[0])[[3, 6]], atol=1e-5)


def by_view(root: Path) -> None:
    train, test = (
        [f"{place}/image_{view}.jpg" for place in places for view in range(VIEWS)] for places in (TRAIN, TEST)
    )
    write_lists(root, train, test)


def in_meta(root: Path) -> None:
    (root / "meta").mkdir()
    for path in root.glob("*.npy"):
        path.rename(root / "meta" / path.name)


def without_slash(root: Path) -> None:
    for prefix in ("train", "val"):
        path = root / f"{prefix}_images.npy"
        np.save(path, np.char.lstrip(np.load(path), "/"))


@pytest.mark.parametrize("change", [by_view, in_meta, without_slash])
def test_lists_take_several_forms(change: Callable[[Path], None], store: Store, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree")
    change(root)
    assert prepared(root, tmp_path).content_hash == store.content_hash


def test_lists_can_be_named(store: Store, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree")
    in_meta(root)
    (root / "meta").rename(tmp_path / "lists")
    with pytest.raises(DataMissingError, match="--lists DIR"):
        prepared(root, tmp_path)
    assert prepared(root, tmp_path, lists=tmp_path / "lists").content_hash == store.content_hash


def test_nine_latents_are_read_as_seven(store: Store, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree")
    for path in root.rglob("latent_*.npy"):
        np.save(path, np.concatenate([np.load(path), [7.0, 8.0]]))
    assert prepared(root, tmp_path).content_hash == store.content_hash


def test_listed_views_alone_are_read(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree")
    write_lists(root, [f"{place}/image_{view}.jpg" for place in TRAIN for view in (1, 4)], TEST)
    with prepared(root, tmp_path) as store:
        assert len(store.train) == 8
        assert store.train.encoded(np.array([1]))[0] == (root / TRAIN[0][1:] / "image_4.jpg").read_bytes()


def test_an_object_with_more_views_than_most_brings_all_of_them(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree")
    folder = root / TRAIN[1][1:]
    (folder / f"image_{VIEWS}.jpg").write_bytes((folder / "image_0.jpg").read_bytes())
    np.save(folder / f"latent_{VIEWS}.npy", np.zeros(7))
    with prepared(root, tmp_path) as store:
        assert np.bincount(store.train.objects()).tolist() == [5, 6, 5, 5]


def test_a_limit_takes_objects_of_all_classes_from_both_splits(tmp_path: Path, tree: Path) -> None:
    with prepared(tree, tmp_path, limit_objects=3) as store:
        assert np.unique(store.train.objects()).tolist() == [0, 2]
        assert np.unique(store.test.objects()).tolist() == [4]
        assert store.schema.tasks == {"class": ("02691156", "04379243")}


@pytest.mark.parametrize("limit", [2, 3, 4, 5, 6, 99])
def test_a_limit_is_kept(limit: int, tmp_path: Path, tree: Path) -> None:
    with prepared(tree, tmp_path, limit_objects=limit, size=16) as store:
        counts = [len(np.unique(split.objects())) for split in (store.train, store.test)]
        assert sum(counts) == min(limit, 6)
        assert min(counts) > 0


def test_a_class_of_several_folders_is_named_by_its_number(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree")
    np.save(root / "train_labels.npy", np.array([0, 0, 0, 1]))
    np.save(root / "val_labels.npy", np.array([0, 3]))
    with prepared(root, tmp_path) as store:
        assert store.schema.tasks == {"class": ("class 0", "class 1", "class 2", "class 3")}


def test_what_shapes3d_writes_goes_through(tmp_path: Path) -> None:
    built_in("shapes3d")
    folder = tmp_path / "layout"
    options = {"objects": 6, "views": 3, "size": 32, "layout": "3diebench", "layout_dir": folder}
    with (
        prepare(registry().dataset("shapes3d"), out=tmp_path / "shapes.h5", options=options) as shapes,
        prepared(folder, tmp_path, size=32) as store,
    ):
        for name in ("train", "test"):
            rendered, read = getattr(shapes, name), getattr(store, name)
            assert np.array_equal(read.objects(), rendered.objects())
            assert np.array_equal(read.labels("class"), rendered.labels("family"))
            for action in ("rotation", "color"):
                assert np.array_equal(read.latents(action), rendered.latents(action))
            assert np.abs(read.inputs().astype(int) - rendered.inputs()).mean() < 8  # as JPEG
        assert store.schema.tasks["class"] == shapes.schema.tasks["family"][:6]


def test_processes_make_the_same_store(tree: Path, store: Store, tmp_path: Path) -> None:
    assert prepare(DIEBench(), tree, tmp_path / "store.h5").content_hash == store.content_hash


def test_a_limit_of_one_object_is_refused(tmp_path: Path, tree: Path) -> None:
    with pytest.raises(UsageError, match="limit_objects"):
        prepare(DIEBench(), tree, tmp_path / "store.h5", options={"limit_objects": 1})


@pytest.mark.parametrize("source", ["nowhere", "file.tar.gz", None])
def test_a_source_that_is_no_folder_is_missing_data(source: str | None, tmp_path: Path) -> None:
    (tmp_path / "file.tar.gz").touch()
    with pytest.raises(DataMissingError, match=r"3DIEBench\.tar\.gz|does not exist|unpacked folder"):
        prepare(DIEBench(), source and tmp_path / source, tmp_path / "store.h5")


@pytest.mark.parametrize(
    ("words", "name", "content"),
    [
        ("has no val_labels.npy", "val_labels", None),
        ("no train_images.npy", "train_images", None),
        ("no readable .npy file", "train_images", b"garbage"),
        ("no readable .npy file", "val_labels", b""),
        ("no readable .npy file", "train_images", np.array([{"a": 1}], dtype=object)),
        ("train_images", "train_images", np.array([1, 2])),
        ("train_images", "train_images", np.array([], dtype=str)),
        ("has 4 entries for 3 labels", "train_labels", np.array([0, 0, 1])),
        ("train_labels", "train_labels", np.array(TRAIN)),
        ("labels from -1 to 1", "train_labels", np.array([0, 0, -1, 1])),
        ("labels from 0 to 2691156", "train_labels", np.array([0, 0, 0, 2691156])),
        ("lists 02691156/a1 twice", "train_images", np.array([TRAIN[0], *TRAIN[:3]])),
        ("twice", "train_images", np.array([TRAIN[0], f"{TRAIN[0]}/image_1.jpg", *TRAIN[1:3]])),
        ("which train_images.npy has too", "val_images", np.array(TRAIN[:2])),
        ("expected /<class>/<object>", "train_images", np.array(["/../../etc", *TRAIN[1:]])),
        ("expected /<class>/<object>", "train_images", np.array(["/alone", *TRAIN[1:]])),
        ("the classes 0 and 1", "val_images", np.array([f"{TEST[0]}/image_{view}.jpg" for view in (0, 1)])),
    ],
)  # fmt: skip
def test_a_broken_list_is_named(words: str, name: str, content: Any, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", views=2)
    path = root / f"{name}.npy"
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    with pytest.raises((CorruptFileError, DataMissingError), match=words) as error:
        prepared(root, tmp_path)
    assert str(root) in str(error.value)
